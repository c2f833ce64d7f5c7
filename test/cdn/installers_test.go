package cdn_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex/crawl"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// The lanes of these tests. Every form of a page of agree says the same; the
// HTML pages of differ list 1.0 alone and its JSON pages 2.0 alone, so that an
// installer's choice tells which one it was given.
const (
	agree  = "spyre"
	differ = "gaudi"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// index is a stack whose buckets hold a published index.
type index struct {
	*sandbox.Stack
	stores []objectstore.Store
}

func newIndex(t *testing.T) *index {
	t.Helper()
	stack, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), Out: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Stop)
	x := &index{Stack: stack}
	for _, bucket := range []string{stack.Bucket, stack.MirrorBucket} {
		store, err := s3.New(t.Context(), s3.Config{
			Bucket: bucket, Region: stack.Region, Endpoint: stack.S3Endpoint,
			Credentials: credentials.NewStaticCredentialsProvider(stack.RootAccessKeyID, stack.RootSecretAccessKey, ""),
		})
		if err != nil {
			t.Fatal(err)
		}
		x.stores = append(x.stores, store)
	}
	return x
}

// put stores a page or a file in every bucket.
func (x *index) put(t *testing.T, list ...pages.Page) {
	t.Helper()
	for _, p := range list {
		for _, store := range x.stores {
			if _, err := store.Put(t.Context(), p.Key, p.Body, objectstore.PutOptions{ContentType: p.ContentType, CacheControl: p.CacheControl}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// release stores wheels of torch and returns their catalog.
func (x *index) release(t *testing.T, platform string, versions ...string) *catalog.Catalog {
	t.Helper()
	c := catalog.New(platform, v1alpha1.ChannelRelease, "torch")
	for _, version := range versions {
		w := wheeltest.Wheel{Project: "torch", Version: version + "+" + platform, RequiresPython: ">=3.8"}
		data, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		c.Put(catalog.File{
			Name: w.Filename(), Version: w.Version, ETag: "e", Size: int64(len(data)), SHA256: sum(data), MetadataSHA256: sum(w.MetadataBytes()),
			RequiresPython: w.RequiresPython, UploadTime: noon, State: catalog.StateListed,
		})
		file := pages.Page{Key: c.FileKey(w.Filename()), Body: data, ContentType: "binary/octet-stream", CacheControl: pages.CacheControlFile}
		sidecar := file
		sidecar.Key, sidecar.Body = file.Key+layout.MetadataSuffix, w.MetadataBytes()
		x.put(t, file, sidecar)
	}
	return c
}

func (x *index) root(platform string, catalogs ...*catalog.Catalog) []pages.Page {
	list := pages.Listing{
		Platform: platform, Channel: v1alpha1.ChannelRelease, BaseURL: x.CDNURL,
		Profile: pages.Profile{Packages: []string{"torch"}, Channels: layout.Channels()},
	}
	for _, c := range catalogs {
		list.Add(c)
	}
	return pages.Root(list)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func yank(t *testing.T, c *catalog.Catalog, version string, mode v1alpha1.YankMode) {
	t.Helper()
	for i := range c.Files {
		if c.Files[i].Version == version+"+"+c.Platform {
			c.Files[i].Bury(catalog.Tombstone{UID: "u", Namespace: "n", Name: "y", Mode: mode, Reason: `bad <results> & "worse"`, Time: noon})
			return
		}
	}
	t.Fatalf("there is no %s", version)
}

// publish fills the buckets.
func (x *index) publish(t *testing.T) {
	t.Helper()
	c := x.release(t, agree, "2.8.0", "2.9.1", "2.9.2", "2.9.3", "2.10.0rc1")
	yank(t, c, "2.9.2", v1alpha1.YankFlag)
	yank(t, c, "2.9.3", v1alpha1.YankIndexRemoval)
	x.put(t, pages.Project(c, x.CDNURL)...)
	x.put(t, x.root(agree, c)...)

	one, two := x.release(t, differ, "1.0"), x.release(t, differ, "2.0")
	x.put(t, pages.Project(one, x.CDNURL)[0], pages.Project(two, x.CDNURL)[1])
	x.put(t, x.root(differ, two)...)
}

func TestInstallersFindLanes(t *testing.T) {
	x := newIndex(t)
	x.publish(t)
	t.Run("headers", x.checkHeaders)
	t.Run("specifications", x.checkSpecifications)
	installers := newInstallers(t)
	for _, in := range installers {
		t.Run(in.name, func(t *testing.T) {
			want := map[bool]string{true: "2.0+" + differ, false: "1.0+" + differ}[in.readsJSON]
			if out, err := in.install(t, layout.IndexURL(x.CDNURL, differ, v1alpha1.ChannelRelease), "torch"); err != nil || !installed(out, want) {
				t.Errorf("from the CDN: %v; want %s in\n%s", err, want, out)
			}
			// The CDN gives JSON to those that read it, the mirror gives HTML to all.
			for _, base := range []string{x.CDNURL, x.MirrorURL} {
				checkRules(t, in, layout.IndexURL(base, agree, v1alpha1.ChannelRelease))
			}
		})
	}
}

// checkRules installs by the rules for withdrawn files and candidates.
func checkRules(t *testing.T, in installer, url string) {
	t.Helper()
	for _, c := range []struct{ requirement, want string }{
		{"torch", "2.9.1+spyre"},
		{"torch>=2.9", "2.9.1+spyre"},
		{"torch==2.8.0", "2.8.0+spyre"},
		{"torch==2.9.2+spyre", "2.9.2+spyre"},
		{"torch==2.9.3", ""},
		{"torch==2.10.0rc1", "2.10.0rc1+spyre"},
	} {
		out, err := in.install(t, url, c.requirement)
		if c.want == "" && err == nil || c.want != "" && (err != nil || !installed(out, c.want)) {
			t.Errorf("%s from %s: %v; want %q in\n%s", c.requirement, url, err, c.want, out)
		}
	}
}

// installed tells whether pip ("Successfully installed torch-1.0") or uv
// (" + torch==1.0") says so.
func installed(out, version string) bool {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "Successfully installed") && strings.HasSuffix(line, " torch-"+version) || line == "+ torch=="+version {
			return true
		}
	}
	return false
}

// checkHeaders looks at what every client is told, with the CDN's cache cold and
// warm.
func (x *index) checkHeaders(t *testing.T) {
	const page = "public, max-age=0, s-maxage=86400, must-revalidate"
	const acceptJSON = "application/vnd.pypi.simple.v1+json"
	wheelPath := "/whl/spyre/torch-2.9.1%2Bspyre-py3-none-any.whl"
	for range 2 {
		for _, c := range []struct {
			path, accept string
			status       int
			want         map[string]string
		}{
			{"/whl/spyre/torch/", acceptJSON, 200, map[string]string{"Content-Type": acceptJSON, "Vary": "Accept", "Cache-Control": page}},
			{"/whl/spyre/torch/", "", 200, map[string]string{"Content-Type": "text/html; charset=utf-8", "Vary": "Accept", "Cache-Control": page}},
			{"/whl/spyre/", acceptJSON, 200, map[string]string{"Content-Type": acceptJSON, "Vary": "Accept", "Cache-Control": page}},
			{"/whl/spyre/", "text/html", 200, map[string]string{"Content-Type": "text/html; charset=utf-8", "Vary": "Accept", "Cache-Control": page}},
			{"/whl/spyre/torch", acceptJSON, 302, map[string]string{"Location": "/whl/spyre/torch/"}},
			{"/whl/spyre/torch/index.html", acceptJSON, 200, map[string]string{"Content-Type": "text/html; charset=utf-8"}},
			{wheelPath, acceptJSON, 200, map[string]string{"Content-Type": "binary/octet-stream", "Vary": "", "Cache-Control": pages.CacheControlFile}},
			{wheelPath + ".metadata", "", 200, map[string]string{"Vary": ""}},
			{"/whl/spyre/nothing/", acceptJSON, 404, map[string]string{}},
		} {
			resp := x.get(t, c.path, c.accept)
			if resp.StatusCode != c.status {
				t.Errorf("%s as %q: %s, want %d", c.path, c.accept, resp.Status, c.status)
			}
			for name, want := range c.want {
				if got := strings.Join(resp.Header.Values(name), "|"); got != want {
					t.Errorf("%s as %q: %s is %q, want %q", c.path, c.accept, name, got, want)
				}
			}
		}
	}
}

func (x *index) get(t *testing.T, path, accept string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, x.CDNURL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// checkSpecifications has the index judged as a client finds it: both forms of
// every page, headers, files and hashes.
func (x *index) checkSpecifications(t *testing.T) {
	report, err := crawl.HTTP(t.Context(), layout.IndexURL(x.CDNURL, agree, v1alpha1.ChannelRelease), crawl.Options{Hashes: true})
	if err != nil {
		t.Fatal(err)
	}
	if report.Pages != 4 || report.Files != 4 {
		t.Errorf("%d pages and %d files were read, want the root and torch in two forms, and 4 files", report.Pages, report.Files)
	}
	for _, finding := range report.Findings {
		t.Errorf("%s", finding)
	}
}

// installer is one version of pip or uv.
type installer struct {
	name string
	// readsJSON is true since pip 22.2 and for every uv.
	readsJSON bool
	command   func(target, url, requirement string) *exec.Cmd
}

func (in installer) install(t *testing.T, url, requirement string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	template := in.command(t.TempDir(), url, requirement)
	cmd := exec.CommandContext(ctx, template.Path, template.Args[1:]...)
	// Nothing of the machine's settings steers the installer.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "UV_NO_CONFIG=1", "NO_COLOR=1"}, template.Env...)
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// The versions that are tried: the last pip that reads HTML alone, one from
// before core-metadata (PEP 714), and today's.
var (
	pips = []string{"22.0.4", "23.0.1", "26.3"}
	uvs  = []string{"0.13.9"}
)

// newInstallers fetches them from the package registry, once for all runs.
func newInstallers(t *testing.T) (out []installer) {
	t.Helper()
	python := filepath.Join(t.TempDir(), "venv", "bin", "python")
	run(t, "python3", "-m", "venv", filepath.Dir(filepath.Dir(python)))
	for _, version := range pips {
		folder := fetch(t, python, "pip", version)
		out = append(out, installer{name: "pip-" + version, readsJSON: version != "22.0.4", command: func(target, url, requirement string) *exec.Cmd {
			cmd := exec.Command(python, "-m", "pip", "--isolated", "--disable-pip-version-check", "--no-cache-dir",
				"install", "--no-deps", "--target", target, "--index-url", url, requirement)
			cmd.Env = []string{"PYTHONPATH=" + folder}
			return cmd
		}})
	}
	for _, version := range uvs {
		folder := fetch(t, python, "uv", version)
		out = append(out, installer{name: "uv-" + version, readsJSON: true, command: func(target, url, requirement string) *exec.Cmd {
			return exec.Command(filepath.Join(folder, "bin", "uv"), "pip", "install", "--no-cache", "--no-deps", "--python", python,
				"--target", target, "--index-url", url, requirement)
		}})
	}
	return out
}

// fetch returns the folder of one version of an installer.
func fetch(t *testing.T, python, name, version string) string {
	t.Helper()
	tools := filepath.Join(root(t), "bin", "tools")
	folder := filepath.Join(tools, name+"-"+version)
	if _, err := os.Stat(folder); err == nil {
		return folder
	}
	if err := os.MkdirAll(tools, 0o750); err != nil {
		t.Fatal(err)
	}
	half, err := os.MkdirTemp(tools, name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(half) }()
	run(t, python, "-m", "pip", "install", "--quiet", "--no-deps", "--target", half, name+"=="+version)
	if err := os.Rename(half, folder); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return folder
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}
