package index_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex/crawl"
	"github.com/pytorch/platform-lane-operator/controllers/upstream"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// elsewhere is another index: a page of sympy, and its file.
func elsewhere(t *testing.T, w wheeltest.Wheel) (*httptest.Server, func() string) {
	t.Helper()
	data := bytesOf(t, w)
	sum := sha256.Sum256(data)
	meta := sha256.Sum256(w.MetadataBytes())
	var mu sync.Mutex
	var asked []string
	serve := func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		switch r.URL.Path {
		case "/simple/sympy/":
			rw.Header().Set("Content-Type", simpleindex.TypeJSON)
			_, _ = fmt.Fprintf(rw, `{"meta":{"api-version":"1.1"},"name":"sympy","versions":[%q],"files":[{"filename":%q,"url":"../../files/%s","hashes":{"sha256":"%s"},"size":%d,"core-metadata":{"sha256":"%s"}}]}`,
				w.Version, w.Filename(), w.Filename(), hex.EncodeToString(sum[:]), len(data), hex.EncodeToString(meta[:]))
		case "/files/" + w.Filename():
			http.ServeContent(rw, r, "x.bin", time.Time{}, bytes.NewReader(data))
		case "/files/" + w.Filename() + ".metadata":
			_, _ = rw.Write(w.MetadataBytes())
		default:
			http.NotFound(rw, r)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(server.Close)
	return server, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(asked, " ")
	}
}

// public serves the world's bucket as a CDN does.
func (w *world) public(t *testing.T, form string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.URL.Path, "/")
		if strings.HasSuffix(key, "/") {
			key += form
		}
		data, info, err := objectstore.ReadAll(r.Context(), w.store, key, 0)
		if err != nil {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", info.ContentType)
		rw.Header().Set("Cache-Control", info.CacheControl)
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/" + folder
}

// TestPipInstallsDependency installs a package of the lane and what it depends
// on through the lane's index alone; the file of the dependency lies at another
// index.
func TestPipInstallsDependency(t *testing.T) {
	sympy := wheeltest.Wheel{Project: "sympy", Version: "1.13.1"}
	other, asked := elsewhere(t, sympy)
	simple := other.URL + "/simple/"
	page, err := upstream.New(upstream.Options{IndexURLs: []string{simple}}).Fetch(t.Context(), simple, "sympy", upstream.Validator{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.upload("2.9.0")
	w.lane.Dependencies = []index.Dependency{{Project: "sympy", IndexURL: simple, Digest: "one", Files: page.Files}}
	w.settle(w.engine)
	venv := filepath.Join(t.TempDir(), "venv")
	run(t, "python3", "-m", "venv", venv)
	for _, form := range []string{"index.html", "index.v1_json"} {
		t.Run(form, func(t *testing.T) {
			at := w.public(t, form)
			target := t.TempDir()
			out := run(t, filepath.Join(venv, "bin", "python"), "-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", "--no-cache-dir",
				"install", "--index-url", at, "--target", target, "torch", "sympy")
			if !strings.Contains(out, "Successfully installed sympy-1.13.1 torch-2.9.0+spyre") {
				t.Error(out)
			}
			if !strings.Contains(asked(), "/files/"+sympy.Filename()+" ") && !strings.HasSuffix(asked(), "/files/"+sympy.Filename()) {
				t.Errorf("the other index was asked for %s", asked())
			}
		})
	}
	report, err := crawl.HTTP(t.Context(), w.public(t, "index.html"), crawl.Options{Hashes: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("%s", f)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1"}
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
