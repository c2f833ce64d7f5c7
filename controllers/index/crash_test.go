package index_test

import (
	"errors"
	"maps"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

var errDied = errors.New("the process died")

// crash makes a store behave as one whose client dies at its nth request: the
// request has its effect if lost is true, none after it has.
func crash(store *fake.Store, n int, lost bool) (hit *bool) {
	hit = new(bool)
	calls := 0
	store.FailBefore(func(op, _ string) error {
		if op == fake.OpBody {
			return nil
		}
		if calls++; calls < n || calls == n && lost {
			return nil
		}
		*hit = true
		return errDied
	})
	store.FailAfter(func(op, _ string) error {
		if op != fake.OpBody && lost && calls == n {
			*hit = true
			return errDied
		}
		return nil
	})
	return hit
}

// operations are what may be cut short, each with what is there before.
var operations = map[string]struct {
	prepare func(*world)
	run     func(*world, *index.Engine) error
}{
	"first sync": {
		func(*world) {},
		syncOnce,
	},
	"sync": {
		func(w *world) {
			w.sync()
			w.upload("2.9.1")
			w.uploadOf("torchvision", "0.1")
			if _, err := w.store.Delete(w.ctx(), folder+w.upload("1.9.0")); err != nil {
				w.t.Fatal(err)
			}
		},
		syncOnce,
	},
	"update": {
		func(w *world) { w.sync() },
		func(w *world, e *index.Engine) error {
			if err := bury(w.ctx(), e, v1alpha1.YankFlag, w.upload("2.9.0")); err != nil {
				return err
			}
			return syncOnce(w, e)
		},
	},
	"publish": {
		func(w *world) {
			w.sync()
			if err := bury(w.ctx(), w.engine, v1alpha1.YankIndexRemoval, w.upload("2.9.0")); err != nil {
				w.t.Fatal(err)
			}
		},
		func(w *world, e *index.Engine) error {
			if err := e.Publish(w.ctx(), torch); err != nil {
				return err
			}
			if err := e.PublishRemovals(w.ctx(), "spyre"); err != nil {
				return err
			}
			return syncOnce(w, e)
		},
	},
	"expire": {
		func(w *world) {
			w.keepDays(30)
			w.sync()
			w.now = start.AddDate(0, 0, 31)
			w.upload("2.9.1")
			w.settle(w.engine)
			w.now = w.now.Add(24 * time.Hour)
		},
		syncOnce,
	},
	"remove": {
		func(w *world) {
			w.keepDays(30)
			w.sync()
			w.now = start.AddDate(0, 0, 31)
			w.upload("2.9.1")
			for range 2 {
				w.settle(w.engine)
				w.now = w.now.Add(24 * time.Hour)
			}
		},
		syncTwice,
	},
	"mend": {
		func(w *world) {
			w.sync()
			for key := range w.store.Contents() {
				if strings.HasSuffix(key, ".metadata") {
					w.store.Seed(key, []byte("evil"), fake.SeedOptions{})
				}
			}
			w.store.Seed(folder+w.upload("2.9.1")+".metadata", []byte("evil"), fake.SeedOptions{})
		},
		syncTwice,
	},
	"retire": {
		func(w *world) { w.sync() },
		func(w *world, e *index.Engine) error { return e.Retire(w.ctx(), "spyre") },
	},
}

func syncOnce(w *world, e *index.Engine) error {
	for {
		report, err := e.Sync(w.ctx(), w.lane, torch.Channel)
		if err = errors.Join(err, report.PurgeErr, report.RemovalErr); err != nil || report.Pending == 0 {
			return err
		}
	}
}

// syncTwice is syncOnce with the Sync that sees what the first one has done.
func syncTwice(w *world, e *index.Engine) error {
	if err := syncOnce(w, e); err != nil {
		return err
	}
	return syncOnce(w, e)
}

// TestCrashAtEveryRequest cuts each operation short at each of its requests,
// before and after the request's effect. A new process that does it again ends
// with the same bucket as one that was never disturbed.
func TestCrashAtEveryRequest(t *testing.T) {
	for name, op := range operations {
		t.Run(name, func(t *testing.T) {
			prepared := func() *world {
				w := newWorld(t)
				w.upload("2.9.0")
				w.store.Seed(folder+"torch-6.6.6+spyre-py3-none-any.whl", []byte("no zip"), fake.SeedOptions{})
				op.prepare(w)
				return w
			}
			undisturbed := prepared()
			if err := op.run(undisturbed, undisturbed.another()); err != nil {
				t.Fatal(err)
			}
			want := undisturbed.store.Contents()
			points := 0
			for _, lost := range []bool{false, true} {
				for n := 1; ; n++ {
					w := prepared()
					hit := crash(w.store, n, lost)
					err := op.run(w, w.another())
					if !*hit {
						break
					}
					points++
					if err == nil {
						t.Errorf("request %d, lost %v: nobody noticed", n, lost)
					}
					w.store.FailBefore(nil)
					w.store.FailAfter(nil)
					w.pagesAreRight(n, lost)
					if err := op.run(w, w.another()); err != nil {
						t.Fatalf("request %d, lost %v: the next process fails: %v", n, lost, err)
					}
					if got := w.store.Contents(); !maps.Equal(got, want) {
						t.Errorf("request %d, lost %v: %s", n, lost, difference(got, want))
					}
				}
			}
			if points < 10 {
				t.Errorf("only %d crashes were tried", points)
			}
		})
	}
}

// linkRE finds the files that a page lists.
var linkRE = regexp.MustCompile(`"\.\./([^"/#]+\.whl)`)

// pagesAreRight checks what is published between a crash and the next process.
func (w *world) pagesAreRight(n int, lost bool) {
	w.t.Helper()
	contents := w.store.Contents()
	for key, page := range contents {
		if !strings.Contains(key, "/index.") {
			continue
		}
		if strings.Contains(page, "6.6.6") {
			w.t.Errorf("request %d, lost %v: %s lists a rejected file", n, lost, key)
		}
		for _, link := range linkRE.FindAllStringSubmatch(page, -1) {
			file, err := url.PathUnescape(link[1])
			if _, ok := contents[folder+file]; !ok || err != nil {
				w.t.Errorf("request %d, lost %v: %s lists %s, which is not there any more", n, lost, key, file)
			}
		}
		for name := range contents {
			file, isMetadata := strings.CutSuffix(strings.TrimPrefix(name, folder), ".metadata")
			if isMetadata {
				continue
			}
			if _, has := contents[folder+file+".metadata"]; !has && strings.HasSuffix(file, ".whl") && listedIn(page, file) {
				w.t.Errorf("request %d, lost %v: %s lists %s, which has no METADATA file yet", n, lost, key, file)
			}
		}
	}
}

func difference(got, want map[string]string) string {
	for key := range want {
		if got[key] != want[key] {
			return key + " is\n" + got[key] + "\nwant\n" + want[key]
		}
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			return key + " is there"
		}
	}
	return "they are the same"
}
