package yankplan

import (
	"cmp"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
)

// Artifact is one file that a selector takes back. Its sidecars go with it.
type Artifact struct {
	Channel v1alpha1.ChannelName
	// Project is the normalised name (PEP 503).
	Project string
	// Key of the object in the bucket.
	Key string
	// File is a copy of the catalog's entry.
	File catalog.File
}

// Plan is what a Yank would do.
type Plan struct {
	// Artifacts are ordered by channel, project and file name.
	Artifacts []Artifact
	// Warnings are what a person should know, the gravest first: whole
	// sentences of at most MaxWarningLength characters, at most MaxWarnings.
	Warnings []string
}

// What bounds the warnings of a plan: the status of a Yank holds no more.
const (
	MaxWarnings      = 16
	MaxWarningLength = 512
)

// Resolve applies a selector to the catalogs of a lane and foresees what a Yank
// of that mode would leave behind. What it warns of is true of the catalogs
// given; give all that [Selector.MayMatch] does not rule out. elsewhere names,
// by SHA-256, the other lanes that hold the same bytes.
//
// It speaks of the catalogs as they are. Once the Yank is carried out its files
// are off the pages and there is less to warn of: what a person is to read
// comes from the plan made before.
func Resolve(s *Selector, mode v1alpha1.YankMode, catalogs []*catalog.Catalog, elsewhere map[string][]string) Plan {
	catalogs = slices.SortedFunc(slices.Values(catalogs), func(a, b *catalog.Catalog) int {
		return cmp.Or(strings.Compare(string(a.Channel), string(b.Channel)), strings.Compare(a.Project, b.Project))
	})
	var plan Plan
	var outlooks []*outlook
	for _, c := range catalogs {
		if !s.MayMatch(c.Project, c.Channel) {
			continue
		}
		o := newOutlook(c, mode)
		for i := range c.Files {
			f := &c.Files[i]
			matched := s.Matches(c.Project, c.Channel, f)
			o.add(f, matched)
			if matched {
				plan.Artifacts = append(plan.Artifacts, newArtifact(c, f))
			}
		}
		outlooks = append(outlooks, o)
	}
	plan.Warnings = warn(plan.Artifacts, outlooks, elsewhere)
	return plan
}

func newArtifact(c *catalog.Catalog, f *catalog.File) Artifact {
	a := Artifact{Channel: c.Channel, Project: c.Project, Key: c.FileKey(f.Name), File: *f}
	a.File.Tombstones = slices.Clone(f.Tombstones)
	return a
}
