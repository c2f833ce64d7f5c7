package pages

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// Project renders the pages of one project, HTML first. A project without files
// and a retired one get pages that list nothing, never none: a 404 would let an
// installer look for the lane's own name in another index.
//
// Files are ordered by version (PEP 440), then by name.
//
// baseURL is the public address of the bucket's top folder. Everything on a page
// is relative to it, so that mirrors serve the same bytes, except the address of
// a file's provenance, which has to be absolute and of a secure origin (PEP 740);
// without such an address provenance is not linked.
//
// The catalog of C++ archives gets their browsable page in place of the one for
// installers.
//
// The catalog's revision stands in both pages, so that two revisions never
// render to the same bytes. Without it a publisher that was held up could still
// win: it read page A, saw the page go to B and back to A while it slept, and
// its If-Match on A's ETag would then let it overwrite the newest page with one
// made from an old catalog. With the revision in the bytes an ETag stands for
// one revision, and such a write fails.
func Project(c *catalog.Catalog, baseURL string) []Page {
	return slices.Collect(EachOfProject(c, baseURL))
}

// EachOfProject is Project with one page at a time: that of 100,000 files takes
// 40 MB, and who is done with it need not hold it while the next one is made.
func EachOfProject(c *catalog.Catalog, baseURL string) iter.Seq[Page] {
	htmlKey, jsonKey := layout.ProjectPages(c.Platform, c.Channel, c.Project)
	p := project{
		name: c.Project, title: c.Project + " for " + c.Platform + " (" + string(c.Channel) + ")", revision: c.Revision,
	}
	if c.Retired {
		p.status = &status{Status: "archived", Reason: retiredReason}
	} else {
		p.read(c, htmlKey, baseURL)
	}
	html := p.html
	if c.Project == v1alpha1.LibtorchPackage {
		html = func() []byte { return p.archivesHTML(c, layout.JSONPage) }
	}
	return func(yield func(Page) bool) {
		_ = yield(Page{Key: htmlKey, Body: html(), ContentType: ContentTypeHTML, CacheControl: CacheControlPage}) &&
			yield(Page{Key: jsonKey, Body: p.json(), ContentType: ContentTypeJSON, CacheControl: CacheControlPage})
	}
}

// project is what both pages of a project say.
type project struct {
	name, title string
	revision    int64
	// status is nil for a project that is active (PEP 792).
	status *status
	files  []entry
	// versions of the files, each once, in order.
	versions []string
	// unsized is true if the size of a file is not known: another index publishes
	// it and does not say.
	unsized bool
}

// status is a project's status marker (PEP 792).
type status struct{ Status, Reason string }

// retiredReason goes with the status of a retired project. It is archived: there
// will be no more uploads, and whatever its index still offers (nothing) can be
// had. "Quarantined" would say that the files were unsafe. A suspended lane has
// no marker: its projects are not over, and its files are as good as before.
const retiredReason = "This platform was retired: nothing is published here any more."

// entry is one file on a page.
type entry struct {
	*catalog.File
	// url is relative to the page.
	url string
	// provenance is the absolute address of the file's attestations; empty if it
	// has none that can be linked.
	provenance string
	yanked     bool
	reason     string
	// rank is the place of the file's version among all, from 0.
	rank int
}

// read takes what is listed from a catalog and brings it into order.
func (p *project) read(c *catalog.Catalog, pageKey, baseURL string) {
	var raw []string
	seen := map[string]bool{}
	p.files = make([]entry, 0, len(c.Files))
	folder := relative(pageKey, c.FileKey(""))
	attested := isSecureOrigin(baseURL)
	for i := range c.Files {
		f := &c.Files[i]
		listed, yanked, reason := f.OnPage()
		if !listed {
			continue
		}
		e := entry{File: f, url: folder + layout.EscapeKey(f.Name), yanked: yanked, reason: clean(reason)}
		if f.Link != nil {
			e.url = f.Link.URL
			p.unsized = p.unsized || f.Size == 0
		}
		if f.Provenance != "" && attested {
			e.provenance = layout.PublicURL(baseURL, c.FileKey(f.Name)+layout.ProvenanceSuffix)
		}
		p.files = append(p.files, e)
		if !seen[f.Version] {
			seen[f.Version] = true
			raw = append(raw, f.Version)
		}
	}
	var ranks map[string]int
	p.versions, ranks = rankVersions(raw)
	p.sort(ranks)
}

// sort orders files by the rank of their version. A catalog's files are sorted
// by name, so dealing them out rank by rank leaves them in both orders.
func (p *project) sort(ranks map[string]int) {
	next := make([]int, len(ranks)+1)
	for i := range p.files {
		p.files[i].rank = ranks[p.files[i].Version]
		next[p.files[i].rank+1]++
	}
	for i := 1; i < len(next); i++ {
		next[i] += next[i-1]
	}
	sorted := make([]entry, len(p.files))
	for _, e := range p.files {
		sorted[next[e.rank]] = e
		next[e.rank]++
	}
	p.files = sorted
}

// rankVersions orders distinct version texts. ranks tells the place of each;
// spellings of one version share a place. ordered has each version once, in
// normalised form (PEP 700); a text that is no version stays as it is and comes
// before all others.
func rankVersions(raw []string) (ordered []string, ranks map[string]int) {
	type parsed struct {
		raw, text string
		version   pep440.Version
		bad       bool
	}
	all := make([]*parsed, len(raw))
	for i, text := range raw {
		v, err := pep440.Parse(text)
		all[i] = &parsed{raw: text, text: text, version: v, bad: err != nil}
		if err == nil {
			all[i].text = v.String()
		}
	}
	compare := func(a, b *parsed) int {
		switch {
		case a.bad && b.bad:
			return strings.Compare(a.raw, b.raw)
		case a.bad:
			return -1
		case b.bad:
			return 1
		}
		return a.version.Compare(b.version)
	}
	slices.SortFunc(all, func(a, b *parsed) int { return cmp.Or(compare(a, b), strings.Compare(a.text, b.text)) })
	ranks = make(map[string]int, len(all))
	rank := 0
	for i, v := range all {
		first := i == 0 || compare(all[i-1], v) != 0
		if !first {
			rank--
		}
		ranks[v.raw] = rank
		rank++
		if first && v.text != "" {
			ordered = append(ordered, v.text)
		}
	}
	return ordered, ranks
}
