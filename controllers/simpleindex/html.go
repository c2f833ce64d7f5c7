package simpleindex

import (
	"bytes"
	"regexp"
	"strings"

	"golang.org/x/net/html"
)

// maxToken bounds one tag or text of an HTML page, in bytes.
const maxToken = 1 << 20

// htmlReader goes through an HTML page tag by tag.
type htmlReader struct {
	page   *Page
	f      *Findings
	limits Limits

	line int
	// open are the elements around the place, from the outside.
	open []string
	// link is the anchor around the place, or nil.
	link *anchor

	doctype, charset, versioned bool
}

// anchor is one link of an HTML page.
type anchor struct {
	line  int
	attrs map[string]attribute
	text  strings.Builder
}

// attribute is an attribute as it is meant and as it is written.
type attribute struct {
	value, raw string
	// bare is true for a name without a value.
	bare bool
}

func readHTML(body []byte, page *Page, f *Findings, limits Limits) {
	page.HasFiles = !page.Root
	r := &htmlReader{page: page, f: f, limits: limits, line: 1}
	z := html.NewTokenizer(bytes.NewReader(body))
	z.SetMaxBuf(maxToken)
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			if z.Err() == html.ErrBufferExceeded { //nolint:errorlint // the tokenizer returns it bare
				f.Add("not-an-index", r.line, "", "a tag or text is longer than %d bytes; nothing behind it was read", maxToken)
			}
			break
		}
		raw := z.Raw()
		if !r.token(kind, raw, z) {
			return
		}
		r.line += bytes.Count(raw, []byte("\n"))
	}
	r.closeLink()
	r.head()
}

// head says what is missing before the links.
func (r *htmlReader) head() {
	if !r.doctype {
		r.f.Add("doctype", 1, "", "the page does not begin with <!DOCTYPE html>; put it on the first line")
	}
	if !r.charset && !strings.Contains(strings.ToLower(r.page.Source.ContentType), "charset=") {
		r.f.Add("charset", 1, "", `the page does not say its encoding; add <meta charset="utf-8"> to its head`)
	}
	if !r.versioned {
		r.f.Add("api-version-missing", 1, "", `the page does not say that it is a simple index, and is taken for version 1.0; add <meta name="pypi:repository-version" content="1.%d"> to its head`, newestMinor)
	}
	r.page.checkStatus(0, r.f)
}

// token takes one token. It returns false to end the reading.
func (r *htmlReader) token(kind html.TokenType, raw []byte, z *html.Tokenizer) bool {
	switch kind {
	case html.DoctypeToken:
		r.doctype = r.doctype || strings.EqualFold(strings.TrimSpace(string(z.Text())), "html")
	case html.CommentToken:
		r.comment(string(z.Text()))
	case html.TextToken:
		if r.link != nil {
			r.link.text.Write(z.Text())
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		name, _ := z.TagName()
		return r.start(string(name), raw, kind == html.SelfClosingTagToken)
	case html.EndTagToken:
		name, _ := z.TagName()
		r.end(string(name))
	case html.ErrorToken:
	}
	return true
}

var (
	timestampRE = regexp.MustCompile(`(?i)timestamp|generated|\b1[0-9]{9}\b|\b20[0-9]{2}-[01][0-9]-[0-3][0-9][ T]`)
	// voidElements have no end tag.
	voidElements = map[string]bool{"area": true, "base": true, "br": true, "col": true, "embed": true, "hr": true, "img": true, "input": true, "link": true, "meta": true, "source": true, "track": true, "wbr": true}
)

func (r *htmlReader) comment(text string) {
	if timestampRE.MatchString(text) {
		r.f.Add("volatile", r.line, "", "the comment %s changes with every generation, so that caches, mirrors and ETags never match; leave it out", Quote(text))
	}
}

// start takes a start tag. It returns false if there are too many links.
func (r *htmlReader) start(name string, raw []byte, selfClosing bool) bool {
	if r.link != nil && name != "a" {
		r.f.Add("markup", r.line, r.link.name(), "the text of a link holds a <%s> element; escape the name of the file before it is written", printable(name))
	}
	switch name {
	case "a":
		r.closeLink()
		if len(r.page.Files)+len(r.page.Projects) >= r.limits.Links {
			r.f.Add("links-too-many", r.line, "", "the page has more than %d links; nothing behind them was read", r.limits.Links)
			return false
		}
		r.place()
		r.link = &anchor{line: r.line, attrs: attributes(raw)}
		return true
	case "meta":
		r.meta(attributes(raw))
	case "base":
		r.f.Add("html-base", r.line, "", "a base element changes what every link means, and not every installer heeds it; remove it and write links relative to the page, or absolute")
		if p := r.page; p.base != nil {
			if u, err := p.base.Parse(attributes(raw)["href"].value); err == nil {
				p.base = u
			}
		}
	}
	if !voidElements[name] && !selfClosing && len(r.open) < 512 {
		r.open = append(r.open, name)
	}
	return true
}

// place judges where a link stands. html and body may be left out of a page.
func (r *htmlReader) place() {
	for _, name := range r.open {
		if name != "html" && name != "body" {
			r.f.Add("anchor-place", r.line, "", "the link stands inside a <%s> element, where some installers do not look; make it a direct child of body", printable(name))
			return
		}
	}
}

func (r *htmlReader) end(name string) {
	if name == "a" {
		r.closeLink()
		return
	}
	for i := len(r.open) - 1; i >= 0; i-- {
		if r.open[i] == name {
			r.open = r.open[:i]
			return
		}
	}
}

func (r *htmlReader) meta(attrs map[string]attribute) {
	content := attrs["content"].value
	if set, ok := attrs["charset"]; ok {
		r.charset = true
		if !strings.EqualFold(set.value, "utf-8") {
			r.f.Add("charset", r.line, "", "the page says that it is %s; pages are UTF-8", Quote(set.value))
		}
	}
	if strings.EqualFold(attrs["http-equiv"].value, "content-type") && strings.Contains(strings.ToLower(content), "charset=utf-8") {
		r.charset = true
	}
	switch attrs["name"].value {
	case "pypi:repository-version":
		r.versioned = true
		r.page.APIVersion = content
		r.page.checkAPIVersion(r.line, r.f)
	case "pypi:project-status":
		r.page.Status = content
	case "pypi:project-status-reason":
		r.page.StatusReason = content
		checkText(r.f, r.line, "", "the reason of the project status", content)
	case "pypi:tracks", "pypi:alternate-locations":
		r.f.Add("rejected-extension", r.line, "", "%s is of PEP 708, which was rejected; remove it", attrs["name"].value)
	}
}

// name is how a finding calls a link that is not read yet.
func (a *anchor) name() string { return strings.TrimSpace(a.text.String()) }

// closeLink takes an anchor that has ended into the page.
func (r *htmlReader) closeLink() {
	a := r.link
	if a == nil {
		return
	}
	r.link = nil
	text := a.name()
	href, ok := a.attrs["href"]
	if !ok {
		r.f.Add("anchor-href", a.line, text, "the link %s has no href and leads nowhere; give it one, or write plain text", Quote(text))
		return
	}
	r.escaped(a, text)
	checkText(r.f, a.line, text, "the text of the link", text)
	if r.page.Root {
		address, _ := r.page.resolve(r.f, a.line, text, href.value)
		r.page.Projects = append(r.page.Projects, Project{Name: text, Href: href.value, URL: address, Line: a.line})
		return
	}
	r.page.Files = append(r.page.Files, r.file(a, text, href.value))
}

// escaped judges whether values reached the page escaped.
func (r *htmlReader) escaped(a *anchor, text string) {
	for name, attr := range a.attrs {
		if !strings.ContainsAny(attr.raw, "<>") {
			continue
		}
		if name == "data-requires-python" {
			r.f.Add("requires-python-escaping", a.line, text, "data-requires-python holds < or > as they are; write &lt; and &gt;")
			continue
		}
		r.f.Add("markup", a.line, text, "the attribute %s holds < or > as they are; escape values before they are written", printable(name))
	}
}

func (r *htmlReader) file(a *anchor, text, href string) File {
	address, fragment := r.page.resolve(r.f, a.line, text, href)
	link, _, _ := strings.Cut(href, "#")
	file := File{
		Name: lastPart(link), Text: text, Href: link, URL: address, Size: -1, Line: a.line, Hashes: fragmentHashes(fragment),
		RequiresPython: a.attrs["data-requires-python"].value, Provenance: a.attrs["data-provenance"].value,
	}
	if yanked, ok := a.attrs["data-yanked"]; ok {
		file.Yanked, file.YankReason = true, yanked.value
		checkText(r.f, a.line, text, "the reason of the yank", yanked.value)
		if yanked.bare {
			r.f.Add("yanked-bare", a.line, text, `data-yanked has no value, and pip installs the file as if it were not yanked; write data-yanked="" or a reason`)
		}
	}
	if sig, ok := a.attrs["data-gpg-sig"]; ok && sig.value != "true" && sig.value != "false" {
		r.f.Add("gpg-sig", a.line, text, "data-gpg-sig is %s; write true or false, or leave it out", Quote(sig.value))
	}
	present, hasPresent := a.attrs["data-core-metadata"]
	old, hasOld := a.attrs["data-dist-info-metadata"]
	switch {
	case hasPresent:
		r.metadata(&file, present.value, a.line)
		if hasOld && old.value != present.value {
			r.f.Add("core-metadata-disagree", a.line, text, "data-core-metadata is %s and data-dist-info-metadata is %s; write the same in both", Quote(present.value), Quote(old.value))
		}
	case hasOld:
		r.f.Add("core-metadata-old", a.line, text, "METADATA is announced as data-dist-info-metadata alone, which newer installers do not read; add data-core-metadata")
		r.metadata(&file, old.value, a.line)
	}
	return file
}

// metadata reads the value of data-core-metadata: true or algorithm=hash.
func (r *htmlReader) metadata(file *File, value string, line int) {
	file.Metadata = true
	if value == "true" {
		return
	}
	algorithm, hash, ok := strings.Cut(value, "=")
	if !ok {
		file.Metadata = false
		r.f.Add("core-metadata", line, file.Name, "data-core-metadata is %s; write true or sha256= and the hash", Quote(value))
		return
	}
	file.MetadataHashes = map[string]string{algorithm: hash}
}

// fragmentHashes reads the hashes of an address' fragment: sha256=…
func fragmentHashes(fragment string) map[string]string {
	var out map[string]string
	for part := range strings.SplitSeq(fragment, "&") {
		algorithm, hash, ok := strings.Cut(part, "=")
		if !ok || algorithm == "egg" || algorithm == "subdirectory" {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[algorithm] = hash
	}
	return out
}

var attributeRE = regexp.MustCompile(`([^\s"'>/=]+)(\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?`)

// attributes reads the attributes of a raw start tag. The tokenizer of x/net
// does not tell a bare attribute from an empty one, and unescapes values.
func attributes(raw []byte) map[string]attribute {
	text := strings.TrimSuffix(strings.TrimPrefix(string(raw), "<"), ">")
	_, text, _ = strings.Cut(text+" ", tagEnd(text))
	out := map[string]attribute{}
	for _, m := range attributeRE.FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(m[1])
		if _, twice := out[name]; twice {
			continue // The first one counts.
		}
		value := m[3] + m[4] + m[5]
		out[name] = attribute{value: html.UnescapeString(value), raw: value, bare: m[2] == ""}
	}
	return out
}

// tagEnd is what follows the name of a tag: the first blank or slash in it.
func tagEnd(tag string) string {
	if i := strings.IndexAny(tag, " \t\n\r\f/"); i >= 0 {
		return tag[i : i+1]
	}
	return " "
}
