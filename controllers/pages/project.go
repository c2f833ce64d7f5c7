package pages

import (
	"cmp"
	"slices"
	"strings"

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
// The catalog's revision stands in both pages, so that two revisions never
// render to the same bytes. Without it a publisher that was held up could still
// win: it read page A, saw the page go to B and back to A while it slept, and
// its If-Match on A's ETag would then let it overwrite the newest page with one
// made from an old catalog. With the revision in the bytes an ETag stands for
// one revision, and such a write fails.
func Project(c *catalog.Catalog) []Page {
	htmlKey, jsonKey := layout.ProjectPages(c.Platform, c.Channel, c.Project)
	p := project{
		name: c.Project, title: c.Project + " for " + c.Platform + " (" + string(c.Channel) + ")", revision: c.Revision,
	}
	if !c.Retired {
		p.read(c, htmlKey)
	}
	return []Page{
		{Key: htmlKey, Body: p.html(), ContentType: ContentTypeHTML, CacheControl: CacheControlPage},
		{Key: jsonKey, Body: p.json(), ContentType: ContentTypeJSON, CacheControl: CacheControlPage},
	}
}

// project is what both pages of a project say.
type project struct {
	name, title string
	revision    int64
	files       []entry
	// versions of the files, each once, in order.
	versions []string
}

// entry is one file on a page.
type entry struct {
	*catalog.File
	// url is relative to the page.
	url    string
	yanked bool
	reason string
	// rank is the place of the file's version among all, from 0.
	rank int
}

// read takes what is listed from a catalog and brings it into order.
func (p *project) read(c *catalog.Catalog, pageKey string) {
	var raw []string
	seen := map[string]bool{}
	p.files = make([]entry, 0, len(c.Files))
	folder := fileFolder(c, pageKey)
	for i := range c.Files {
		f := &c.Files[i]
		listed, yanked, reason := f.OnPage()
		if !listed {
			continue
		}
		p.files = append(p.files, entry{
			File: f, url: folder + layout.EscapeKey(f.Name), yanked: yanked, reason: clean(reason),
		})
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

// fileFolder is the folder of the project's files as a path relative to its
// page. Relative paths make a page right below every public base URL.
func fileFolder(c *catalog.Catalog, pageKey string) string {
	up := strings.Split(pageKey, "/")
	down := strings.Split(c.FileKey(""), "/")
	up, down = up[:len(up)-1], down[:len(down)-1]
	for len(up) > 0 && len(down) > 0 && up[0] == down[0] {
		up, down = up[1:], down[1:]
	}
	path := strings.Repeat("../", len(up))
	for _, name := range down {
		path += layout.EscapeKey(name) + "/"
	}
	return path
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
