package pages_test

import (
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

// TestPagesAreValid has every index page judged against the specifications, and
// both forms of it against each other.
func TestPagesAreValid(t *testing.T) {
	for name, rendered := range everyPage() {
		if len(rendered) != 2 || strings.HasPrefix(rendered[0].Key, "libtorch/") {
			continue // Feeds, and archives, which are no Python project.
		}
		t.Run(name, func(t *testing.T) {
			html, json := judge(t, rendered[0]), judge(t, rendered[1])
			var f simpleindex.Findings
			simpleindex.CompareFormats(html, json, &f)
			for _, finding := range f.List() {
				t.Errorf("HTML and JSON: %s", finding)
			}
		})
	}
}

func judge(t *testing.T, page pages.Page) *simpleindex.Page {
	t.Helper()
	folder := strings.TrimSuffix(strings.TrimSuffix(page.Key, layout.HTMLPage), layout.JSONPage)
	_, _, rest, ok := layout.LaneOf(folder)
	if !ok {
		t.Fatalf("%s is no page of a lane", page.Key)
	}
	parsed, f := simpleindex.Judge(simpleindex.Source{
		URL: layout.PublicURL(base, folder), Project: strings.TrimSuffix(rest, "/"), ContentType: page.ContentType, Body: page.Body,
	}, simpleindex.Limits{})
	for _, finding := range f.List() {
		t.Errorf("%s: %s", page.Key, finding)
	}
	if parsed == nil {
		t.Fatalf("%s cannot be read", page.Key)
	}
	return parsed
}

// TestTheValidatorIsAwake makes sure that the test above could fail.
func TestTheValidatorIsAwake(t *testing.T) {
	page := pages.Root(listing(v1alpha1.ChannelRelease, "torch"))[0]
	page.Body = []byte(strings.Replace(string(page.Body), "</body>", `<a href="../nightly/spyre/">the nightly index</a></body>`, 1))
	_, f := simpleindex.Judge(simpleindex.Source{URL: base + "/whl/spyre/", ContentType: page.ContentType, Body: page.Body}, simpleindex.Limits{})
	if len(f.List()) == 0 {
		t.Error("a link that is no project was not found")
	}
}
