package pages_test

import (
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// TestLinkedFiles: files that another index publishes keep their own address,
// their own yank, and say nothing about a size that is not known.
func TestLinkedFiles(t *testing.T) {
	const address = "https://files.example.com/packages/ab/sympy-1.13.1-py3-none-any.whl"
	hash := strings.Repeat("ab", 32)
	c := catalog.New("spyre", v1alpha1.ChannelRelease, "sympy")
	c.Upstream.IndexURL = "https://index.example.com/simple/"
	c.Put(catalog.File{
		Name: "sympy-1.13.1-py3-none-any.whl", State: catalog.StateListed, SHA256: hash, Size: 7, Version: "1.13.1", MetadataSHA256: hash,
		Link: &catalog.Link{URL: address, Yanked: true, YankReason: "wrong <maths>"},
	})
	html, json := both(t, c)
	for _, want := range []string{`href="` + address + `#sha256=` + hash + `"`, `data-core-metadata="sha256=` + hash + `"`, `data-yanked="wrong &lt;maths&gt;"`} {
		if !strings.Contains(html, want) {
			t.Errorf("the HTML lacks %s:\n%s", want, html)
		}
	}
	for _, want := range []string{`"api-version":"1.4"`, `"url":"` + address + `"`, `"size":7`, `"yanked":"wrong `} {
		if !strings.Contains(json, want) {
			t.Errorf("the JSON lacks %s:\n%s", want, json)
		}
	}
	c.Files[0].Size = 0
	if _, json := both(t, c); !strings.Contains(json, `"api-version":"1.0"`) || strings.Contains(json, `"size"`) {
		t.Errorf("a size that is not known:\n%s", json)
	}
	c.Files[0].Bury(catalog.Tombstone{UID: "u", Mode: v1alpha1.YankIndexRemoval})
	if html, json := both(t, c); strings.Contains(html+json, address) {
		t.Errorf("taken back, and still listed:\n%s\n%s", html, json)
	}
}

func both(t *testing.T, c *catalog.Catalog) (html, json string) {
	t.Helper()
	rendered := pages.Project(c, "https://download.example.com")
	if len(rendered) != 2 {
		t.Fatalf("%d pages", len(rendered))
	}
	return string(rendered[0].Body), string(rendered[1].Body)
}
