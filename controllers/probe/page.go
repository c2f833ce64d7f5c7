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
// what any installer would see.
func parsePage(body []byte) (map[string]listed, error) {
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJSON(trimmed)
	}
	return parseHTML(body)
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
		for _, name := range []string{f.Filename, nameOf(f.URL)} {
			out[name] = entry
		}
	}
	return out, nil
}

func parseHTML(body []byte) (map[string]listed, error) {
	doc := html.NewTokenizer(bytes.NewReader(body))
	out, isPage := map[string]listed{}, false
	for {
		switch doc.Next() {
		case html.ErrorToken:
			if !isPage {
				return nil, errors.New("it is no HTML document")
			}
			return out, nil
		case html.DoctypeToken:
			isPage = true
		case html.StartTagToken, html.SelfClosingTagToken:
			token := doc.Token()
			isPage = isPage || token.Data == "html"
			if token.Data != "a" {
				continue
			}
			href, entry := "", listed{}
			for _, attr := range token.Attr {
				switch attr.Key {
				case "href":
					href = attr.Val
				case "data-yanked":
					entry.yanked = true
				}
			}
			out[nameOf(href)] = entry
		}
	}
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
