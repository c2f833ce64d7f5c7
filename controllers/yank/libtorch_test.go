package yank

import (
	"archive/zip"
	gobytes "bytes"
	"slices"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// archivePublished is a lane with two archives of libtorch on every store.
func (w *world) archivePublished() (bad, good string) {
	w.t.Helper()
	w.lane(true)
	var b gobytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("libtorch/lib/libtorch.so")
	w.must(err)
	_, err = f.Write([]byte("machine code"))
	w.must(err)
	w.must(z.Close())
	folder := layout.LibtorchPrefix(platform, v1alpha1.ChannelRelease)
	bad, good = folder+"libtorch-shared-with-deps-2.9.0+spyre.zip", folder+"libtorch-shared-with-deps-2.9.1+spyre.zip"
	for _, s := range w.stores() {
		for _, key := range []string{bad, good} {
			s.Seed(key, b.Bytes(), fake.SeedOptions{NoChecksum: true})
		}
	}
	report, err := w.engine.Sync(w.t.Context(), index.Lane{Platform: platform, Packages: []string{"torch", "libtorch"}}, v1alpha1.ChannelRelease)
	w.must(err)
	if report.Files != 2 {
		w.t.Fatalf("report %+v", report)
	}
	return bad, good
}

// archivesOn is the page of archives in a store.
func archivesOn(store *fake.Store) string {
	html, _ := layout.ArchivePages(platform, v1alpha1.ChannelRelease)
	return store.Contents()[html]
}

// TestArchivesAreTakenBackLikeWheels: in every mode, and back again.
func TestArchivesAreTakenBackLikeWheels(t *testing.T) {
	for mode, versions := range map[v1alpha1.YankMode][]string{
		v1alpha1.YankFlag: {"bytes"}, v1alpha1.YankIndexRemoval: {"bytes"}, v1alpha1.YankQuarantine: {"marker", "bytes"}, v1alpha1.YankHardDelete: nil,
	} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, mirrored)
			bad, good := w.archivePublished()
			y := w.yank(mode, func(s *v1alpha1.YankSpec) {
				if mode != v1alpha1.YankHardDelete {
					restore(s)
				}
				s.Selector = v1alpha1.YankSelector{Package: v1alpha1.LibtorchPackage, Versions: "==2.9.0"}
			})
			w.settle(y)
			w.wantConditions(y, "Accepted=True/Resolved", "Verified=True/Probed", "Ready=True/Verified")
			if len(y.Status.Artifacts) != 1 || y.Status.Artifacts[0].Key != bad {
				t.Errorf("artifacts %+v", y.Status.Artifacts)
			}
			for _, s := range w.stores() {
				page := archivesOn(s)
				anchor, listed := lists(page, bad)
				if listed != (mode == v1alpha1.YankFlag) || listed && !strings.Contains(anchor, "data-yanked") {
					t.Errorf("%s: %s", s.Bucket(), anchor)
				}
				if _, listed := lists(page, good); !listed {
					t.Errorf("%s no longer lists the other archive", s.Bucket())
				}
				if got := versionsOf(t, s, bad); !slices.Equal(got, versions) {
					t.Errorf("%s holds %v of the archive, want %v", s.Bucket(), got, versions)
				}
				if got := versionsOf(t, s, good); !slices.Equal(got, []string{"bytes"}) {
					t.Errorf("%s holds %v of the other archive", s.Bucket(), got)
				}
			}
			if mode == v1alpha1.YankHardDelete {
				return
			}
			w.must(admin.Delete(t.Context(), y))
			w.settle(y)
			// The index takes up what came back with its next syncs.
			for range 3 {
				_, err := w.engine.Sync(t.Context(), index.Lane{Platform: platform, Packages: []string{"torch", "libtorch"}}, v1alpha1.ChannelRelease)
				w.must(err)
			}
			if anchor, listed := lists(archivesOn(w.primary), bad); !listed || strings.Contains(anchor, "data-yanked") {
				t.Errorf("restored: %v %s", listed, anchor)
			}
		})
	}
}
