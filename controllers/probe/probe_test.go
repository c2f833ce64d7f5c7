package probe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const name = "torch-2.9.0+spyre-py3-none-any.whl"

func TestGone(t *testing.T) {
	for status, want := range map[int]Outcome{
		200: Refuted, 206: Refuted, 416: Refuted, 304: Refuted,
		403: Proven, 404: Proven, 405: Proven, 410: Proven,
		400: Unproven, 401: Unproven, 429: Unproven, 500: Unproven, 502: Unproven, 503: Unproven,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "bytes=0-0" {
				t.Errorf("asked for more than one byte: %q", r.Header.Get("Range"))
			}
			w.WriteHeader(status)
		}))
		got := New(time.Second).Gone(t.Context(), server.URL+"/x")
		if got.Outcome != want || got.Status != status {
			t.Errorf("status %d: %+v, want %s", status, got, want)
		}
		server.Close()
		if got := New(time.Second).Gone(t.Context(), server.URL+"/x"); got.Outcome != Unproven {
			t.Errorf("a server that is down: %+v, want Unproven", got)
		}
	}
}

func TestGoneFollowsRedirects(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/old", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/bytes", http.StatusFound) })
	mux.HandleFunc("/bytes", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("malware")) })
	server := httptest.NewServer(mux)
	defer server.Close()
	if got := New(time.Second).Gone(t.Context(), server.URL+"/old"); got.Outcome != Refuted {
		t.Errorf("%+v, want Refuted", got)
	}
}

func TestPages(t *testing.T) {
	anchor := `<a href="../torch-2.9.0%%2Bspyre-py3-none-any.whl#sha256=00" %s>x</a>`
	html := func(s string) string {
		return `<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.4"></head><body>` + s + "</body></html>"
	}
	jsonPage := func(yanked string) string {
		return fmt.Sprintf(`{"meta":{"api-version":"1.4"},"name":"torch","files":[{"filename":%q,"url":"../x","yanked":%s}]}`, name, yanked)
	}
	for _, c := range []struct {
		why, body         string
		status            int
		unlisted, flagged Outcome
	}{
		{"empty page", html(""), 200, Proven, Proven},
		{"listed", html(fmt.Sprintf(anchor, "")), 200, Refuted, Refuted},
		{"listed under its plain name", html(`<a href="` + name + `">x</a>`), 200, Refuted, Refuted},
		{"flagged", html(fmt.Sprintf(anchor, `data-yanked="bad"`)), 200, Refuted, Proven},
		{"flagged without a reason", html(fmt.Sprintf(anchor, `data-yanked=""`)), 200, Refuted, Proven},
		{"flagged by one link of two", html(fmt.Sprintf(anchor, "") + fmt.Sprintf(anchor, `data-yanked="bad"`)), 200, Refuted, Refuted},
		{"another file", html(`<a href="../torch-2.9.1%2Bspyre-py3-none-any.whl">x</a>`), 200, Proven, Proven},
		{"in a comment only", html("<!--" + fmt.Sprintf(anchor, "") + "-->"), 200, Proven, Proven},
		{"JSON", jsonPage("false"), 200, Refuted, Refuted},
		{"JSON with a reason", jsonPage(`"bad"`), 200, Refuted, Proven},
		{"JSON with true", jsonPage("true"), 200, Refuted, Proven},
		{"JSON with an empty reason", jsonPage(`""`), 200, Refuted, Refuted},
		{"JSON without files", `{"meta":{}}`, 200, Unproven, Unproven},
		{"no page", "AccessDenied", 200, Unproven, Unproven},
		{"a maintenance page", "<!DOCTYPE html><html><body>Back soon</body></html>", 200, Unproven, Unproven},
		{"listed by a page of no kind", fmt.Sprintf(anchor, ""), 200, Refuted, Refuted},
		{"not found", html(""), 404, Unproven, Unproven},
		{"failing", html(""), 503, Unproven, Unproven},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = strings.NewReader(c.body).WriteTo(w)
		}))
		p := New(time.Second)
		if got := p.Unlisted(t.Context(), server.URL, "", []string{name}); got.Outcome != c.unlisted {
			t.Errorf("%s: Unlisted: %+v, want %s", c.why, got, c.unlisted)
		}
		if got := p.Flagged(t.Context(), server.URL, "", []string{name}); got.Outcome != c.flagged {
			t.Errorf("%s: Flagged: %+v, want %s", c.why, got, c.flagged)
		}
		server.Close()
	}
}
