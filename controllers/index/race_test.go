package index_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// race is a bucket at a moment where engine A is about to do something that
// writes pages, and a Yank is about to be carried out by engine B.
type race struct {
	*world
	mirror *fake.Store
	// buried is the file that B takes back.
	buried string
	// a is what the late engine does.
	a func(*index.Engine) error
	// prelude is what others do while A is stopped, before B takes the file back.
	prelude func(*index.Engine) error
}

func newRace(t *testing.T) *race {
	r := &race{world: newWorld(t), mirror: fake.New("mirror")}
	r.engine = r.another(r.mirror)
	r.buried = r.upload("2.9.0")
	r.a = func(e *index.Engine) error {
		_, err := e.Sync(t.Context(), r.lane, torch.Channel)
		return err
	}
	return r
}

// recordOnly lets a Sync write the catalog and fail before any page.
func (r *race) recordOnly() {
	r.store.FailBefore(fake.On(objectstore.OpPut, func(_, key string) error {
		if strings.Contains(key, "/index.") {
			return objectstore.ErrUnavailable
		}
		return nil
	}))
	if _, err := r.engine.Sync(r.ctx(), r.lane, torch.Channel); err == nil {
		r.t.Fatal("the pages were to fail")
	}
	r.store.FailBefore(nil)
}

// races are the situations. Each is made anew for every point at which A stops.
var races = map[string]func(*testing.T) *race{
	"first publication": func(t *testing.T) *race {
		r := newRace(t)
		r.recordOnly()
		return r
	},
	"another upload": func(t *testing.T) *race {
		r := newRace(t)
		r.sync()
		r.upload("2.9.1")
		return r
	},
	"upload of the file itself": func(t *testing.T) *race {
		r := newRace(t)
		if _, err := r.store.Delete(t.Context(), folder+r.buried); err != nil {
			t.Fatal(err)
		}
		other := r.upload("2.8.0")
		r.sync()
		r.wantListed(other, true)
		r.upload("2.9.0")
		// B is the first to see it: it publishes it, and then takes it back. The
		// page then says what it said when A looked.
		r.prelude = func(e *index.Engine) error {
			_, err := e.Sync(t.Context(), r.lane, torch.Channel)
			return err
		}
		return r
	},
	"page that was tampered with": func(t *testing.T) *race {
		r := newRace(t)
		r.sync()
		r.store.Seed(htmlPage, []byte("evil"), seedPage)
		r.mirror.Seed(jsonPage, []byte("evil"), seedPage)
		return r
	},
	// A knows the file, and so does nobody else's page.
	"publish": func(t *testing.T) *race {
		r := newRace(t)
		r.recordOnly()
		r.a = func(e *index.Engine) error { return e.Publish(t.Context(), torch) }
		return r
	},
	// The page goes from A to B and back to A while A sleeps.
	"publish, and the page comes and goes": func(t *testing.T) *race {
		r := newRace(t)
		r.store.Seed(folder+r.buried, []byte("no zip"), fake.SeedOptions{})
		r.upload("2.8.0")
		r.sync()
		r.upload("2.9.0")
		r.recordOnly()
		r.a = func(e *index.Engine) error { return e.Publish(t.Context(), torch) }
		r.prelude = func(e *index.Engine) error { return e.Publish(t.Context(), torch) }
		return r
	},
}

// TestLateWriterNeverListsABuriedFile runs A up to each of its requests in turn,
// has B take the file back and publish, and lets A go on. From the moment that
// B's Publish has returned no page of any store may list the file.
func TestLateWriterNeverListsABuriedFile(t *testing.T) {
	for name, situation := range races {
		t.Run(name, func(t *testing.T) {
			stops := 0
			for n := 1; n < 100; n++ {
				r := situation(t)
				stopped, buried := r.runWithStop(n)
				if !stopped {
					break
				}
				if buried {
					stops++
				}
				// A fresh engine changes nothing about it.
				r.settle(r.another(r.mirror))
				r.wantListed(r.buried, false)
			}
			if stops < 3 {
				t.Errorf("only %d interleavings were tried", stops)
			}
		})
	}
}

// runWithStop lets A run and B interfere before A's nth request. buried is false
// if the file was in no catalog by then.
func (r *race) runWithStop(n int) (stopped, buried bool) {
	r.t.Helper()
	b := r.another(r.mirror)
	watch := func(store *fake.Store) fake.Fault {
		return func(op, key string) error {
			if buried && op == objectstore.OpPut && strings.Contains(key, "/index.") && listedIn(store.Contents()[key], r.buried) {
				r.t.Errorf("stop %d: %s in %s lists the file again", n, key, store.Bucket())
			}
			return nil
		}
	}
	calls := 0
	stop := func(_, _ string) {
		if calls++; calls != n {
			return
		}
		stopped = true
		buried = r.takeBack(b)
		if buried {
			for _, store := range []*fake.Store{r.store, r.mirror} {
				r.wantListedOn(store, r.buried, false)
			}
		}
	}
	a := r.on(&hooked{Store: r.store, before: stop}, &hooked{Store: r.mirror, before: stop})
	r.store.FailAfter(watch(r.store))
	r.mirror.FailAfter(watch(r.mirror))
	defer r.store.FailAfter(nil)
	defer r.mirror.FailAfter(nil)
	if err := r.a(a); err != nil {
		r.t.Errorf("stop %d: the late engine fails: %v", n, err)
	}
	return stopped, buried
}

// takeBack is what B does: it buries the file and publishes.
func (r *race) takeBack(b *index.Engine) (buried bool) {
	r.t.Helper()
	if r.prelude != nil {
		if err := r.prelude(b); err != nil {
			r.t.Fatal(err)
		}
	}
	c, err := b.Update(r.ctx(), torch, func(c *catalog.Catalog) bool {
		f := c.Find(r.buried)
		return f != nil && f.Bury(tombstone(v1alpha1.YankIndexRemoval))
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if c == nil || c.Find(r.buried) == nil {
		return false
	}
	if err := b.Publish(r.ctx(), torch); err != nil {
		r.t.Fatal(err)
	}
	return true
}

// TestStaleListingTakesNothingAway: B records an upload that A's listing came too
// early for. A must not take the file for missing, nor an old object for an
// overwritten one.
func TestStaleListingTakesNothingAway(t *testing.T) {
	for name, cold := range map[string]bool{"A has just started": true, "A has run before": false} {
		t.Run(name, func(t *testing.T) { testStaleListing(t, cold) })
	}
}

func testStaleListing(t *testing.T, cold bool) {
	for n := 1; n < 20; n++ {
		w := newWorld(t)
		first := w.upload("2.9.0")
		replaced := strings.Replace(first, "2.9.0", "2.9.5", 1)
		w.store.Seed(folder+replaced, []byte("no zip"), fake.SeedOptions{})
		w.sync()
		b, calls, late := w.another(), 0, ""
		h := &hooked{Store: w.store, before: func(string, string) {}}
		a := w.on(h)
		if !cold {
			w.syncBy(a)
		}
		h.before = func(string, string) {
			if calls++; calls == n {
				late = w.upload("2.9.1")
				w.upload("2.9.5")
				w.settle(b)
			}
		}
		w.upload("2.8.0")
		w.syncBy(a)
		if late == "" {
			if n < 5 {
				t.Errorf("only %d stops were tried", n)
			}
			return
		}
		w.wantListed(late, true)
		w.wantListed(replaced, true)
		w.wantListed(first, true)
	}
}

// TestNoUpdateIsLost has several engines change one catalog at once.
func TestNoUpdateIsLost(t *testing.T) {
	w := newWorld(t)
	const writers, each = 4, 10
	var group sync.WaitGroup
	for i := range writers {
		e := w.another()
		group.Go(func() {
			for j := range each {
				name := fmt.Sprintf("%d-%d", i, j)
				for {
					_, err := e.Update(t.Context(), torch, func(c *catalog.Catalog) bool {
						c.Put(catalog.File{Name: name, State: catalog.StateListed, SHA256: "00"})
						return true
					})
					if err == nil {
						break
					}
				}
			}
		})
	}
	group.Wait()
	if c := w.catalog(); len(c.Files) != writers*each || c.Revision != writers*each {
		t.Errorf("%d files at revision %d, want %d", len(c.Files), c.Revision, writers*each)
	}
}

// TestEnginesAtOnce syncs, buries and publishes from several engines at once.
func TestEnginesAtOnce(t *testing.T) {
	w := newWorld(t)
	bad := w.upload("2.9.0")
	w.sync()
	var group sync.WaitGroup
	for i := range 3 {
		e := w.another()
		group.Go(func() {
			for j := range 5 {
				w.upload(fmt.Sprintf("3.%d.%d", i, j))
				// Losing races all the time is an error that is tried again.
				_, _ = e.Sync(t.Context(), w.lane, torch.Channel)
			}
		})
	}
	group.Go(func() { w.bury(v1alpha1.YankIndexRemoval, bad) })
	group.Wait()
	if report := w.settle(w.another()); report.Files != 15 {
		t.Errorf("%d files are listed, want 15", report.Files)
	}
	w.wantListed(bad, false)
}
