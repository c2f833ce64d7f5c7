package pages_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// TestPagesAreAccessible checks every kind of page for what people need who read
// it on a phone, by ear or with a keyboard alone.
func TestPagesAreAccessible(t *testing.T) {
	for name, rendered := range everyPage() {
		for _, page := range rendered {
			if strings.HasPrefix(page.ContentType, "text/html") {
				t.Run(name, func(t *testing.T) { checkAccessible(t, page.Body) })
			}
		}
	}
}

// checkAccessible parses a page and checks its form.
func checkAccessible(t *testing.T, page []byte) {
	t.Helper()
	checkNesting(t, page)
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	byTag, ids := map[atom.Atom][]*html.Node{}, map[string]bool{}
	for n := range doc.Descendants() {
		if n.Type == html.TextNode && strings.ContainsFunc(n.Data, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Errorf("text that does not print: %q", n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		byTag[n.DataAtom] = append(byTag[n.DataAtom], n)
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %q", id)
			}
			ids[id] = true
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || a.Key == "src" {
				t.Errorf("%s has the attribute %s", n.Data, a.Key)
			}
		}
	}
	if attribute(byTag[atom.Html][0], "lang") != "en" {
		t.Error("the page does not say its language")
	}
	if titles := byTag[atom.Title]; len(titles) != 1 || text(titles[0]) == "" || len(byTag[atom.H1]) != 1 || text(byTag[atom.H1][0]) != text(titles[0]) {
		t.Error("the page has not one title that is its first heading")
	}
	if len(byTag[atom.Main]) > 1 || len(byTag[atom.Script]) > 0 || len(byTag[atom.Link]) > 0 {
		t.Error("two main parts, a script or an outside file")
	}
	checkMeta(t, page, byTag)
	checkHeadings(t, doc)
	for _, n := range byTag[atom.Section] {
		if !ids[attribute(n, "aria-labelledby")] {
			t.Error("a section without a name")
		}
	}
	for _, n := range slices.Concat(byTag[atom.Button], byTag[atom.Summary], byTag[atom.Dt], byTag[atom.H2], byTag[atom.H3]) {
		if text(n) == "" && n.DataAtom != atom.H2 { // A file's name may be blank.
			t.Errorf("an empty %s", n.Data)
		}
	}
	for _, n := range byTag[atom.Form] {
		if action := attribute(n, "action"); action == "" || strings.Contains(action, ":") || strings.HasPrefix(action, "//") || strings.HasPrefix(action, "/") {
			t.Errorf("a button leads to %q", action)
		}
	}
}

// checkNesting expects every element to be closed where it should be: parsers
// put up with anything, and not all in the same way.
func checkNesting(t *testing.T, page []byte) {
	t.Helper()
	void := []string{"meta", "br"}
	var open []string
	z := html.NewTokenizer(bytes.NewReader(page))
	for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
		token := z.Token()
		switch kind {
		case html.StartTagToken:
			if !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> closes %q", token.Data, open)
			}
			open = open[:len(open)-1]
		case html.SelfClosingTagToken, html.CommentToken:
			t.Fatalf("a token that we do not write: %s", token)
		}
	}
	if len(open) > 0 {
		t.Errorf("%q stay open", open)
	}
}

func checkMeta(t *testing.T, page []byte, byTag map[atom.Atom][]*html.Node) {
	t.Helper()
	meta := map[string]string{}
	for _, n := range byTag[atom.Meta] {
		meta[attribute(n, "name")+attribute(n, "http-equiv")] = attribute(n, "content")
	}
	if meta["viewport"] != "width=device-width,initial-scale=1" {
		t.Errorf("viewport %q: phones would shrink the page", meta["viewport"])
	}
	if meta["pypi:repository-version"] != "1.4" {
		t.Errorf("repository version %q", meta["pypi:repository-version"])
	}
	if at := bytes.Index(page, []byte(`<meta charset="utf-8">`)); at < 0 || at > 1000 {
		t.Errorf("the encoding is told at byte %d", at)
	}
	if len(byTag[atom.Style]) != 1 {
		t.Fatalf("%d style sheets", len(byTag[atom.Style]))
	}
	sum := sha256.Sum256([]byte(byTag[atom.Style][0].FirstChild.Data))
	want := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'", base64.StdEncoding.EncodeToString(sum[:]))
	if meta["Content-Security-Policy"] != want {
		t.Errorf("policy %q, want %q", meta["Content-Security-Policy"], want)
	}
}

// checkHeadings expects no level to be left out on the way down.
func checkHeadings(t *testing.T, doc *html.Node) {
	t.Helper()
	last := 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode || len(n.Data) != 2 || n.Data[0] != 'h' || n.Data == "hr" {
			continue
		}
		level := int(n.Data[1] - '0')
		if level > last+1 {
			t.Errorf("a heading of level %d follows one of level %d", level, last)
		}
		last = level
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// text is what an element shows.
func text(n *html.Node) string {
	var b strings.Builder
	for child := range n.Descendants() {
		if child.Type == html.TextNode {
			b.WriteString(child.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// TestContrast computes the contrasts of the colours (WCAG 2.2, 1.4.3 and
// 1.4.11), in light and in dark.
func TestContrast(t *testing.T) {
	sheet, err := os.ReadFile("templates/style.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, ok := strings.Cut(string(sheet), "@media(prefers-color-scheme:dark)")
	if !ok {
		t.Fatal("there is no dark half")
	}
	dark, rest, _ := strings.Cut(dark, "}}")
	for name, half := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z]+):#([0-9a-f]{6})\b`).FindAllStringSubmatch(half, -1) {
			colours[m[1]] = m[2]
		}
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"text", "page", 7}, {"text", "box", 7}, {"muted", "page", 4.5}, {"link", "page", 4.5}, {"link", "box", 4.5},
			{"warn", "page", 4.5}, {"line", "page", 3}, {"line", "box", 3},
		} {
			if got := contrast(t, colours[pair.front], colours[pair.back]); got < pair.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", name, pair.front, pair.back, got, pair.least)
			}
		}
	}
	if found := regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgb|hsl`).FindString(rest); found != "" {
		t.Errorf("a colour beside the ones that are checked: %s", found)
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	value, err := strconv.ParseUint(colour, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	channel := func(shift int) float64 {
		c := float64(value>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}
