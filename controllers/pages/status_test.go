package pages_test

import (
	"encoding/json"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// TestProjectStatus: a retired project is archived, all others say nothing,
// which means active (PEP 792).
func TestProjectStatus(t *testing.T) {
	for _, project := range []string{"torch", v1alpha1.LibtorchPackage} {
		for _, retired := range []bool{false, true} {
			c := catalog.New("spyre", v1alpha1.ChannelRelease, project)
			c.Retired = retired
			rendered := pages.Project(c, base)
			var page struct {
				Status *struct{ Status, Reason string } `json:"project-status"`
			}
			if err := json.Unmarshal(rendered[1].Body, &page); err != nil {
				t.Fatal(err)
			}
			html := string(rendered[0].Body)
			if !retired {
				if page.Status != nil || strings.Contains(html, "project-status") {
					t.Errorf("%s has a status: %+v", project, page.Status)
				}
				continue
			}
			if page.Status == nil || page.Status.Status != "archived" || page.Status.Reason == "" {
				t.Errorf("%s: status %+v", project, page.Status)
				continue
			}
			for _, meta := range []string{
				`<meta name="pypi:project-status" content="archived">`,
				`<meta name="pypi:project-status-reason" content="` + page.Status.Reason + `">`,
			} {
				if !strings.Contains(html, meta) {
					t.Errorf("%s: the page lacks %s", project, meta)
				}
			}
		}
	}
}

// TestProvenanceIsLinkedFromASecureOriginAlone: its URL has to be absolute, of
// an origin that nobody can pretend to be (PEP 740), or it is left out.
func TestProvenanceIsLinkedFromASecureOriginAlone(t *testing.T) {
	for _, c := range []struct {
		base   string
		linked bool
	}{
		{"https://download.example.org", true},
		{"https://download.example.org/top/", true},
		{"http://127.0.0.1:8080", true},
		{"http://[::1]:8080", true},
		{"http://localhost:8080", true},
		{"http://download.example.org", false},
		{"http://127.0.0.1.example.org", false},
		{"ftp://127.0.0.1", false},
		{"download.example.org", false},
		{"https://", false},
		{"", false},
		{"://", false},
	} {
		for _, page := range pages.Project(sample(), c.base) {
			want := `provenance`
			if c.linked {
				want = strings.TrimRight(c.base, "/") + `/whl/spyre/torch-2.9.1%2Bspyre-cp312-cp312-linux_x86_64.whl.provenance"`
			}
			if got := strings.Contains(string(page.Body), want); got != c.linked {
				t.Errorf("base %q: %s contains %q: %v, want %v", c.base, page.Key, want, got, c.linked)
			}
		}
	}
}
