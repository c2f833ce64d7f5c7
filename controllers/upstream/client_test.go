package upstream_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
	"github.com/pytorch/platform-lane-operator/controllers/upstream"
)

// index is a real HTTP server that answers for /simple/sympy/.
type index struct {
	*httptest.Server
	answer http.HandlerFunc
	asked  atomic.Int64
}

func newIndex(t *testing.T, answer http.HandlerFunc) *index {
	t.Helper()
	x := &index{answer: answer}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.asked.Add(1)
		x.answer(w, r)
	}))
	t.Cleanup(x.Close)
	return x
}

func (x *index) url() string { return x.URL + "/simple/" }

func (x *index) client(o upstream.Options) *upstream.Client {
	o.IndexURLs = append(o.IndexURLs, x.url())
	return upstream.New(o)
}

func fetch(t *testing.T, c *upstream.Client, indexURL string) (upstream.Page, error) {
	t.Helper()
	return c.Fetch(t.Context(), indexURL, "sympy", upstream.Validator{})
}

func jsonPage(files string) http.HandlerFunc {
	return send(simpleindex.TypeJSON, `{"meta":{"api-version":"1.1"},"name":"sympy","versions":["1.13.1"],"files":[`+files+`]}`)
}

func send(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	}
}

const good = `{"filename":"sympy-1.13.1-py3-none-any.whl","url":"../../files/sympy-1.13.1-py3-none-any.whl","hashes":{"sha256":"` + hash + `"},"size":7,"requires-python":">=3.8","core-metadata":{"sha256":"` + hash + `"}}`

const hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestFetch(t *testing.T) {
	var accept string
	x := newIndex(t, func(w http.ResponseWriter, r *http.Request) {
		accept = r.Header.Get("Accept")
		if r.URL.Path != "/simple/sympy/" {
			http.NotFound(w, r)
			return
		}
		jsonPage(good)(w, r)
	})
	page, err := fetch(t, x.client(upstream.Options{}), strings.TrimSuffix(x.url(), "/"))
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Files) != 1 || page.LeftOut != 0 {
		t.Fatalf("%+v", page)
	}
	f := page.Files[0]
	if f.Link.URL != x.URL+"/files/sympy-1.13.1-py3-none-any.whl" || f.SHA256 != hash || f.MetadataSHA256 != hash || f.Size != 7 || f.RequiresPython != ">=3.8" || f.Version != "1.13.1" || f.State != "Listed" {
		t.Errorf("%+v %+v", f, f.Link)
	}
	if !strings.HasPrefix(accept, simpleindex.TypeJSON) || !strings.Contains(accept, "text/html;q=") {
		t.Errorf("asked for %q", accept)
	}
}

func TestFetchOfHTML(t *testing.T) {
	x := newIndex(t, send("text/html", `<!DOCTYPE html><body><a href="sympy-1.13.1.tar.gz#sha256=`+hash+`" data-yanked="broken">sympy-1.13.1.tar.gz</a></body>`))
	page, err := fetch(t, x.client(upstream.Options{}), x.url())
	if err != nil || len(page.Files) != 1 {
		t.Fatalf("%+v %v", page, err)
	}
	if f := page.Files[0]; f.Size != 0 || !f.Link.Yanked || f.Link.YankReason != "broken" || f.Link.URL != x.url()+"sympy/sympy-1.13.1.tar.gz" {
		t.Errorf("%+v %+v", f, f.Link)
	}
}

// TestRevalidation: a page that did not change costs its headers.
func TestRevalidation(t *testing.T) {
	bodies := 0
	x := newIndex(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Last-Modified", "Mon, 23 Nov 2026 12:00:00 GMT")
		if r.Header.Get("If-None-Match") == `"one"` && r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		bodies++
		jsonPage(good)(w, r)
	})
	c := x.client(upstream.Options{})
	first, err := fetch(t, c, x.url())
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Fetch(t.Context(), x.url(), "sympy", first.Validator)
	if err != nil || !again.Unchanged || bodies != 1 || again.Validator != first.Validator {
		t.Errorf("%+v, %d bodies, %v", again, bodies, err)
	}
	x.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }
	if _, err := fetch(t, c, x.url()); err == nil {
		t.Error("304 without having asked for it")
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	json := func(text string) http.HandlerFunc { return send(simpleindex.TypeJSON, text) }
	for what, answer := range map[string]http.HandlerFunc{
		"not found":    http.NotFound,
		"failing":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"no content":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"another type": send("application/octet-stream", "<html></html>"),
		"no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = w.Write([]byte("<html>"))
		},
		"a maintenance page":     send("text/html", "<!DOCTYPE html><title>Back soon</title>"),
		"half a page":            json(`{"meta":{"api-version":"1.0"},"name":"sympy","files":[`),
		"another project":        json(`{"meta":{"api-version":"1.0"},"name":"torch","files":[]}`),
		"no project":             json(`{"meta":{"api-version":"1.0"},"files":[]}`),
		"no files":               json(`{"meta":{"api-version":"1.0"},"name":"sympy"}`),
		"files that are no list": json(`{"meta":{"api-version":"1.0"},"name":"sympy","files":{}}`),
		"no version":             json(`{"name":"sympy","files":[]}`),
		"version 2":              json(`{"meta":{"api-version":"2.0"},"name":"sympy","files":[]}`),
		"a list of projects":     json(`{"meta":{"api-version":"1.0"},"projects":[]}`),
		"not UTF-8":              json("{\"meta\":{\"api-version\":\"1.0\"},\"name\":\"sympy\",\"files\":[],\"_\":\"\xff\"}"),
		"a base":                 send("text/html", `<!DOCTYPE html><base href="https://elsewhere.example.com/"><a href="a">a</a>`),
		"files twice":            json(`{"meta":{"api-version":"1.0"},"name":"sympy","files":[],"files":[]}`),
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			_, _ = w.Write([]byte("{"))
		},
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", simpleindex.TypeJSON)
			for range 64 {
				_, _ = w.Write(bytes.Repeat([]byte(" "), 1<<10))
			}
		},
		"a bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", simpleindex.TypeJSON)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
			_ = z.Close()
		},
		"too many files": json(`{"meta":{"api-version":"1.0"},"name":"sympy","files":[` + strings.Repeat(`{},`, 20_000) + `{}]}`),
	} {
		t.Run(what, func(t *testing.T) {
			x := newIndex(t, answer)
			o := upstream.Options{PageBytes: 32 << 10}
			if what == "too many files" {
				o.PageBytes = 1 << 20
			}
			page, err := fetch(t, x.client(o), x.url())
			if err == nil || len(page.Files) > 0 {
				t.Errorf("%+v, %v", page, err)
			} else if !strings.Contains(err.Error(), x.url()+"sympy/") || len(err.Error()) > 1000 {
				t.Errorf("the error says not where, or too much: %v", err)
			}
		})
	}
}

func TestQuarantinedProjectHasNoFiles(t *testing.T) {
	x := newIndex(t, send(simpleindex.TypeJSON, `{"meta":{"api-version":"1.4"},"name":"sympy","versions":[],"project-status":{"status":"quarantined"},"files":[`+good+`]}`))
	if page, err := fetch(t, x.client(upstream.Options{}), x.url()); err != nil || !page.Quarantined || len(page.Files) != 0 {
		t.Errorf("%+v %v", page, err)
	}
}

// TestFilesThatAreLeftOut: a bad file is left out alone.
func TestFilesThatAreLeftOut(t *testing.T) {
	edit := func(from, to string) string {
		out := strings.ReplaceAll(good, from, to)
		if out == good {
			t.Fatalf("nothing replaced: %s", from)
		}
		return strings.ReplaceAll(out, "1.13.1", "1.12")
	}
	for what, bad := range map[string]string{
		"no hash":              edit(`{"sha256":"`+hash+`"},"size"`, `{},"size"`),
		"a weak hash":          edit(`{"sha256":"`+hash+`"},"size"`, `{"md5":"`+hash[:32]+`"},"size"`),
		"a short hash":         edit(`{"sha256":"`+hash+`"},"size"`, `{"sha256":"`+hash[1:]+`"},"size"`),
		"another project":      edit("sympy-", "torch-"),
		"a name that is none":  edit("-py3-none-any", ""),
		"an egg":               edit("-py3-none-any.whl", "-py3.8.egg"),
		"an address elsewhere": edit("../../files/sympy-1.13.1-py3-none-any.whl", "../../files/evil.whl"),
		"a password":           edit("../../files/", "https://me:secret@files.example.com/"),
		"another scheme":       edit("../../files/", "file:///"),
		"javascript":           edit("../../files/", "javascript:/"),
		"a query":              edit(`any.whl","hashes`, `any.whl?token=secret","hashes`),
		"a folder":             edit("../../files/sympy-1.13.1-py3-none-any.whl", "../../files/"),
		"too long":             edit("../../files/", "../../"+strings.Repeat("a", 2100)+"/"),
		"bad requires-python":  edit(">=3.8", "three"),
		"control characters":   edit(">=3.8", `>=3\u0007`),
		"twice":                strings.ReplaceAll(good, "1.13.1", "1.12") + "," + strings.ReplaceAll(good, "1.13.1", "1.12"),
	} {
		t.Run(what, func(t *testing.T) {
			x := newIndex(t, jsonPage(bad+",\n"+good))
			page, err := fetch(t, x.client(upstream.Options{}), x.url())
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Files) != 1 || page.Files[0].Version != "1.13.1" || page.LeftOut == 0 || len(page.Reasons) != page.LeftOut {
				t.Errorf("%+v", page)
			}
			if strings.Contains(fmt.Sprint(page.Reasons), "secret") {
				t.Errorf("tells a secret: %v", page.Reasons)
			}
		})
	}
}

func TestReasonsAreBounded(t *testing.T) {
	var many []string
	for i := range 50 {
		many = append(many, strings.ReplaceAll(strings.ReplaceAll(good, "1.13.1", fmt.Sprintf("1.%d", i)), `"sha256"`, `"md5"`))
	}
	x := newIndex(t, jsonPage(strings.Join(many, ",")))
	if page, err := fetch(t, x.client(upstream.Options{}), x.url()); err != nil || page.LeftOut != 50 || len(page.Reasons) > 10 {
		t.Errorf("%d left out, %d reasons, %v", page.LeftOut, len(page.Reasons), err)
	}
}

func TestSlowIndex(t *testing.T) {
	release := make(chan struct{})
	x := newIndex(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	begun := time.Now()
	if _, err := fetch(t, x.client(upstream.Options{Timeout: 50 * time.Millisecond}), x.url()); err == nil || time.Since(begun) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begun))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.client(upstream.Options{}).Fetch(ctx, x.url(), "sympy", upstream.Validator{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestAllowList: nothing else is asked, whatever a manifest names.
func TestAllowList(t *testing.T) {
	x := newIndex(t, jsonPage(good))
	c := x.client(upstream.Options{})
	for _, url := range []string{x.URL + "/other/", x.URL, x.URL + "/simple/../simple/", "http://169.254.169.254/latest/", "", "file:///etc/", x.url() + "?x"} {
		if _, err := fetch(t, c, url); !errors.Is(err, upstream.ErrNotAllowed) {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, project := range []string{"../x", "Sympy", "", "a b", "sympy/../../x"} {
		if _, err := c.Fetch(t.Context(), x.url(), project, upstream.Validator{}); err == nil {
			t.Errorf("project %q: no error", project)
		}
	}
	if x.asked.Load() != 0 {
		t.Errorf("%d requests", x.asked.Load())
	}
}

func TestRedirects(t *testing.T) {
	other := newIndex(t, jsonPage(good))
	var to string
	x := newIndex(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/simple/sympy/" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		if r.URL.Path == "/circle/" {
			http.Redirect(w, r, "/circle/", http.StatusFound)
			return
		}
		jsonPage(good)(w, r)
	})
	for _, c := range []struct {
		what, to string
		allow    []string
		ok       bool
	}{
		{"the same host", "/elsewhere/sympy/", nil, true},
		{"another host", other.URL + "/simple/sympy/", nil, false},
		{"another host on the list", other.URL + "/simple/sympy/", []string{other.url()}, true},
		{"with credentials", "http://me:secret@" + strings.TrimPrefix(x.URL, "http://") + "/a/", nil, false},
		{"metadata service", "http://169.254.169.254/latest/meta-data/", nil, false},
		{"another scheme", "ftp://example.com/", nil, false},
		{"in circles", "/circle/", nil, false},
	} {
		to = c.to
		before := other.asked.Load()
		_, err := fetch(t, x.client(upstream.Options{IndexURLs: c.allow}), x.url())
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.what, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: tells a secret: %v", c.what, err)
		}
		if !c.ok && other.asked.Load() != before {
			t.Errorf("%s: was followed", c.what)
		}
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(jsonPage(good))
	defer server.Close()
	plain := newIndex(t, jsonPage(good))
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	url := server.URL + "/simple/"
	if page, err := fetch(t, upstream.New(upstream.Options{IndexURLs: []string{url}, RootCAs: pool}), url); err != nil || len(page.Files) != 1 {
		t.Errorf("%v", err)
	}
	if _, err := fetch(t, upstream.New(upstream.Options{IndexURLs: []string{url}}), url); err == nil {
		t.Error("an unknown certificate is accepted")
	}
	server.Config.Handler = http.RedirectHandler(plain.url()+"sympy/", http.StatusFound)
	if _, err := fetch(t, upstream.New(upstream.Options{IndexURLs: []string{url, plain.url()}, RootCAs: pool}), url); err == nil || plain.asked.Load() > 0 {
		t.Errorf("from https to http: %v", err)
	}
}

// TestHugePageIsNotReadToItsEnd: what is too large costs no more than the limit.
func TestHugePageIsNotReadToItsEnd(t *testing.T) {
	sent := make(chan int, 1)
	x := newIndex(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", simpleindex.TypeJSON)
		block, n := bytes.Repeat([]byte(" "), 1<<20), 0
		for n < 256 {
			if _, err := w.Write(block); err != nil {
				break
			}
			n++
		}
		sent <- n
	})
	if _, err := fetch(t, x.client(upstream.Options{PageBytes: 1 << 20}), x.url()); err == nil {
		t.Error("no error")
	}
	if n := <-sent; n > 64 {
		t.Errorf("%d MiB were sent, the limit is 1", n)
	}
}
