package crawl_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex/crawl"
)

const wheelName = "torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl"

var wheelPath = "/whl/spyre/" + strings.ReplaceAll(wheelName, "+", "%2B")

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

const head = `<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="pypi:repository-version" content="1.4"></head><body>`

// site is an index in order, whose answers tests exchange.
type site struct {
	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   map[string]int
}

func page(html, jsonText string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Accept")
		w.Header().Set("Cache-Control", "max-age=0")
		if strings.Contains(r.Header.Get("Accept"), "json") && jsonText != "" {
			w.Header().Set("Content-Type", simpleindex.TypeJSON)
			_, _ = w.Write([]byte(jsonText))
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(html))
	}
}

func bytesOf(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x.bin", time.Time{}, strings.NewReader(text))
	}
}

func projectPage(hash string, size int) (html, jsonText string) {
	html = head + fmt.Sprintf(`<a href="%s#sha256=%s" data-core-metadata="sha256=%s">%s</a></body></html>`, wheelPath, hash, sum("METADATA"), wheelName)
	jsonText = fmt.Sprintf(`{"meta":{"api-version":"1.4"},"name":"torch","versions":["2.9.0+spyre"],"files":[{"filename":%q,"url":%q,"hashes":{"sha256":%q},"size":%d,"core-metadata":{"sha256":%q}}]}`, wheelName, wheelPath, hash, size, sum("METADATA"))
	return html, jsonText
}

const rootJSON = `{"meta":{"api-version":"1.4"},"projects":[{"name":"torch"}]}`

func rootHTML(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString(`<a href="` + name + `/">` + name + `</a>`)
	}
	return head + b.String() + "</body></html>"
}

func newSite(t *testing.T) (*site, string) {
	t.Helper()
	s := &site{asked: map[string]int{}, answers: map[string]http.HandlerFunc{
		"/whl/spyre/":           page(rootHTML("torch"), rootJSON),
		"/whl/spyre/torch/":     page(projectPage(sum("wheel"), 5)),
		wheelPath:               bytesOf("wheel"),
		wheelPath + ".metadata": bytesOf("METADATA"),
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.answers[r.URL.EscapedPath()]
		s.asked[r.Method+" "+r.URL.EscapedPath()]++
		s.mu.Unlock()
		if answer == nil {
			http.NotFound(w, r)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return s, server.URL + "/whl/spyre/"
}

func rulesOf(r *crawl.Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestHTTP(t *testing.T) {
	all := crawl.Options{Hashes: true}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for _, c := range []struct {
		what    string
		prepare func(*site)
		o       crawl.Options
		want    []string
	}{
		{"in order", func(*site) {}, all, nil},
		{"HTML alone", func(s *site) {
			html, _ := projectPage(sum("wheel"), 5)
			s.answers["/whl/spyre/"], s.answers["/whl/spyre/torch/"] = page(rootHTML("torch"), ""), page(html, "")
		}, all, nil},
		{"JSON beside", func(s *site) {
			html, jsonText := projectPage(sum("wheel"), 5)
			s.answers["/whl/spyre/"], s.answers["/whl/spyre/torch/"] = page(rootHTML("torch"), ""), page(html, "")
			s.answers["/whl/spyre/index.v1_json"] = page("", rootJSON)
			s.answers["/whl/spyre/torch/index.v1_json"] = page("", strings.Replace(jsonText, sum("wheel"), sum("other"), 1))
		}, crawl.Options{}, []string{"formats-disagree"}},
		{"no page", func(s *site) { delete(s.answers, "/whl/spyre/torch/") }, all, []string{"project-without-page"}},
		{"a page that fails", func(s *site) { s.answers["/whl/spyre/torch/"] = status(500) }, all, []string{"page-unreachable"}},
		{"a page that is forbidden", func(s *site) { s.answers["/whl/spyre/torch/"] = status(403) }, all, []string{"page-unreachable"}},
		{"moved for good", func(s *site) {
			s.answers["/whl/spyre/torch2/"] = s.answers["/whl/spyre/torch/"]
			s.answers["/whl/spyre/torch/"] = http.RedirectHandler("/whl/spyre/torch2/", http.StatusMovedPermanently).ServeHTTP
		}, all, []string{"redirect-permanent"}},
		{"moved for now", func(s *site) {
			s.answers["/whl/spyre/torch2/"] = s.answers["/whl/spyre/torch/"]
			s.answers["/whl/spyre/torch/"] = http.RedirectHandler("/whl/spyre/torch2/", http.StatusFound).ServeHTTP
		}, all, nil},
		{"moved in circles", func(s *site) {
			s.answers["/whl/spyre/torch/"] = http.RedirectHandler("/whl/spyre/torch/", http.StatusFound).ServeHTTP
		}, all, []string{"page-unreachable"}},
		{"no Vary", func(s *site) {
			with := s.answers["/whl/spyre/torch/"]
			s.answers["/whl/spyre/torch/"] = func(w http.ResponseWriter, r *http.Request) { with(noVary{w}, r) }
		}, all, []string{"vary-accept"}},
		{"JSON for everybody", func(s *site) {
			_, jsonText := projectPage(sum("wheel"), 5)
			s.answers["/whl/spyre/torch/"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", simpleindex.TypeJSON)
				_, _ = w.Write([]byte(jsonText))
			}
		}, all, []string{"negotiation"}},
		{"no content type", func(s *site) {
			s.answers["/whl/spyre/"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = nil
				_, _ = w.Write([]byte(rootHTML("torch")))
			}
		}, all, []string{"content-type"}},
		{"a file is gone", func(s *site) { delete(s.answers, wheelPath) }, all, []string{"file-unreachable"}},
		{"a file is gone, nobody looks", func(s *site) { delete(s.answers, wheelPath) }, crawl.Options{}, nil},
		{"another size", func(s *site) { s.answers[wheelPath] = bytesOf("wheels") }, crawl.Options{Files: true}, []string{"file-size"}},
		{"other bytes", func(s *site) { s.answers[wheelPath] = bytesOf("wheeL") }, all, []string{"file-hash"}},
		{"other bytes, nobody looks", func(s *site) { s.answers[wheelPath] = bytesOf("wheeL") }, crawl.Options{Files: true}, nil},
		{"no METADATA", func(s *site) { delete(s.answers, wheelPath+".metadata") }, all, []string{"metadata-unreachable"}},
		{"other METADATA", func(s *site) { s.answers[wheelPath+".metadata"] = bytesOf("other") }, all, []string{"metadata-hash"}},
		{"immutable", func(s *site) {
			with := s.answers[wheelPath]
			s.answers[wheelPath] = func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "immutable")
				with(w, r)
			}
		}, all, []string{"cache-immutable"}},
		{"too large", func(*site) {}, crawl.Options{Limits: simpleindex.Limits{PageBytes: 200}}, []string{"page-too-large"}},
		{"one of many", func(s *site) { s.answers["/whl/spyre/"] = page(rootHTML("torch", "gone"), "") }, crawl.Options{Projects: []string{"Torch"}}, nil},
		{"not listed", func(*site) {}, crawl.Options{Projects: []string{"vision"}}, []string{"page-unreachable"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			s, url := newSite(t)
			c.prepare(s)
			report, err := crawl.HTTP(t.Context(), url, c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := rulesOf(report); !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v:\n%v", got, c.want, report.Findings)
			}
			if report.Clean() != (len(c.want) == 0) {
				t.Errorf("%d errors, %d warnings", report.Errors, report.Warnings)
			}
		})
	}
}

// noVary takes the Vary header off an answer.
type noVary struct{ http.ResponseWriter }

func (w noVary) Write(b []byte) (int, error) {
	w.Header().Del("Vary")
	return w.ResponseWriter.Write(b)
}

func TestHTTPCannotCheck(t *testing.T) {
	s, url := newSite(t)
	if _, err := crawl.HTTP(t.Context(), url+"torch/", crawl.Options{}); err == nil || !strings.Contains(err.Error(), "--project torch") {
		t.Errorf("the page of a project: %v", err)
	}
	delete(s.answers, "/whl/spyre/")
	for _, index := range []string{url, "ftp://x/", "http://me:secret@x/", "http://x/?a=b", "nothing", "http://127.0.0.1:1/"} {
		if _, err := crawl.HTTP(t.Context(), index, crawl.Options{}); err == nil {
			t.Errorf("%s: no error", index)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", index, err)
		}
	}
	if _, err := crawl.HTTP(t.Context(), url, crawl.Options{Projects: []string{"no name!"}}); err == nil {
		t.Error("a project that is none: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.answers["/whl/spyre/"] = page(rootHTML("torch"), rootJSON)
	s.answers["/whl/spyre/torch/"] = func(http.ResponseWriter, *http.Request) { cancel() }
	if report, err := crawl.HTTP(ctx, url, crawl.Options{}); err == nil {
		t.Errorf("cut short: no error, %v", report.Findings)
	}
}

func TestBounds(t *testing.T) {
	s, url := newSite(t)
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("p%d", i))
	}
	s.answers["/whl/spyre/"] = page(rootHTML(many...), "")
	running, most := 0, 0
	slow := func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		running++
		most = max(most, running)
		s.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		s.mu.Lock()
		running--
		s.mu.Unlock()
		w.WriteHeader(http.StatusNotFound)
	}
	for _, name := range many {
		s.answers["/whl/spyre/"+name+"/"] = slow
	}
	report, err := crawl.HTTP(t.Context(), url, crawl.Options{MaxProjects: 20, AtOnce: 3})
	if err != nil {
		t.Fatal(err)
	}
	if report.Unvisited != 10 || report.Errors != 20 || most > 3 {
		t.Errorf("%d unvisited, %d errors, %d at once", report.Unvisited, report.Errors, most)
	}
}

func TestReport(t *testing.T) {
	s, url := newSite(t)
	s.answers["/whl/spyre/"] = page(rootHTML("torch", "Torch_Vision"), "")
	report, err := crawl.HTTP(t.Context(), url, crawl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := "ROOT  1 error, 0 warnings\n" +
		"  error   line 1: the address ends in \"Torch_Vision\"; installers ask for torch-vision, so publish and link the page there  [name-normalized, PEP 503]\n" +
		"ROOTTorch_Vision/  1 error, 0 warnings\n" +
		"  error   torch-vision is listed and has no page; publish one, empty if need be, for installers stop at the error or look elsewhere  [project-without-page, PEP 503]\n" +
		"\nROOT: 1 file in 1 project, 3 pages: 2 errors, 0 warnings\n"
	if got := strings.ReplaceAll(text.String(), url, "ROOT"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	data, err := json.Marshal(report)
	if err != nil || !strings.Contains(string(data), `"rule":"name-normalized"`) || !strings.Contains(string(data), `"errors":2`) {
		t.Errorf("%s %v", data, err)
	}
}
