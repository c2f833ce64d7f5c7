package simpleindex

import (
	"bytes"
	"cmp"
	"mime"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Read reads a page in either format. What is wrong with its form is found on
// the way; [Page.Check] judges what it says. The page is nil if nothing could be
// read, and incomplete if an error was found on the way.
func Read(src Source, limits Limits) (*Page, *Findings) {
	limits = limits.withDefaults()
	f := &Findings{Page: cmp.Or(src.Name, src.URL)}
	body := src.Body
	src.Body = nil
	page := &Page{Source: src, Root: src.Project == "", Status: statusActive}
	page.base, _ = url.Parse(src.URL) // A bad one resolves nothing; the caller has reached it.
	if int64(len(body)) > limits.PageBytes {
		f.Add("page-too-large", 0, "", "the page is larger than %d bytes, and so nothing of it was read; list fewer files", limits.PageBytes)
		return nil, f
	}
	page.Format = page.format(body, f)
	if !utf8.Valid(body) {
		f.Add("utf8", 1+bytes.Count(body[:firstInvalid(body)], []byte("\n")), "", "the page holds bytes that are not UTF-8, and pip rejects the whole page over one of them; escape names and reasons, and encode the page as UTF-8")
	}
	switch page.Format {
	case JSON:
		readJSON(body, page, f, limits)
	case HTML:
		readHTML(body, page, f, limits)
	default:
		return nil, f
	}
	return page, f
}

// format decides which reader to use: by the content type where there is one,
// else by the first character.
func (p *Page) format(body []byte, f *Findings) Format {
	start := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	var guess Format
	switch {
	case len(start) > 0 && start[0] == '{':
		guess = JSON
	case len(start) > 0 && start[0] == '<':
		guess = HTML
	}
	said := p.Source.ContentType
	if said == "" {
		if guess == "" {
			f.Add("not-an-index", 0, "", "the page begins neither with < nor with {; serve an HTML document or a JSON object")
		}
		return guess
	}
	format := CheckContentType(said, f)
	switch {
	case guess == "":
		f.Add("not-an-index", 0, "", "the page begins neither with < nor with {; serve an HTML document or a JSON object")
	case format != "" && format != guess:
		f.Add("content-type", 0, "", "it is sent as %s, but its content is %s; store the page under its own content type", Quote(said), guess)
	}
	return guess
}

// CheckContentType judges the Content-Type of a page and says which format it
// stands for; empty for none.
func CheckContentType(said string, f *Findings) Format {
	kind, params, err := mime.ParseMediaType(said)
	var format Format
	switch {
	case err == nil && kind == TypeJSON:
		format = JSON
	case err == nil && (kind == TypeHTML || kind == TypeLegacyHTML):
		format = HTML
	default:
		hint := ""
		if strings.Contains(kind, ".latest+") {
			hint = " (latest is for requests only)"
		}
		f.Add("content-type", 0, "", "it is sent as %s%s, and installers skip the page; send %s, %s or %s", Quote(said), hint, TypeJSON, TypeHTML, TypeLegacyHTML)
		return ""
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		f.Add("charset", 0, "", "it is sent with charset=%s; pages are UTF-8: say charset=utf-8", Quote(charset))
	}
	return format
}

func firstInvalid(body []byte) int {
	at := 0
	for at < len(body) {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return at
}

var apiVersionRE = regexp.MustCompile(`^([0-9]{1,4})\.([0-9]{1,4})$`)

// newestMinor is the newest minor version of the API that this package knows.
const newestMinor = 4

// checkAPIVersion judges the version that a page says. minor is -1 if the page
// cannot be understood.
func (p *Page) checkAPIVersion(line int, f *Findings) (minor int) {
	m := apiVersionRE.FindStringSubmatch(p.APIVersion)
	if m == nil || m[1] != "1" {
		f.Add("api-version", line, "", "the API version is %s; installers stop at a major version other than 1: write 1.%d", Quote(p.APIVersion), newestMinor)
		return -1
	}
	minor, _ = strconv.Atoi(m[2]) // four digits
	if minor > newestMinor {
		f.Add("api-version-newer", line, "", "the API version is %s, this program knows up to 1.%d; what is new there is not judged", p.APIVersion, newestMinor)
	}
	return minor
}

// checkText refuses what no text of a page should hold: control characters
// could forge lines on a terminal, bidirectional ones turn a name around.
func checkText(f *Findings, line int, file, what, text string) {
	for _, r := range text {
		if !unicode.IsPrint(r) {
			f.Add("control-character", line, file, "%s holds the character %q, which does not print; replace it before the page is written: %s", what, r, Quote(text))
			return
		}
	}
}

// resolve makes an address absolute and judges it. Both parts are empty if it is
// none.
func (p *Page) resolve(f *Findings, line int, file, href string) (address, fragment string) {
	if i := strings.IndexFunc(href, notURL); i >= 0 {
		f.Add("href-characters", line, file, "the address %s holds %q; percent-encode every character that is none of a URL's", Quote(href), href[i])
	}
	u, err := url.Parse(strings.TrimSpace(href))
	if err != nil {
		f.Add("href", line, file, "%s is not an address; percent-encode the name of the file", Quote(href))
		return "", ""
	}
	if strings.Contains(u.EscapedPath(), "+") {
		f.Add("href-plus", line, file, "the address %s holds a plus sign; S3 and what stands before it read it as a blank: write %%2B", Quote(href))
	}
	fragment = u.Fragment
	u.Fragment, u.RawFragment = "", ""
	if p.base != nil {
		u = p.base.ResolveReference(u)
	}
	switch {
	case u.User != nil:
		f.Add("href", line, file, "the address of the link carries a user name or password; publish addresses without credentials")
		return "", ""
	case u.Scheme == "" && p.base != nil && p.base.Scheme == "":
		return u.String(), fragment // A page without an address of its own.
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		f.Add("href", line, file, "%s is no http or https address; link to where the file can be fetched", Quote(href))
		return "", ""
	case u.Scheme == "http" && p.base != nil && p.base.Scheme == "https":
		f.Add("href-insecure", line, file, "%s is not https, while the page is; link to https", Quote(href))
	}
	return u.String(), fragment
}

// notURL is true for what RFC 3986 allows nowhere in a URL.
func notURL(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune("\"<>\\^`{|}", r)
}

// statusActive is the status of a project whose page says nothing (PEP 792).
const statusActive = "active"

func (p *Page) checkStatus(line int, f *Findings) {
	switch p.Status {
	case statusActive, "archived", "quarantined", "deprecated":
	default:
		f.Add("status", line, "", "the project status is %s; write active, archived, quarantined or deprecated", Quote(p.Status))
	}
}
