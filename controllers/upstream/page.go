package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pep440"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

const (
	// maxFiles is how many files a project may have to be linked to.
	maxFiles = 20_000
	// maxAddress is the longest address of a file, in bytes.
	maxAddress = 2048
	// maxLeftOut bounds the reasons that are kept.
	maxLeftOut = 8
)

// Page is what an upstream index says about a project.
type Page struct {
	// Unchanged is true if the page is still what the validator stands for.
	Unchanged bool
	Validator Validator
	// Files that may be linked to, by name, each with its absolute URL. Their
	// state is Listed.
	Files []catalog.File
	// Quarantined is true if the index itself calls the project unsafe (PEP
	// 792). There are no files then.
	Quarantined bool
	// LeftOut counts the files that may not be linked to, Reasons are some of
	// theirs.
	LeftOut int
	Reasons []string
}

// fatal are the rules whose breach makes the whole answer worthless.
var fatal = map[string]bool{
	"content-type": true, "not-an-index": true, "utf8": true, "page-too-large": true, "links-too-many": true,
	"api-version": true, "json-syntax": true, "json-duplicate-key": true, "name-mismatch": true, "html-base": true,
}

// read judges an answer and takes the files over that may be linked to.
func read(src simpleindex.Source, pageBytes int64) (Page, error) {
	said, f := simpleindex.Read(src, simpleindex.Limits{PageBytes: pageBytes, Links: maxFiles})
	for _, finding := range f.List() {
		if fatal[finding.Rule] {
			return Page{}, fmt.Errorf("this is no index page to link from: %s", finding.Message)
		}
	}
	if said == nil {
		return Page{}, errors.New("this is no index page to link from")
	}
	if !said.HasFiles || said.Format == simpleindex.JSON && said.APIVersion == "" {
		return Page{}, errors.New("this is no index page to link from: it lacks what every page has, its API version or a list of files")
	}
	if said.Format == simpleindex.JSON && !sameProject(said.Name, src.Project) {
		return Page{}, fmt.Errorf("this is no index page to link from: it says it is that of %s", simpleindex.Quote(said.Name))
	}
	if said.Format == simpleindex.HTML && said.APIVersion == "" && len(said.Files) == 0 {
		// A maintenance page lists nothing either.
		return Page{}, errors.New("the HTML lists nothing and does not say that it is a simple index (PEP 629)")
	}
	page := Page{Quarantined: said.Status == "quarantined"}
	if page.Quarantined {
		return page, nil
	}
	page.take(said, src.Project)
	return page, nil
}

func sameProject(said, want string) bool {
	normal, err := pep440.NormalizeProject(said)
	return err == nil && normal == want
}

// take sorts the files of a page into those that may be linked to and those
// that are left out.
func (p *Page) take(said *simpleindex.Page, project string) {
	names := map[string]int{}
	for i := range said.Files {
		names[said.Files[i].Name]++
	}
	for i := range said.Files {
		file, err := link(&said.Files[i], project)
		if err == nil && names[file.Name] > 1 {
			err = errors.New("it is listed more than once")
		}
		if err == nil {
			p.Files = append(p.Files, file)
			continue
		}
		if p.LeftOut++; len(p.Reasons) < maxLeftOut {
			p.Reasons = append(p.Reasons, fmt.Sprintf("%s: %v", simpleindex.Quote(said.Files[i].Name), err))
		}
	}
	slices.SortFunc(p.Files, func(a, b catalog.File) int { return cmp.Compare(a.Name, b.Name) })
}

// link is the catalog entry of a file that may be linked to.
func link(f *simpleindex.File, project string) (catalog.File, error) {
	name, err := simpleindex.ParseFileName(f.Name, project)
	switch {
	case err != nil:
		return catalog.File{}, err
	case name.Kind != simpleindex.Wheel && name.Kind != simpleindex.Sdist:
		return catalog.File{}, errors.New("it is neither a wheel nor a source archive")
	case name.Project != project:
		return catalog.File{}, fmt.Errorf("it is a file of %s", name.Project)
	case !isSHA256(f.SHA256()):
		return catalog.File{}, errors.New("it has no SHA-256")
	}
	if err := checkLink(f); err != nil {
		return catalog.File{}, err
	}
	if _, err := pep440.ParseSpecifiers(f.RequiresPython); err != nil {
		return catalog.File{}, fmt.Errorf("its requires-python cannot be read: %w", err)
	}
	out := catalog.File{
		Name: f.Name, Link: &catalog.Link{URL: f.URL, Yanked: f.Yanked, YankReason: f.YankReason}, State: catalog.StateListed, SHA256: f.SHA256(), Size: max(0, f.Size),
		Version: name.Version.String(), UploadTime: f.UploadTime, RequiresPython: f.RequiresPython,
	}
	if f.Metadata && isSHA256(f.MetadataSHA256()) {
		out.MetadataSHA256 = f.MetadataSHA256()
	}
	return out, nil
}

// checkLink judges the address of a file. Installers take the name from it and
// add .metadata to it.
func checkLink(f *simpleindex.File) error {
	u, err := url.Parse(f.URL)
	switch {
	case err != nil, f.URL == "", u.Host == "", u.User != nil:
		return errors.New("it has no address that installers can follow")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("its address is neither http nor https")
	case u.RawQuery != "" || u.ForceQuery:
		return errors.New("its address has a query; such addresses expire")
	case len(f.URL) > maxAddress:
		return fmt.Errorf("its address has more than %d bytes", maxAddress)
	case u.Path[strings.LastIndex(u.Path, "/")+1:] != f.Name:
		return errors.New("its address ends in another name")
	}
	return nil
}

func isSHA256(hash string) bool {
	return len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == ""
}
