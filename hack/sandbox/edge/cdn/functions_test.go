package cdn

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// shipped are the files that are deployed.
const shipped = "../../../../config/cdn/"

const acceptOfPip = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"

func newShippedFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	var err error
	if f.cdn.Functions, err = LoadFunctions(shipped+"viewer-request.js", shipped+"viewer-response.js"); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOneURLAnswersInTwoForms(t *testing.T) {
	f := newShippedFixture(t)
	f.origin.set(func(w http.ResponseWriter, r *http.Request) { object(r.URL.Path, `"1"`, "s-maxage=60")(w, r) })
	for range 2 {
		for _, c := range []struct{ path, accept, want string }{
			{"/whl/spyre/torch/", acceptOfPip, "/whl/spyre/torch/index.v1_json"},
			{"/whl/spyre/torch/", "text/html", "/whl/spyre/torch/index.html"},
			{"/whl/spyre/torch/", "", "/whl/spyre/torch/index.html"},
			{"/whl/cpu/torch/", acceptOfPip, "/whl/cpu/torch/"},
			{"/whl/spyre/torch-2.9%2Bspyre.whl", acceptOfPip, "/whl/spyre/torch-2.9+spyre.whl"},
		} {
			headers := []string{"Accept", c.accept}
			if c.accept == "" {
				headers = nil
			}
			resp := f.get(c.path, headers...)
			body := make([]byte, 100)
			n, _ := resp.Body.Read(body)
			if resp.StatusCode != 200 || string(body[:n]) != c.want {
				t.Errorf("%s as %q: %d %s, want %s", c.path, c.accept, resp.StatusCode, body[:n], c.want)
			}
			if want := map[bool]string{true: "Accept"}[strings.HasSuffix(c.path, "/")]; resp.Header.Get("Vary") != want {
				t.Errorf("%s: Vary %q, want %q", c.path, resp.Header.Get("Vary"), want)
			}
		}
	}
	if got := len(f.origin.requests()); got != 4 {
		t.Errorf("the origin was asked %d times, want once for each object", got)
	}
}

func TestTwoLinesOfAcceptCountAsOne(t *testing.T) {
	f := newShippedFixture(t)
	f.origin.set(object("x", `"1"`, "s-maxage=60"))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/whl/spyre/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Accept"] = []string{"text/html;q=0.1", "application/vnd.pypi.simple.v1+json"}
	if path, _, err := f.cdn.Functions.onRequest(r, "/whl/spyre/"); err != nil || path != "/whl/spyre/index.v1_json" {
		t.Errorf("got %s, %v", path, err)
	}
}

func TestAFolderWithoutItsSlashIsRedirected(t *testing.T) {
	f := newShippedFixture(t)
	resp := f.get("/whl/spyre/torch?x=1")
	if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "/whl/spyre/torch/" {
		t.Errorf("%d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	if got := f.origin.requests(); len(got) != 0 {
		t.Errorf("the origin was asked for %v", got)
	}
}

func TestRevalidationKeepsVary(t *testing.T) {
	f := newShippedFixture(t)
	f.origin.set(object("x", `"1"`, "s-maxage=60"))
	f.get("/whl/spyre/")
	if resp := f.get("/whl/spyre/", "If-None-Match", `"1"`); resp.StatusCode != http.StatusNotModified || resp.Header.Get("Vary") != "Accept" {
		t.Errorf("%d with Vary %q", resp.StatusCode, resp.Header.Get("Vary"))
	}
	f.origin.set(status(404))
	if resp := f.get("/whl/gone/"); resp.Header.Get("Vary") != "" {
		t.Errorf("a function ran on an error of the origin: Vary %q", resp.Header.Get("Vary"))
	}
}

func TestAnInvalidationReachesBothForms(t *testing.T) {
	f := newShippedFixture(t)
	f.origin.set(object("x", `"1"`, "s-maxage=60"))
	f.get("/whl/spyre/torch/")
	f.get("/whl/spyre/torch/", "Accept", acceptOfPip)
	f.cdn.Invalidate([]string{"/whl/spyre/torch/index.html", "/whl/spyre/torch/index.v1_json"})
	for _, accept := range []string{"text/html", acceptOfPip} {
		if got := f.get("/whl/spyre/torch/", "Accept", accept).Header.Get("X-Cache"); got != "Miss from sandbox" {
			t.Errorf("as %s: %s", accept, got)
		}
	}
}

func TestFunctionsRunAtOnce(t *testing.T) {
	f := newShippedFixture(t)
	f.origin.set(object("x", `"1"`, "s-maxage=60"))
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			if code := f.get("/whl/spyre/torch/", "Accept", acceptOfPip).StatusCode; code != 200 {
				t.Errorf("status %d", code)
			}
		})
	}
	group.Wait()
}

func TestBrokenFunctions(t *testing.T) {
	good := shipped + "viewer-response.js"
	write := func(source string) string {
		path := filepath.Join(t.TempDir(), "f.js")
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, source := range map[string]string{
		"no handler": "var x = 1;", "no JavaScript": "function (", "too large": "function handler(e) { return e.request; }" + strings.Repeat(" ", 10<<10),
	} {
		if _, err := LoadFunctions(write(source), good); err == nil {
			t.Errorf("%s: it was loaded", name)
		}
	}
	if _, err := LoadFunctions("/nowhere.js", good); err == nil {
		t.Error("a file that is not there was loaded")
	}
	for name, source := range map[string]string{
		"throws": "function handler(e) { throw new Error('x'); }", "returns nothing": "function handler(e) {}",
		"does not return": "function handler(e) { for (;;) {} }",
	} {
		f := newFixture(t)
		f.origin.set(object("x", `"1"`, "s-maxage=60"))
		var err error
		if f.cdn.Functions, err = LoadFunctions(write(source), good); err != nil {
			t.Fatal(err)
		}
		for range 2 { // It must not be stuck after the first failure.
			if resp := f.get("/whl/spyre/"); resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("%s: %d, want 503", name, resp.StatusCode)
			}
		}
	}
}
