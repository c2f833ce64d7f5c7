package yank

import (
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

const (
	linkedName = "sympy-1.13.1-py3-none-any.whl"
	linkedURL  = "https://files.example.com/" + linkedName
	linkedPage = "whl/spyre/sympy/index.html"
)

// linked is a lane that links to a file of another index.
func (w *world) linked() {
	w.t.Helper()
	w.lane(true)
	lane := index.Lane{Platform: platform, Packages: []string{"torch"}, Dependencies: []index.Dependency{{
		Project: "sympy", IndexURL: "https://index.example.com/simple", Digest: "one",
		Files: []catalog.File{{
			Name: linkedName, State: catalog.StateListed, SHA256: strings.Repeat("ab", 32), Size: 7, Version: "1.13.1", Link: &catalog.Link{URL: linkedURL},
		}},
	}}}
	_, err := w.engine.Sync(w.t.Context(), lane, v1alpha1.ChannelRelease)
	w.must(err)
}

func ofSympy(s *v1alpha1.YankSpec) {
	s.Selector = v1alpha1.YankSelector{Package: "sympy", Versions: "==1.13.1"}
}

func (w *world) wantLink(what, mark string, want bool) {
	w.t.Helper()
	page := w.primary.Contents()[linkedPage]
	if strings.Contains(page, `"`+linkedURL+"#") != want || !strings.Contains(page, mark) {
		w.t.Errorf("%s: listed %v, want it %v with %q:\n%s", what, !want, want, mark, page)
	}
}

// TestLinkedFiles: a Yank takes a link off the lane's pages and says no more than
// that, for the bytes are another index's.
func TestLinkedFiles(t *testing.T) {
	for mode, want := range map[v1alpha1.YankMode][]string{
		v1alpha1.YankFlag:         {"IndexRemoved=True/Flagged", "Verified=True/Probed", "Ready=True/Verified"},
		v1alpha1.YankIndexRemoval: {"IndexRemoved=True/Unlisted", "Verified=True/Probed", "Ready=True/Verified"},
		v1alpha1.YankQuarantine:   {"IndexRemoved=True/Unlisted", "AccessBlocked=False/HostedElsewhere", "Verified=True/Probed", "Ready=False/HostedElsewhere", "Stalled=True/HostedElsewhere"},
		v1alpha1.YankHardDelete:   {"IndexRemoved=True/Unlisted", "Deleted=False/HostedElsewhere", "Verified=True/Probed", "Ready=False/HostedElsewhere", "Stalled=True/HostedElsewhere"},
	} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			w.linked()
			w.wantLink("before", "", true)
			y := w.yank(mode, ofSympy, func(s *v1alpha1.YankSpec) {
				if mode != v1alpha1.YankHardDelete { // What is destroyed cannot be restored.
					restore(s)
				}
			})
			w.settle(y)
			w.wantConditions(y, want...)
			mark := ""
			if mode == v1alpha1.YankFlag {
				mark = `data-yanked="backdoor"`
			}
			w.wantLink("yanked", mark, mode == v1alpha1.YankFlag)
			for _, op := range []string{objectstore.OpDelete, objectstore.OpDeleteVersion, objectstore.OpTagVersion, objectstore.OpCopy} {
				if n := w.primary.Calls()[op]; n > 0 {
					t.Errorf("%d calls of %s for bytes that are not the lane's", n, op)
				}
			}
			record, err := loadRecord(t.Context(), w.primary, platform, string(y.UID))
			w.must(err)
			if len(record.Artifacts) != 1 || record.Artifacts[0].URL != linkedURL || len(record.Artifacts[0].Probes) > 0 {
				t.Errorf("record: %+v", record.Artifacts)
			}
			warned := strings.Contains(strings.Join(y.Status.Warnings, "\n"), "another index publishes the bytes")
			if warned != mode.BlocksAccess() {
				t.Errorf("warnings %q", y.Status.Warnings)
			}
			if mode.BlocksAccess() {
				w.wantMessage(y, v1alpha1.BlockConditionFor(mode), linkedURL)
				if y.Status.AccessBlockedTime != nil || *y.Status.VerifiedCount != 0 || y.Status.Artifacts[0].State != v1alpha1.ArtifactOffIndex {
					t.Errorf("status claims too much: %+v", y.Status)
				}
			}
			version := y.ResourceVersion
			w.settle(y)
			if y.ResourceVersion != version {
				t.Error("a second pass writes")
			}

			w.delete(y)
			w.settle(y)
			if !w.gone(y) {
				t.Fatal("the deleted Yank is still there")
			}
			w.wantLink("restored", "", mode != v1alpha1.YankHardDelete)
		})
	}
}

// TestLinkedAndOwnFiles: the lane's own bytes go, whatever else was matched.
func TestLinkedAndOwnFiles(t *testing.T) {
	w := newWorld(t)
	bad := w.upload("2.9.0+spyre")
	w.linked()
	c, err := w.engine.Catalogs(t.Context(), platform)
	w.must(err)
	hashes := []string{strings.Repeat("ab", 32)}
	for _, c := range c {
		for i := range c.Files {
			if c.Project == "torch" {
				hashes = append(hashes, c.Files[i].SHA256)
			}
		}
	}
	y := w.yank(v1alpha1.YankQuarantine, func(s *v1alpha1.YankSpec) { s.Selector = v1alpha1.YankSelector{SHA256: hashes} })
	w.settle(y)
	w.wantConditions(y, "AccessBlocked=False/HostedElsewhere", "Ready=False/HostedElsewhere")
	w.wantMessage(y, v1alpha1.AccessBlockedCondition, "1 file of 2")
	w.wantListed(bad, false)
	if got := versionsOf(t, w.primary, bad); len(got) != 2 || got[0] != "marker" {
		t.Errorf("the lane's own file: %v", got)
	}
}
