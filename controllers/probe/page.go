package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"path"
	"strings"

	"golang.org/x/net/html"
)

// listed is what a page says about a file.
type listed struct {
	yanked bool
}

// parsePage reads a simple index page, HTML (PEP 503) or JSON (PEP 691), into
// its files by name. It knows nothing of how our pages are written: it must see
// what any installer would see. isIndex is false for HTML that does not say it
// is a simple index (PEP 629): a maintenance page lists nothing either, and
// proves nothing by it.
func parsePage(body []byte) (files map[string]listed, isIndex bool, err error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '{' {
		files, err = parseJSON(trimmed)
		return files, err == nil, err
	}
	files, isIndex = parseHTML(body)
	return files, isIndex, nil
}

func parseJSON(body []byte) (map[string]listed, error) {
	var page struct {
		Files *[]struct {
			Filename string `json:"filename"`
			URL      string `json:"url"`
			Yanked   any    `json:"yanked"`
		} `json:"files"`
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, err
	}
	if page.Files == nil {
		return nil, errors.New("the JSON has no files")
	}
	out := map[string]listed{}
	for _, f := range *page.Files {
		reason, isText := f.Yanked.(string)
		flag, isFlag := f.Yanked.(bool)
		entry := listed{yanked: isText && reason != "" || isFlag && flag}
		add(out, f.Filename, entry)
		add(out, nameOf(f.URL), entry)
	}
	return out, nil
}

func parseHTML(body []byte) (files map[string]listed, isIndex bool) {
	doc := html.NewTokenizer(bytes.NewReader(body))
	files = map[string]listed{}
	for {
		switch doc.Next() {
		case html.ErrorToken: // The end.
			return files, isIndex
		case html.StartTagToken, html.SelfClosingTagToken:
			token := doc.Token()
			attrs := map[string]string{}
			for _, attr := range token.Attr {
				attrs[attr.Key] = attr.Val
			}
			switch token.Data {
			case "meta":
				isIndex = isIndex || attrs["name"] == "pypi:repository-version"
			case "a":
				_, yanked := attrs["data-yanked"]
				add(files, nameOf(attrs["href"]), listed{yanked: yanked})
			}
		}
	}
}

// add notes a link. A file that is listed twice is yanked only if every link
// says so: an installer takes the one that does not.
func add(files map[string]listed, name string, entry listed) {
	if before, twice := files[name]; twice {
		entry.yanked = entry.yanked && before.yanked
	}
	files[name] = entry
}

// nameOf is the file name that a link leads to.
func nameOf(link string) string {
	link, _, _ = strings.Cut(link, "#")
	link, _, _ = strings.Cut(link, "?")
	name := path.Base(link)
	if plain, err := url.PathUnescape(name); err == nil {
		return plain
	}
	return name
}
