package pages_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

func rootHTML(l pages.Listing) string { return string(pages.Root(l)[0].Body) }

func TestTheRootShowsTheLatestRemovals(t *testing.T) {
	l := listing(v1alpha1.ChannelNightly, "torch")
	for i := range 13 {
		l.Removals = append(l.Removals, pages.Removal{File: fmt.Sprintf("file%02d.whl", i), Mode: v1alpha1.YankFlag, Reason: "r", Time: noon.Add(time.Duration(i) * time.Hour)})
	}
	want := rootHTML(l)
	shown := regexp.MustCompile(`file([0-9]{2})\.whl`).FindAllString(want, -1)
	if len(shown) != 10 || shown[0] != "file12.whl" || shown[9] != "file03.whl" || !strings.Contains(want, "And 3 more.") {
		t.Errorf("%d removals are shown: %q", len(shown), shown)
	}
	if !strings.Contains(want, `action="../../spyre/removals.json"`) {
		t.Error("the feed of the platform is not linked")
	}
	for range 10 {
		rand.Shuffle(len(l.Removals), func(i, j int) { l.Removals[i], l.Removals[j] = l.Removals[j], l.Removals[i] })
		if rootHTML(l) != want {
			t.Fatal("the page depends on the order of the removals")
		}
	}
}

func TestTheRootTellsTheLastUpload(t *testing.T) {
	c := catalog.New("spyre", v1alpha1.ChannelRelease, "torch")
	for i, day := range []int{3, 7, 5} {
		f := listed(fmt.Sprintf("f%d.whl", i), "1")
		f.UploadTime = time.Date(2026, 3, day, 23, 30, 0, 0, time.FixedZone("west", -3600))
		c.Put(f)
	}
	rejected := listed("later.whl", "2")
	rejected.State, rejected.UploadTime = catalog.StateRejected, noon.AddDate(1, 0, 0)
	c.Put(rejected)
	l := listing(v1alpha1.ChannelRelease)
	l.Add(c)
	if page := rootHTML(l); !strings.Contains(page, `<time datetime="2026-03-08">2026-03-08</time>`) {
		t.Errorf("want the day of the newest listed file, in UTC:\n%s", page)
	}
}

func TestTheRootShowsTheOtherChannels(t *testing.T) {
	l := listing(v1alpha1.ChannelNightly, "torch")
	page := rootHTML(l)
	for _, want := range []string{`action="../../spyre/"`, `action="../../test/spyre/"`, "<h2 id=\"channels\">"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Index(page, "/whl/nightly/spyre/") > strings.Index(page, "/whl/spyre/") {
		t.Error("the page's own channel does not come first")
	}
	l.Profile.Channels = []v1alpha1.ChannelName{v1alpha1.ChannelNightly}
	if page := rootHTML(l); strings.Contains(page, "Other channels") || strings.Contains(page, "does not publish") {
		t.Error("a lane of one channel speaks of others")
	}
	l.BaseURL = ""
	if page := rootHTML(l); strings.Contains(page, "pip install") || strings.Contains(page, "Install") {
		t.Error("a command without an address")
	}
}

// TestRootsAreDeterministic: an unchanged page keeps its ETag, whatever order
// its parts come in.
func TestRootsAreDeterministic(t *testing.T) {
	l := listing(v1alpha1.ChannelRelease, "b", "a", "libtorch")
	l.Add(sample())
	want := pages.Root(l)
	for range 10 {
		rand.Shuffle(len(l.Projects), func(i, j int) { l.Projects[i], l.Projects[j] = l.Projects[j], l.Projects[i] })
		channels := l.Profile.Channels
		rand.Shuffle(len(channels), func(i, j int) { channels[i], channels[j] = channels[j], channels[i] })
		for i, page := range pages.Root(l) {
			if !bytes.Equal(page.Body, want[i].Body) {
				t.Fatalf("%s depends on the order of what it shows", page.Key)
			}
		}
	}
}
