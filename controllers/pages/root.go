package pages

import (
	"slices"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// Profile is what a lane's manifest tells the people who visit its index. The
// zero value is that of a lane that was retired.
type Profile struct {
	Packages               []string
	Channels               []v1alpha1.ChannelName
	LatestSupportedRelease string
	Maintainers            []v1alpha1.Maintainer
}

// Listing is what the root of a channel's index says, to installers and to
// people.
type Listing struct {
	Platform string
	Channel  v1alpha1.ChannelName
	// BaseURL is the public address of the bucket's top folder, for the commands
	// that people copy. Without it there are none.
	BaseURL string
	Profile Profile
	// Projects have a page in the channel.
	Projects []string
	// Removals are what was taken back in the channel.
	Removals []Removal
	// LastUpload is when the newest listed file was uploaded; zero if none is.
	LastUpload time.Time
}

// Add puts a project of the channel on the list, with what its catalog has to
// tell people. A retired project is not listed; what was taken back stays.
func (l *Listing) Add(c *catalog.Catalog) {
	l.Removals = append(l.Removals, RemovalsOf([]*catalog.Catalog{c})...)
	if c.Retired || !c.HasPages() {
		return
	}
	l.Projects = append(l.Projects, c.Project)
	for i := range c.Files {
		f := &c.Files[i]
		if listed, _, _ := f.OnPage(); listed && f.Link == nil && f.UploadTime.After(l.LastUpload) {
			l.LastUpload = f.UploadTime
		}
	}
}

// Root renders the list of a channel's projects, HTML first. Names are listed
// once and in order, whatever order they come in. Unlike a project's page it
// carries no revision: no catalog stands behind the list as a whole.
//
// The HTML page is for people as well. Its only links (anchors) are those to the
// projects, because clients take every link there for a project (PEP 503);
// people go to other places by buttons.
func Root(l Listing) []Page {
	names := slices.Compact(slices.Sorted(slices.Values(l.Projects)))
	// C++ archives are no Python project and have a page of their own.
	names = slices.DeleteFunc(names, func(name string) bool { return name == v1alpha1.LibtorchPackage })
	htmlKey, jsonKey := layout.RootPages(l.Platform, l.Channel)
	return []Page{
		{Key: htmlKey, Body: execute(rootTemplate, l.view(htmlKey, names)), ContentType: ContentTypeHTML, CacheControl: CacheControlPage},
		{Key: jsonKey, Body: rootJSON(names), ContentType: ContentTypeJSON, CacheControl: CacheControlPage},
	}
}

func rootJSON(names []string) []byte {
	b := appendMeta(nil, APIVersion, 0)
	b = append(b, `"projects":[`...)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n{\"name\":"...)
		b = appendJSON(b, name)
		b = append(b, '}')
	}
	return append(b, "\n]}\n"...)
}
