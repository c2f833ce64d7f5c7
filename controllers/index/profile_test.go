package index_test

import (
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

const rootPage = folder + "index.html"

func (w *world) wantRoot(texts ...string) {
	w.t.Helper()
	page := w.store.Contents()[rootPage]
	for _, text := range texts {
		if !strings.Contains(page, text) {
			w.t.Errorf("%s lacks %q:\n%s", rootPage, text, page)
		}
	}
}

// profiled is a world whose lane tells people about itself, and whose engine
// knows where the index is public.
func profiled(t *testing.T) *world {
	w := newWorld(t)
	w.engine = index.New(
		index.Target{Name: "primary", Store: w.store, BaseURLs: []string{"https://download.example.org"}}, nil,
		w.cdn, func() time.Time { return start }, index.Limits{FilesAtOnce: 1},
	)
	w.lane.Profile = pages.Profile{
		Packages: []string{"torch"}, Channels: []v1alpha1.ChannelName{v1alpha1.ChannelRelease},
		LatestSupportedRelease: "2.9", Maintainers: []v1alpha1.Maintainer{{Name: "Ada"}},
	}
	return w
}

func TestTheRootTellsPeopleAboutTheLane(t *testing.T) {
	w := profiled(t)
	w.upload("2.9.0")
	w.settle(w.engine)
	w.wantRoot("pip install torch --extra-index-url https://download.example.org/whl/spyre/", "<dd>2.9</dd>", "Ada", `<a href="torch/">torch</a>`,
		`<time datetime="2026-11-23">`, "Nothing was removed")

	// Another manifest alone is reason enough to write it again, once.
	w.lane.Profile.LatestSupportedRelease = "2.10"
	purges := len(w.cdn.Requests())
	if report := w.sync(); !report.Wrote {
		t.Error("a new profile was not published")
	}
	w.wantRoot("<dd>2.10</dd>")
	if requests := w.cdn.Requests(); len(requests) != purges+1 || !covers(requests[purges].Paths, "/"+rootPage) {
		t.Errorf("purged: %v", requests[purges:])
	}
	w.settle(w.engine)
	w.store.ResetCalls()
	if report := w.sync(); report.Wrote {
		t.Errorf("the same profile was published again: %v", w.store.Calls())
	}
}

func TestTheRootTellsWhatWasRemoved(t *testing.T) {
	w := profiled(t)
	name := w.upload("2.9.0")
	w.settle(w.engine)
	w.bury(v1alpha1.YankQuarantine, name)
	w.settle(w.engine)
	w.wantRoot("put out of reach", "bad build", `action="removals.json"`)
}

func TestARetiredLanesRootNamesNobody(t *testing.T) {
	w := profiled(t)
	w.upload("2.9.0")
	w.settle(w.engine)
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	w.wantRoot("publishes nothing here any more")
	if page := w.store.Contents()[rootPage]; strings.Contains(page, "Ada") || strings.Contains(page, "pip install") || strings.Contains(page, "<a ") {
		t.Errorf("the page of a retired lane:\n%s", page)
	}
}

func TestALaneWithoutReleasesHasARootForPeople(t *testing.T) {
	w := profiled(t)
	w.lane.Profile.Channels = []v1alpha1.ChannelName{v1alpha1.ChannelNightly}
	front := func() {
		t.Helper()
		if err := w.engine.PublishFront(t.Context(), w.lane); err != nil {
			t.Fatal(err)
		}
	}
	front()
	w.wantRoot("choose another one below", `action="../nightly/spyre/"`, "No packages are published here")
	if !covers(w.cdn.Paths(), "/"+rootPage) {
		t.Errorf("purged: %v", w.cdn.Paths())
	}

	w.store.ResetCalls()
	front()
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})

	// What somebody did to it is mended.
	w.store.Seed(rootPage, []byte("tampered"), fake.SeedOptions{})
	front()
	w.wantRoot("Ada")

	// A retired lane says nothing of the kind, whoever comes late.
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	front()
	w.wantRoot("publishes nothing here any more")
}
