package simpleindex_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

// FuzzHTML and FuzzJSON feed any bytes to both readers. Whatever comes: nothing
// crashes, findings are bounded and printable, and no file leads anywhere but to
// an http or https address without credentials.
func FuzzHTML(f *testing.F) {
	for _, c := range ruleCases {
		f.Add(c.breaks.Body)
	}
	seed(f, "incumbent.html", "incumbent-root.html")
	f.Fuzz(func(t *testing.T, body []byte) { fuzz(t, "text/html", append([]byte("<"), body...)) })
}

func FuzzJSON(f *testing.F) {
	for _, c := range ruleCases {
		f.Add(c.breaks.Body)
	}
	seed(f, "hostile.json")
	f.Fuzz(func(t *testing.T, body []byte) { fuzz(t, simpleindex.TypeJSON, append([]byte("{"), body...)) })
}

func seed(f *testing.F, names ...string) {
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body[1:])
	}
}

func fuzz(t *testing.T, contentType string, body []byte) {
	for _, project := range []string{"", "torch"} {
		page, found := simpleindex.Judge(simpleindex.Source{URL: pageURL, Project: project, ContentType: contentType, Body: body}, simpleindex.Limits{Links: 100})
		perRule := map[string]int{}
		for _, finding := range found.List() {
			if perRule[finding.Rule]++; perRule[finding.Rule] > simpleindex.MaxPerRule {
				t.Fatalf("more than %d findings of %s", simpleindex.MaxPerRule, finding.Rule)
			}
			text := finding.String() + finding.File
			if len(text) > 2000 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
				t.Fatalf("not fit to be shown: %q", text)
			}
		}
		if page == nil {
			continue
		}
		if len(page.Files)+len(page.Projects) > 100 {
			t.Fatalf("%d links", len(page.Files)+len(page.Projects))
		}
		for i := range page.Files {
			if u := page.Files[i].URL; u != "" && !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") {
				t.Fatalf("a link to %q", u)
			}
		}
	}
}
