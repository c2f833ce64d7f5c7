package simpleindex

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// CompareFormats finds where the HTML and the JSON of one address say different
// things. What only JSON can say is not compared.
func CompareFormats(html, json *Page, f *Findings) {
	if html.Root {
		inHTML, inJSON := names(html), names(json)
		for _, name := range sortedSet(inHTML) {
			if !inJSON[name] {
				f.Add("formats-disagree", 0, name, "%s is listed in HTML and not in JSON; write both from one source", name)
			}
		}
		for _, name := range sortedSet(inJSON) {
			if !inHTML[name] {
				f.Add("formats-disagree", 0, name, "%s is listed in JSON and not in HTML; write both from one source", name)
			}
		}
		return
	}
	byName := make(map[string]*File, len(json.Files))
	for i := range json.Files {
		byName[json.Files[i].Name] = &json.Files[i]
	}
	seen := make(map[string]bool, len(html.Files))
	for i := range html.Files {
		a := &html.Files[i]
		b := byName[a.Name]
		seen[a.Name] = true
		if b == nil {
			f.Add("formats-disagree", a.Line, a.Name, "%s is listed in HTML and not in JSON; write both from one source", Quote(a.Name))
			continue
		}
		for _, what := range differences(a, b) {
			f.Add("formats-disagree", a.Line, a.Name, "HTML and JSON disagree about %s of %s; write both from one source", what, Quote(a.Name))
		}
	}
	for i := range json.Files {
		if name := json.Files[i].Name; !seen[name] {
			f.Add("formats-disagree", 0, name, "%s is listed in JSON and not in HTML; write both from one source", Quote(name))
		}
	}
	if html.Status != json.Status {
		f.Add("formats-disagree", 0, "", "the project status is %s in HTML and %s in JSON; write both from one source", Quote(html.Status), Quote(json.Status))
	}
}

// differences are the facts that two descriptions of a file disagree about.
func differences(a, b *File) (out []string) {
	for _, fact := range []struct {
		name string
		same bool
	}{
		{"the address", a.URL == b.URL},
		{"the SHA-256", a.SHA256() == b.SHA256()},
		{"requires-python", a.RequiresPython == b.RequiresPython},
		{"whether it is yanked", a.Yanked == b.Yanked},
		{"core-metadata", a.Metadata == b.Metadata && a.MetadataSHA256() == b.MetadataSHA256()},
		{"provenance", a.Provenance == b.Provenance},
	} {
		if !fact.same {
			out = append(out, fact.name)
		}
	}
	return out
}

// names are the normalised names of a list of projects.
func names(p *Page) map[string]bool {
	out := make(map[string]bool, len(p.Projects))
	for i := range p.Projects {
		if name, err := pep440.NormalizeProject(p.Projects[i].Name); err == nil {
			out[name] = true
		}
	}
	return out
}

// ProjectNames are the normalised names of a list of projects, in order.
func (p *Page) ProjectNames() []string { return sortedSet(names(p)) }

// CompareProjects finds projects that are listed and have no page, and pages
// that are not listed. pages are the normalised names of those that are there.
func CompareProjects(listed, pages []string, f *Findings) {
	isListed, hasPage := setOf(listed), setOf(pages)
	for _, name := range sortedSet(isListed) {
		if !hasPage[name] {
			f.Add("project-without-page", 0, name, "%s is listed and has no page; publish one, empty if need be, for installers stop at the error or look elsewhere", name)
		}
	}
	for _, name := range sortedSet(hasPage) {
		if !isListed[name] {
			f.Add("page-not-listed", 0, name, "%s has a page and is not listed; list it, or remove the page", Quote(name))
		}
	}
}

func setOf(names []string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, name := range names {
		out[name] = true
	}
	return out
}

// maxPageAge is how long a client may use a page without asking again, in
// seconds, before a warning: as long as PyPI lets it.
const maxPageAge = 600

// CheckPageHeaders judges what caches are told about a page.
func CheckPageHeaders(h http.Header, f *Findings) {
	control := directives(h)
	age, hasAge := control["max-age"]
	seconds, err := strconv.Atoi(age)
	switch _, immutable := control["immutable"]; {
	case immutable:
		f.Add("cache-page", 0, "", "Cache-Control says immutable, so that clients never see a change of the page; say max-age=0, must-revalidate")
	case hasAge && err == nil && seconds > maxPageAge:
		f.Add("cache-page", 0, "", "Cache-Control lets clients use the page for %d seconds without asking, and pip does; say max-age=%d or less", seconds, maxPageAge)
	}
}

// CheckFileHeaders judges what caches are told about a file.
func CheckFileHeaders(file string, line int, h http.Header, f *Findings) {
	if _, immutable := directives(h)["immutable"]; immutable {
		f.Add("cache-immutable", line, file, "Cache-Control of %s says immutable, so that pip installs it from its cache without asking, even after it was deleted; leave immutable out", Quote(file))
	}
}

// directives are those of Cache-Control, in lower case.
func directives(h http.Header) map[string]string {
	out := map[string]string{}
	for _, line := range h.Values("Cache-Control") {
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			out[strings.ToLower(name)] = strings.Trim(value, `"`)
		}
	}
	return out
}
