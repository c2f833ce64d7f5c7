package index_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	cdnfake "github.com/pytorch/platform-lane-operator/controllers/cdn/fake"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
	"github.com/pytorch/platform-lane-operator/controllers/yankplan"
)

const (
	folder   = "whl/spyre/"
	htmlPage = folder + "torch/index.html"
	jsonPage = folder + "torch/index.v1_json"
)

var (
	torch = index.Ref{Platform: "spyre", Channel: v1alpha1.ChannelRelease, Project: "torch"}
	start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

// world is a bucket, a CDN and an engine. The lane is spyre, the channel release.
type world struct {
	t      testing.TB
	store  *fake.Store
	cdn    *cdnfake.CDN
	engine *index.Engine
	lane   index.Lane
	// now is what the clock says.
	now time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: start, lane: index.Lane{Platform: "spyre", Packages: []string{"torch"}}}
	clock := func() time.Time { return w.now }
	w.store, w.cdn = fake.New("bucket", fake.WithClock(clock)), cdnfake.New(clock)
	w.engine = w.another()
	return w
}

// another is an engine that has just started, on the same bucket.
func (w *world) another(mirrors ...objectstore.Store) *index.Engine { return w.on(w.store, mirrors...) }

func (w *world) on(primary objectstore.Store, mirrors ...objectstore.Store) *index.Engine {
	var targets []index.Target
	for i, m := range mirrors {
		targets = append(targets, index.Target{Name: fmt.Sprintf("mirror%d", i), Store: m})
	}
	// One file at a time: requests come one after the other, and hooks can count
	// them.
	limits := index.Limits{FilesAtOnce: 1}
	return index.New(index.Target{Name: "primary", Store: primary}, targets, w.cdn, func() time.Time { return w.now }, limits)
}

// upload puts a good wheel of torch into the lane and returns its name.
func (w *world) upload(version string) string { return w.uploadOf("torch", version) }

func (w *world) uploadOf(project, version string) string {
	w.t.Helper()
	what := wheeltest.Wheel{Project: project, Version: version + "+spyre", RequiresPython: ">=3.10"}
	w.store.Seed(folder+what.Filename(), bytesOf(w.t, what), fake.SeedOptions{})
	return what.Filename()
}

// otherBytes are a good wheel of the same name as upload makes.
func otherBytes(t testing.TB, version string) []byte {
	t.Helper()
	return bytesOf(t, wheeltest.Wheel{Project: "torch", Version: version + "+spyre", PadTo: 4096})
}

func bytesOf(t testing.TB, what wheeltest.Wheel) []byte {
	t.Helper()
	data, err := what.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sync runs the world's engine, which has to succeed.
func (w *world) sync() index.Report {
	w.t.Helper()
	return w.syncBy(w.engine)
}

func (w *world) syncBy(e *index.Engine) index.Report {
	w.t.Helper()
	report, err := e.Sync(w.ctx(), w.lane, v1alpha1.ChannelRelease)
	if err != nil {
		w.t.Fatal(err)
	}
	if report.PurgeErr != nil || report.MirrorErr != nil {
		w.t.Fatal(report.PurgeErr, report.MirrorErr)
	}
	return report
}

// settle syncs until nothing is left to do.
func (w *world) settle(e *index.Engine) index.Report {
	w.t.Helper()
	for range 5 {
		if report := w.syncBy(e); report.Pending == 0 && !report.Wrote {
			return report
		}
	}
	w.t.Fatal("five syncs did not come to rest")
	return index.Report{}
}

func (w *world) ctx() context.Context { return w.t.Context() }

// bury takes a file back, as a Yank does.
func bury(ctx context.Context, e *index.Engine, mode v1alpha1.YankMode, name string) error {
	_, err := e.Update(ctx, torch, func(c *catalog.Catalog) bool {
		f := c.Find(name)
		return f != nil && f.Bury(tombstone(mode))
	})
	return err
}

func tombstone(mode v1alpha1.YankMode) catalog.Tombstone {
	return catalog.Tombstone{UID: "uid-1", Namespace: "ns", Name: "bad", Mode: mode, Reason: "bad build", Time: start}
}

func (w *world) bury(mode v1alpha1.YankMode, name string) {
	w.t.Helper()
	if err := bury(w.ctx(), w.engine, mode, name); err != nil {
		w.t.Fatal(err)
	}
	if err := w.engine.Publish(w.ctx(), torch); err != nil {
		w.t.Fatal(err)
	}
}

// exhume withdraws the tombstone of bury.
func (w *world) exhume(name string) {
	w.t.Helper()
	if _, err := w.engine.Update(w.ctx(), torch, func(c *catalog.Catalog) bool { return c.Find(name).Exhume("uid-1") }); err != nil {
		w.t.Fatal(err)
	}
}

// rule is a standing Yank.
func (w *world) rule(mode v1alpha1.YankMode, sel v1alpha1.YankSelector) {
	w.t.Helper()
	selector, err := yankplan.Compile(sel)
	if err != nil {
		w.t.Fatal(err)
	}
	w.lane.Rules = append(w.lane.Rules, index.Rule{Selector: selector, Tombstone: tombstone(mode)})
}

// listedIn tells whether a page lists a file; pages link to it and spell the
// plus sign as %2B.
func listedIn(page, name string) bool { return strings.Contains(page, "../"+layout.EscapeKey(name)) }

// wantListed checks both pages.
func (w *world) wantListed(name string, want bool) {
	w.t.Helper()
	w.wantListedOn(w.store, name, want)
}

func (w *world) wantListedOn(store *fake.Store, name string, want bool) {
	w.t.Helper()
	project, _, _ := strings.Cut(name, "-")
	contents := store.Contents()
	for _, key := range []string{folder + project + "/index.html", folder + project + "/index.v1_json"} {
		page, ok := contents[key]
		if !ok {
			w.t.Errorf("there is no page %s", key)
		}
		if got := listedIn(page, name); got != want {
			w.t.Errorf("%s lists %s: %v, want %v", key, name, got, want)
		}
	}
}

// catalog reads the stored catalog of torch.
func (w *world) catalog() *catalog.Catalog {
	w.t.Helper()
	c, err := catalog.Decode([]byte(w.store.Contents()["_lanes/spyre/release/torch.json"]))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// entry is the catalog's entry of a file.
func (w *world) entry(name string) catalog.File {
	w.t.Helper()
	f := w.catalog().Find(name)
	if f == nil {
		w.t.Fatalf("the catalog has no entry of %s", name)
	}
	return *f
}

func wantRejected(t testing.TB, report index.Report, name, reason string) {
	t.Helper()
	for _, r := range report.Rejected {
		if r.Key == folder+name {
			if r.Reason != reason || r.Message == "" {
				t.Errorf("%q is rejected as %s (%s), want %s", name, r.Reason, r.Message, reason)
			}
			return
		}
	}
	t.Errorf("%q is not among the rejected files, want reason %s", name, reason)
}

// wantCalls compares what was requested since ResetCalls; listings are counted
// too.
func wantCalls(t testing.TB, store *fake.Store, want map[string]int) {
	t.Helper()
	if got := store.Calls(); !maps.Equal(got, want) {
		t.Errorf("requests: %v, want %v", got, want)
	}
}

// hooked is a store that calls a hook before each request, for one engine alone.
type hooked struct {
	objectstore.Store
	before func(op, key string)
}

func (h *hooked) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Object, error] {
	return func(yield func(objectstore.Object, error) bool) {
		h.before(objectstore.OpList, prefix)
		h.Store.List(ctx, prefix)(yield)
	}
}

func (h *hooked) Head(ctx context.Context, key string) (objectstore.Info, error) {
	h.before(objectstore.OpHead, key)
	return h.Store.Head(ctx, key)
}

func (h *hooked) Put(ctx context.Context, key string, body []byte, opts objectstore.PutOptions) (objectstore.Written, error) {
	h.before(objectstore.OpPut, key)
	return h.Store.Put(ctx, key, body, opts)
}
