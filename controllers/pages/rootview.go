package pages

import (
	"cmp"
	"slices"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// recentRemovals is how many removals the root page shows; the feed has all.
const recentRemovals = 10

// dateOnly is how pages for people show a time. The day is enough for them, and
// the page then changes once a day and not with every upload.
const dateOnly = time.DateOnly

// rootView is a Listing as its template shows it: every text is clean and every
// URL relative to the page.
type rootView struct {
	frame
	Intro    string
	Channels []channelView
	// Published is true while the lane publishes to this channel, Others while
	// it publishes to another one.
	Published, Others      bool
	Projects               []projectView
	ArchivesURL            string
	LatestSupportedRelease string
	LastUpload             string
	Maintainers            []v1alpha1.Maintainer
	Removals               []removalView
	OlderRemovals          int
	FeedURL                string
}

type channelView struct {
	Name, Title, URL, Pip, UV string
	// Own is true for the channel whose root this is.
	Own bool
}

type projectView struct{ Name, URL string }

type removalView struct{ File, Date, What, Reason, Advisory string }

// HasFacts is true when there is anything to say about the platform.
func (v rootView) HasFacts() bool {
	return v.LatestSupportedRelease != "" || v.LastUpload != "" || len(v.Maintainers) > 0
}

// titles name the channels for people.
var titles = map[v1alpha1.ChannelName]struct{ title, intro string }{
	v1alpha1.ChannelRelease: {"Releases", "Releases of PyTorch for this platform, published by its vendor."},
	v1alpha1.ChannelTest:    {"Release candidates", "Candidates of the next PyTorch release for this platform, published by its vendor for testing."},
	v1alpha1.ChannelNightly: {"Nightly builds", "Nightly builds of PyTorch for this platform, published by its vendor. They may break."},
}

func (l *Listing) view(pageKey string, names []string) rootView {
	title := titles[l.Channel]
	v := rootView{
		frame: frame{Title: title.title + " of PyTorch for " + clean(l.Platform)}, Intro: title.intro,
		LatestSupportedRelease: clean(l.Profile.LatestSupportedRelease),
		FeedURL:                relative(pageKey, layout.RemovalsKey(l.Platform)),
	}
	v.addChannels(l, pageKey)
	for _, name := range names {
		v.Projects = append(v.Projects, projectView{Name: clean(name), URL: layout.EscapeKey(name) + "/"})
	}
	if slices.Contains(l.Projects, v1alpha1.LibtorchPackage) {
		v.ArchivesURL = relative(pageKey, layout.LibtorchPrefix(l.Platform, l.Channel))
	}
	if !l.LastUpload.IsZero() {
		v.LastUpload = l.LastUpload.UTC().Format(dateOnly)
	}
	for _, m := range l.Profile.Maintainers {
		v.Maintainers = append(v.Maintainers, v1alpha1.Maintainer{Name: clean(m.Name), Email: clean(m.Email), GitHub: clean(m.GitHub)})
	}
	v.addRemovals(l.Removals)
	return v
}

// addChannels shows the page's own channel first and the others from the most
// stable on.
func (v *rootView) addChannels(l *Listing, pageKey string) {
	channels := layout.Channels()
	slices.Reverse(channels)
	for _, channel := range channels {
		if !slices.Contains(l.Profile.Channels, channel) {
			continue
		}
		c := channelView{
			Name: string(channel), Title: titles[channel].title, Own: channel == l.Channel,
			URL: relative(pageKey, layout.WheelPrefix(l.Platform, channel)),
		}
		if l.BaseURL != "" {
			url := layout.IndexURL(l.BaseURL, l.Platform, channel)
			c.Pip = clean(PipCommand(l.Profile.Packages, channel, url))
			c.UV = clean(UVCommand(l.Profile.Packages, channel, url))
		}
		v.Published = v.Published || c.Own
		v.Others = v.Others || !c.Own
		v.Channels = append(v.Channels, c)
	}
}

// addRemovals shows the latest removals, the newest first.
func (v *rootView) addRemovals(all []Removal) {
	newest := slices.SortedFunc(slices.Values(all), func(a, b Removal) int {
		return cmp.Or(b.Time.Compare(a.Time), compareRemovals(a, b))
	})
	for i, r := range newest {
		if i == recentRemovals {
			v.OlderRemovals = len(newest) - i
			break
		}
		shown := removalView{File: clean(r.File), Date: r.Time.UTC().Format(dateOnly), What: what(r.Mode), Reason: clean(r.Reason)}
		if r.Advisory != nil {
			shown.Advisory = clean(r.Advisory.ID)
			if r.Advisory.URL != "" {
				shown.Advisory += ", " + clean(r.Advisory.URL)
			}
		}
		v.Removals = append(v.Removals, shown)
	}
}

// what says in words how far a file was taken back.
func what(mode v1alpha1.YankMode) string {
	switch mode {
	case v1alpha1.YankFlag:
		return "withdrawn; it still installs where exactly this version is asked for"
	case v1alpha1.YankIndexRemoval:
		return "taken off the index"
	case v1alpha1.YankQuarantine:
		return "taken off the index and put out of reach"
	case v1alpha1.YankHardDelete:
		return "taken off the index and destroyed"
	default:
		return clean(string(mode))
	}
}
