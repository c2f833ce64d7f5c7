package index_test

import (
	"maps"
	"slices"
	"testing"

	cdnfake "github.com/pytorch/platform-lane-operator/controllers/cdn/fake"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

var seedPage = fake.SeedOptions{ContentType: "text/html"}

// TestSyncMends changes one object behind the engine's back.
func TestSyncMends(t *testing.T) {
	what := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.10"}
	metadata := folder + what.Filename() + ".metadata"
	for _, key := range []string{htmlPage, jsonPage, folder + "index.html", folder + "index.v1_json", metadata} {
		for how, tamper := range map[string]func(*world){
			"tampered": func(w *world) { w.store.Seed(key, []byte("evil"), seedPage) },
			"deleted": func(w *world) {
				if _, err := w.store.Delete(w.ctx(), key); err != nil {
					w.t.Fatal(err)
				}
			},
		} {
			for who, fresh := range map[string]bool{"same engine": false, "after a restart": true} {
				t.Run(key+" "+how+", "+who, func(t *testing.T) {
					w := newWorld(t)
					// Without a checksum: mending must not download the wheel.
					w.store.Seed(folder+what.Filename(), bytesOf(t, what), fake.SeedOptions{NoChecksum: true})
					w.sync()
					good, purges := w.store.Contents(), len(w.cdn.Requests())
					tamper(w)
					whole := &wholeReads{Store: w.store}
					e := w.engine
					if fresh {
						e = w.on(whole)
					}
					w.syncBy(e)
					w.wantListed(what.Filename(), true)
					if whole.count != 0 {
						t.Error("the wheel was downloaded")
					}
					if key == metadata || key == folder+"index.html" || key == folder+"index.v1_json" {
						if w.store.Contents()[key] != good[key] {
							t.Errorf("%s was not mended", key)
						}
					}
					// Whatever lay there may be in the caches.
					if key != metadata || how != "deleted" {
						requests := w.cdn.Requests()
						if len(requests) != purges+1 || !covers(requests[purges].Paths, "/"+key) {
							t.Errorf("purges: %v", requests[purges:])
						}
					}
					after := w.store.Contents()
					w.store.ResetCalls()
					w.syncBy(e)
					wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})
					if !maps.Equal(after, w.store.Contents()) {
						t.Error("the next sync wrote again")
					}
				})
			}
		}
	}
}

// covers tells whether a purge of paths drops the copies of a key that may have
// a plus sign.
func covers(paths []string, key string) bool {
	return slices.Contains(paths, key) || slices.ContainsFunc(paths, func(p string) bool {
		n := len(p) - 1
		return p[n] == '*' && len(key) >= n && key[:n] == p[:n]
	})
}

func TestPageOfAnUnknownProjectIsReported(t *testing.T) {
	w := newWorld(t)
	w.upload("2.9.0")
	w.store.Seed(folder+"numpy/index.html", []byte("evil"), seedPage)
	wantRejected(t, w.sync(), "numpy/index.html", "UnexpectedPage")
}

// TestCrashWhileMendingLeavesNoStaleCopy ends the process at each request while a
// METADATA file is mended: whatever the caches took from what lay there has to be
// purged after the right one was written.
func TestCrashWhileMendingLeavesNoStaleCopy(t *testing.T) {
	for what, upload := range map[string]func(*world) string{
		"tampered": func(w *world) string {
			name := w.upload("2.9.0")
			w.sync()
			return name
		},
		"there before the wheel": func(w *world) string { return w.upload("2.9.0") },
	} {
		t.Run(what, func(t *testing.T) {
			crashes := 0
			for _, lost := range []bool{false, true} {
				for n := 1; ; n++ {
					w := newWorld(t)
					metadata := folder + upload(w) + ".metadata"
					w.store.Seed(metadata, []byte("evil"), fake.SeedOptions{})
					purgesAt := -1
					h := &hooked{Store: w.store, before: func(op, key string) {
						if op == objectstore.OpPut && key == metadata {
							purgesAt = len(w.cdn.Requests())
						}
					}}
					hit := crash(w.store, n, lost)
					_ = syncTwice(w, w.on(h))
					if !*hit {
						break
					}
					crashes++
					w.store.FailBefore(nil)
					w.store.FailAfter(nil)
					w.settle(w.on(h))
					if purgesAt < 0 || w.store.Contents()[metadata] == "evil" {
						t.Fatalf("request %d, lost %v: it was not mended", n, lost)
					}
					if !slices.ContainsFunc(w.cdn.Requests()[purgesAt:], func(r cdnfake.Request) bool { return covers(r.Paths, "/"+metadata) }) {
						t.Errorf("request %d, lost %v: the caches keep what lay there", n, lost)
					}
				}
			}
			if crashes < 10 {
				t.Errorf("only %d crashes were tried", crashes)
			}
		})
	}
}
