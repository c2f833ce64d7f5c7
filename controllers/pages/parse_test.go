package pages_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// anchor is a link as a client sees it.
type anchor struct {
	url, text  string
	attributes map[string]string
}

// Elements and attributes that we write: those of pages for installers, and what
// pages for people have beside them.
var (
	plainElements = []atom.Atom{atom.Html, atom.Head, atom.Body, atom.Title, atom.Style, atom.Meta, atom.H1, atom.Br, atom.P, atom.Strong}
	moreElements  = []atom.Atom{
		atom.Main, atom.Section, atom.H2, atom.H3, atom.Form, atom.Button, atom.Details, atom.Summary, atom.Dl, atom.Dt, atom.Dd,
		atom.Ul, atom.Li, atom.Code, atom.Time, atom.Span,
	}
	attributes = []string{"lang", "charset", "name", "content", "http-equiv", "class", "id", "aria-labelledby", "datetime", "action"}
)

// anchors parses a page as a browser does, checks that it holds only the
// elements that we write, and returns its links, all of which must be children
// of body itself.
func anchors(t *testing.T, page []byte) []anchor {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var out []anchor
	for n := range doc.Descendants() {
		switch n.Type {
		case html.ElementNode:
		case html.TextNode, html.DoctypeNode, html.DocumentNode:
			continue
		default:
			t.Fatalf("a node that we do not write: %+v", n)
		}
		switch {
		case n.DataAtom == atom.A:
			if n.Parent.DataAtom != atom.Body {
				t.Fatalf("a link below %s", n.Parent.Data)
			}
			out = append(out, readAnchor(t, n))
		case slices.Contains(plainElements, n.DataAtom), slices.Contains(moreElements, n.DataAtom):
			for _, a := range n.Attr {
				if !slices.Contains(attributes, a.Key) {
					t.Fatalf("an attribute that we do not write: %+v", n)
				}
			}
		default:
			t.Fatalf("an element that we do not write: %s", n.Data)
		}
	}
	return out
}

func readAnchor(t *testing.T, n *html.Node) anchor {
	t.Helper()
	a := anchor{attributes: map[string]string{}}
	if n.FirstChild != nil {
		a.text = n.FirstChild.Data
	}
	for _, attr := range n.Attr {
		switch attr.Key {
		case "href":
			a.url = attr.Val
		case "data-requires-python", "data-core-metadata", "data-dist-info-metadata", "data-yanked", "data-provenance":
			a.attributes[attr.Key] = attr.Val
		default:
			t.Fatalf("an attribute that we do not write: %s", attr.Key)
		}
	}
	return a
}

// jsonFile is an entry of a JSON page. Pointers tell absent from empty.
type jsonFile struct {
	Filename       string            `json:"filename"`
	URL            string            `json:"url"`
	Hashes         map[string]string `json:"hashes"`
	Size           *int64            `json:"size"`
	UploadTime     *string           `json:"upload-time"`
	RequiresPython *string           `json:"requires-python"`
	CoreMetadata   map[string]string `json:"core-metadata"`
	Yanked         any               `json:"yanked"`
	Provenance     *string           `json:"provenance"`
}

// jsonFiles reads the files of a JSON page strictly: a key that we do not mean
// to write is an error.
func jsonFiles(t *testing.T, page []byte) []jsonFile {
	t.Helper()
	var out struct {
		Meta struct {
			APIVersion string `json:"api-version"`
			Revision   int64  `json:"_catalog-revision"`
		} `json:"meta"`
		Name   string `json:"name"`
		Status struct {
			Status string `json:"status"`
			Reason string `json:"reason"`
		} `json:"project-status"`
		Versions []string   `json:"versions"`
		Files    []jsonFile `json:"files"`
	}
	dec := json.NewDecoder(bytes.NewReader(page))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&out); err != nil {
		t.Fatalf("%v\n%s", err, page)
	}
	if out.Meta.APIVersion != "1.4" {
		t.Errorf("api-version is %q", out.Meta.APIVersion)
	}
	return out.Files
}

func resolve(t *testing.T, page, link string) string {
	t.Helper()
	base, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	target, err := base.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return target.String()
}
