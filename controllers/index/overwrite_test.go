package index_test

import (
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

func TestOverwrittenFileIsTakenOffThePage(t *testing.T) {
	for name, fresh := range map[string]bool{"same engine": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			name := w.upload("2.9.0")
			w.sync()
			original := w.entry(name)
			w.store.Seed(folder+name, otherBytes(t, "2.9.0"), fake.SeedOptions{})
			if fresh {
				w.engine = w.another()
			}
			report := w.settle(w.engine)
			w.wantListed(name, false)
			wantRejected(t, report, name, "Overwritten")
			wantRejected(t, w.sync(), name, "Overwritten")

			// A third upload changes nothing, the first bytes put everything right.
			w.store.Seed(folder+name, []byte("third"), fake.SeedOptions{})
			wantRejected(t, w.sync(), name, "Overwritten")
			w.upload("2.9.0")
			purges := len(w.cdn.Requests())
			if report := w.sync(); len(report.Rejected) != 0 {
				t.Errorf("rejected: %v", report.Rejected)
			}
			w.wantListed(name, true)
			if back := w.entry(name); back.SHA256 != original.SHA256 || back.State != catalog.StateListed {
				t.Errorf("entry %+v", back)
			}
			if requests := w.cdn.Requests(); len(requests) != purges+1 || !covers(requests[purges].Paths, "/"+folder+name) {
				t.Error("the CDN may still hold the other bytes")
			}
		})
	}
}

func TestOverwrittenMetadataIsMendedBeforeRelisting(t *testing.T) {
	w := newWorld(t)
	name := w.upload("2.9.0")
	w.sync()
	good := w.store.Contents()[folder+name+".metadata"]
	w.store.Seed(folder+name, otherBytes(t, "2.9.0"), fake.SeedOptions{})
	w.sync()
	w.store.Seed(folder+name+".metadata", []byte("evil"), fake.SeedOptions{})
	w.upload("2.9.0")
	w.store.FailAfter(func(op, key string) error {
		if key == htmlPage && op == objectstore.OpPut && w.store.Contents()[folder+name+".metadata"] != good {
			t.Error("the page was published beside a foreign METADATA file")
		}
		return nil
	})
	w.sync()
	w.wantListed(name, true)
}

func TestOverwriteOfARejectedFileIsJudged(t *testing.T) {
	w := newWorld(t)
	w.upload("1.0")
	name := strings.Replace(w.upload("1.0"), "1.0", "2.9.0", 1)
	w.store.Seed(folder+name, []byte("no zip"), fake.SeedOptions{})
	wantRejected(t, w.sync(), name, "ZipMalformed")
	w.wantListed(name, false)
	w.upload("2.9.0")
	w.sync()
	w.wantListed(name, true)
}

// TestOverwrittenYankedFile: a tombstone must not turn an overwritten file into
// a new one, neither while it stands nor when it is withdrawn.
func TestOverwrittenYankedFile(t *testing.T) {
	for _, mode := range []v1alpha1.YankMode{v1alpha1.YankFlag, v1alpha1.YankIndexRemoval, v1alpha1.YankQuarantine} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			name := w.upload("2.9.0")
			w.sync()
			w.bury(mode, name)
			w.wantListed(name, mode == v1alpha1.YankFlag)
			w.store.Seed(folder+name, otherBytes(t, "2.9.0"), fake.SeedOptions{})
			if report := w.sync(); report.Resurfaced != mode.BlocksAccess() {
				t.Errorf("resurfaced: %v", report.Resurfaced)
			}
			w.wantListed(name, false)
			w.exhume(name)
			w.settle(w.engine)
			w.wantListed(name, false)
			wantRejected(t, w.sync(), name, "Overwritten")
			w.upload("2.9.0")
			w.settle(w.engine)
			if mode == v1alpha1.YankFlag {
				w.wantListed(name, true)
			}
		})
	}
}
