package index_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// purgedSince tells whether the CDN was told to drop a key since a request.
func (w *world) purgedSince(request int, key string) bool {
	for _, r := range w.cdn.Requests()[request:] {
		if covers(r.Paths, "/"+key) {
			return true
		}
	}
	return false
}

// TestCopiesOfFormerBytesAreDropped: caches keep a file for a year, and other
// bytes may come under its name once it is gone.
func TestCopiesOfFormerBytesAreDropped(t *testing.T) {
	t.Run("removed", func(t *testing.T) {
		w := newWorld(t)
		name := w.upload("2.9.0")
		w.settle(w.engine)
		purges := len(w.cdn.Requests())
		w.store.SeedDelete(folder + name)
		w.store.SeedDelete(folder + name + ".metadata")
		w.settle(w.engine)
		w.store.Seed(folder+name, otherBytes(t, "2.9.0"), fake.SeedOptions{})
		w.settle(w.engine)
		w.wantListed(name, true)
		if !w.purgedSince(purges, folder+name) {
			t.Errorf("the caches keep the bytes of before; purged: %v", w.cdn.Requests()[purges:])
		}
		if stale := w.catalog().Stale; len(stale) != 0 {
			t.Errorf("still owed: %v", stale)
		}
	})
	t.Run("many removed", func(t *testing.T) {
		w := newWorld(t)
		w.engine = index.New(index.Target{Name: "primary", Store: w.store}, nil, w.cdn, func() time.Time { return w.now }, index.Limits{})
		var names []string
		for i := range 120 {
			what := wheeltest.Wheel{Project: "torch", Version: "2.8.0+spyre", Build: "1" + strings.Repeat("0", i%60) + string(rune('a'+i/60))}
			w.store.Seed(folder+what.Filename(), bytesOf(t, what), fake.SeedOptions{})
			names = append(names, what.Filename())
		}
		w.settle(w.engine)
		purges := len(w.cdn.Requests())
		for _, name := range names {
			w.store.SeedDelete(folder + name)
		}
		w.settle(w.engine)
		for _, name := range names {
			if !w.purgedSince(purges, folder+name) {
				t.Fatalf("the caches keep %s; purged: %v", name, w.cdn.Requests()[purges:])
			}
		}
	})
	t.Run("mended", func(t *testing.T) {
		w := newWorld(t)
		name := w.upload("2.9.0")
		good := w.store.Contents()[folder+name]
		w.store.Seed(folder+name, []byte("broken upload"), fake.SeedOptions{})
		w.settle(w.engine)
		purges := len(w.cdn.Requests())
		w.store.Seed(folder+name, []byte(good), fake.SeedOptions{})
		w.settle(w.engine)
		w.wantListed(name, true)
		if !w.purgedSince(purges, folder+name) {
			t.Errorf("the caches keep the broken bytes; purged: %v", w.cdn.Requests()[purges:])
		}
	})
	t.Run("attestation", func(t *testing.T) {
		a := newAttested(t)
		name := a.upload("1.0")
		a.attest(a.job, name)
		a.settle(a.engine)
		purges := len(a.cdn.Requests())
		a.attest(a.job, name) // Signatures are never the same.
		a.settle(a.engine)
		if !a.linked(name) || !a.purgedSince(purges, folder+name+".provenance") {
			t.Errorf("the caches keep the attestation of before; purged: %v", a.cdn.Requests()[purges:])
		}
	})
	t.Run("lane deleted", func(t *testing.T) {
		w := newWorld(t)
		name := w.upload("2.9.0")
		w.settle(w.engine)
		if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
			t.Fatal(err)
		}
		purges := len(w.cdn.Requests())
		w.cdn.FailBefore(func(string) error { return errors.New("crash") })
		if err := w.engine.DeleteFiles(t.Context(), "spyre"); err == nil {
			t.Error("nobody is told that the caches keep the files")
		}
		w.cdn.FailBefore(nil)
		if err := w.another().DeleteFiles(t.Context(), "spyre"); err != nil {
			t.Fatal(err)
		}
		if !w.purgedSince(purges, folder+name) || !w.purgedSince(purges, folder+name+".metadata") {
			t.Errorf("the caches keep the files; purged: %v", w.cdn.Requests()[purges:])
		}
		purges = len(w.cdn.Requests())
		if err := w.engine.DeleteFiles(t.Context(), "spyre"); err != nil || len(w.cdn.Requests()) != purges {
			t.Errorf("the next call: error %v, purged %v", err, w.cdn.Requests()[purges:])
		}
	})
}
