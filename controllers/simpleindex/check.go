package simpleindex

import (
	"net/url"
	"slices"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// Judge reads a page and checks it.
func Judge(src Source, limits Limits) (*Page, *Findings) {
	page, f := Read(src, limits)
	if page != nil {
		page.Check(f)
	}
	return page, f
}

// Check judges what a page says.
func (p *Page) Check(f *Findings) {
	if p.Root {
		p.checkProjects(f)
		return
	}
	p.checkName(f)
	seen := map[string]int{}
	versions := map[string]bool{}
	for i := range p.Files {
		file := &p.Files[i]
		if line, twice := seen[file.Name]; twice {
			f.Add("file-duplicate", file.Line, file.Name, "%s is listed twice, first on line %d; installers take either: list it once", Quote(file.Name), line)
		}
		seen[file.Name] = file.Line
		if name, ok := p.checkFileName(file, f); ok && !name.Version.IsZero() {
			versions[name.Version.String()] = true
		}
		checkHashes(file, f)
		p.checkFile(file, f)
	}
	p.checkVersions(versions, f)
	if p.Status == "quarantined" && len(p.Files) > 0 {
		f.Add("status-quarantined", 0, "", "the project is quarantined, and yet %d files are listed; list none", len(p.Files))
	}
}

func (p *Page) checkName(f *Findings) {
	if p.Format != JSON || p.Name == "" {
		return
	}
	normal, err := pep440.NormalizeProject(p.Name)
	switch {
	case err != nil:
		f.Add("name", 0, p.Name, "the page's name %s is no project name; use ASCII letters, digits, '.', '-' and '_'", Quote(p.Name))
	case normal != p.Source.Project:
		f.Add("name-mismatch", 0, p.Name, "the page says it is that of %s, asked for was %s; publish each page below its own name", Quote(p.Name), p.Source.Project)
	case normal != p.Name:
		f.Add("name-normalized", 0, p.Name, "the page's name is %s; write the normalised name %s", Quote(p.Name), normal)
	}
}

func (p *Page) checkProjects(f *Findings) {
	seen := map[string]int{}
	for i := range p.Projects {
		entry := &p.Projects[i]
		normal, err := pep440.NormalizeProject(entry.Name)
		if err != nil {
			f.Add("name", entry.Line, entry.Name, "%s is no project name; link to projects only, and name them with ASCII letters, digits, '.', '-' and '_'", Quote(entry.Name))
			continue
		}
		if line, twice := seen[normal]; twice {
			f.Add("name-duplicate", entry.Line, entry.Name, "%s is listed twice, first on line %d; list it once", normal, line)
		}
		seen[normal] = entry.Line
		switch {
		case p.Format == JSON:
			entry.URL = projectURL(p, normal)
		case entry.URL != "":
			p.checkProjectLink(entry, normal, f)
		}
	}
}

// projectURL is where a client looks for a project that JSON lists: the page's
// own address and the normalised name (PEP 691).
func projectURL(p *Page, normal string) string {
	if p.base == nil {
		return normal + "/"
	}
	return p.base.ResolveReference(&url.URL{Path: "./" + normal + "/"}).String()
}

func (p *Page) checkProjectLink(entry *Project, normal string, f *Findings) {
	address, _, _ := strings.Cut(entry.URL, "?")
	if !strings.HasSuffix(address, "/") {
		f.Add("trailing-slash", entry.Line, entry.Name, "%s does not end with a slash; installers ask for the address with one", Quote(entry.Href))
	}
	last := lastPart(strings.TrimSuffix(address, "/"))
	linked, err := pep440.NormalizeProject(last)
	switch {
	case err != nil || linked != normal:
		f.Add("name-text", entry.Line, entry.Name, "the link %s leads to %s; its text must be the name of the project", Quote(entry.Name), Quote(entry.Href))
	case last != normal:
		f.Add("name-normalized", entry.Line, entry.Name, "the address ends in %s; installers ask for %s, so publish and link the page there", Quote(last), normal)
	}
}

// checkFileName judges the name of a file. ok is false if it says nothing.
func (p *Page) checkFileName(file *File, f *Findings) (FileName, bool) {
	if p.Format == HTML && file.Text != file.Name {
		f.Add("name-text", file.Line, file.Name, "the text of the link is %s, its address ends in %s; both must be the file's name", Quote(file.Text), Quote(file.Name))
	}
	if linked := lastPart(file.Href); p.Format == JSON && file.Href != "" && linked != file.Name {
		f.Add("file-name-link", file.Line, file.Name, "the file is called %s, its address ends in %s; pip goes by the address, others by the name", Quote(file.Name), Quote(linked))
	}
	if file.Name == "" {
		f.Add("file-name", file.Line, "", "the link %s leads to a folder; link to files only", Quote(file.Href))
		return FileName{}, false
	}
	name, err := ParseFileName(file.Name, p.Source.Project)
	switch {
	case err != nil:
		f.Add("file-name", file.Line, file.Name, "%s", err)
		return FileName{}, false
	case name.Kind == Other:
		f.Add("file-type", file.Line, file.Name, "%s is neither a wheel nor a source archive, and installers skip it; take it off the page", Quote(file.Name))
		return FileName{}, false
	case name.Project != p.Source.Project:
		f.Add("file-foreign", file.Line, file.Name, "%s is a file of %s; list it on that project's page", Quote(file.Name), name.Project)
		return FileName{}, false
	case name.Normal != file.Name:
		f.Add("file-name-normal", file.Line, file.Name, "%s is not in normal form, so that one version can have several names; build it again with a current tool, which names it %s", Quote(file.Name), Quote(name.Normal))
	}
	return name, true
}

// hexDigits is how long the hashes of an algorithm are that Python guarantees; 0
// for those of any length.
var hexDigits = map[string]int{
	"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128,
	"sha3_224": 56, "sha3_256": 64, "sha3_384": 96, "sha3_512": 128, "blake2b": 128, "blake2s": 64, "shake_128": 0, "shake_256": 0,
}

func checkHashes(file *File, f *Findings) {
	if len(file.Hashes) == 0 {
		f.Add("hash-missing", file.Line, file.Name, "the file has no hash, so an exchanged or broken file goes unnoticed; add its SHA-256")
	} else if _, ok := file.Hashes["sha256"]; !ok {
		f.Add("hash-weak", file.Line, file.Name, "the file has no SHA-256 but %s; add sha256", printable(strings.Join(sortedNames(file.Hashes), ", ")))
	}
	checkHashForm(file, "the file's", file.Hashes, f)
	checkHashForm(file, "METADATA's", file.MetadataHashes, f)
}

func checkHashForm(file *File, whose string, hashes map[string]string, f *Findings) {
	for _, algorithm := range sortedNames(hashes) {
		hash := hashes[algorithm]
		want, known := hexDigits[algorithm]
		switch {
		case !known:
			f.Add("hash-algorithm", file.Line, file.Name, "%s hash is of %s, which is none of Python's guaranteed algorithms; use sha256", whose, Quote(algorithm))
		case strings.Trim(hash, "0123456789abcdefABCDEF") != "" || hash == "" || want > 0 && len(hash) != want:
			f.Add("hash-form", file.Line, file.Name, "%s %s hash is %s; it must be %d hexadecimal digits, or installers refuse the file", whose, algorithm, Quote(hash), want)
		case strings.ToLower(hash) != hash:
			f.Add("hash-case", file.Line, file.Name, "%s %s hash has capitals, and some clients compare letter by letter; write it in lower case", whose, algorithm)
		}
	}
}

func (p *Page) checkFile(file *File, f *Findings) {
	if python := file.RequiresPython; python != "" {
		if strings.Contains(python, "&gt;") || strings.Contains(python, "&lt;") || strings.Contains(python, "&amp;") {
			f.Add("requires-python-escaping", file.Line, file.Name, "requires-python is escaped twice (%s); escape it once in HTML and not in JSON", Quote(python))
		} else if _, err := pep440.ParseSpecifiers(python); err != nil {
			f.Add("requires-python", file.Line, file.Name, "requires-python cannot be read, and installers ignore it: %v", err)
		}
	}
	if file.Provenance == "" {
		return
	}
	if address, _ := p.resolve(&Findings{}, file.Line, file.Name, file.Provenance); address == "" {
		f.Add("provenance", file.Line, file.Name, "provenance is %s; write the address of the attestations", Quote(file.Provenance))
	} else if !strings.Contains(file.Provenance, "://") {
		f.Add("provenance-relative", file.Line, file.Name, "the address of provenance %s is relative; PEP 740 wants it fully qualified", Quote(file.Provenance))
	}
}

// checkVersions compares the list of versions with those of the files.
func (p *Page) checkVersions(ofFiles map[string]bool, f *Findings) {
	if !p.hasVersions {
		return
	}
	seen := make(map[string]bool, len(p.Versions))
	listed := make([]pep440.Version, 0, len(p.Versions))
	for _, text := range p.Versions {
		version, err := pep440.Parse(text)
		switch {
		case err != nil:
			f.Add("versions-form", 0, text, "versions holds %s, which is no version of PEP 440", Quote(text))
			continue
		case seen[version.String()]:
			f.Add("versions-form", 0, text, "versions holds %s twice", Quote(text))
		}
		seen[version.String()] = true
		listed = append(listed, version)
	}
	slices.SortFunc(listed, pep440.Version.Compare)
	for _, text := range sortedSet(ofFiles) {
		version, err := pep440.Parse(text)
		if err != nil {
			continue
		}
		// 1.0 and 1.0.0 are one version.
		if _, ok := slices.BinarySearchFunc(listed, version, pep440.Version.Compare); !ok {
			f.Add("versions-incomplete", 0, text, "versions does not hold %s, of which files are listed; add it", Quote(text))
		}
	}
}

func sortedSet(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
