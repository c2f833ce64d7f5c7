package pages_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// bucket serves objects as the CDN in front of a bucket does. form is the page
// that a folder answers with: layout.HTMLPage or layout.JSONPage.
type bucket struct {
	*httptest.Server
	form    string
	objects map[string]pages.Page
	python  string // has the pip that asks

	mu        sync.Mutex
	requested []string
	// sent are the bytes of all answers.
	sent int
}

func newBucket(t *testing.T, form, python string) *bucket {
	b := &bucket{form: form, objects: map[string]pages.Page{}, python: python}
	b.Server = httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(b.Close)
	return b
}

func (b *bucket) put(list ...pages.Page) {
	for _, p := range list {
		b.objects[p.Key] = p
	}
}

func (b *bucket) serve(w http.ResponseWriter, r *http.Request) {
	// Like S3: a plus sign that is not escaped reads as a blank.
	key := strings.TrimPrefix(r.URL.Path, "/")
	if strings.Contains(r.URL.EscapedPath(), "+") {
		key = strings.ReplaceAll(key, "+", " ")
	}
	if strings.HasSuffix(key, "/") {
		key += b.form
	}
	b.mu.Lock()
	b.requested = append(b.requested, key)
	b.mu.Unlock()
	p, ok := b.objects[key]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", p.ContentType)
	w.Header().Set("Cache-Control", p.CacheControl)
	w.Header().Set("ETag", `"`+p.ETag()+`"`)
	n, _ := w.Write(p.Body)
	b.mu.Lock()
	b.sent += n
	b.mu.Unlock()
}

// downloaded tells whether a wheel itself, and not only its METADATA, was asked
// for since the last call.
func (b *bucket) downloaded() (wheels, metadata int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range b.requested {
		switch {
		case strings.HasSuffix(key, ".whl"):
			wheels++
		case strings.HasSuffix(key, layout.MetadataSuffix):
			metadata++
		}
	}
	b.requested = nil
	return wheels, metadata
}

// publish stores wheels of torch, yanks those that are named, and publishes the
// pages.
func (b *bucket) publish(t *testing.T, yanks map[string]v1alpha1.YankMode, versions ...string) {
	t.Helper()
	var wheels []wheeltest.Wheel
	for _, version := range versions {
		wheels = append(wheels, wheeltest.Wheel{Project: "torch", Version: version, RequiresPython: ">=3.8"})
	}
	b.publishWheels(t, yanks, wheels...)
}

func (b *bucket) publishWheels(t *testing.T, yanks map[string]v1alpha1.YankMode, wheels ...wheeltest.Wheel) {
	t.Helper()
	c := catalog.New("spyre", v1alpha1.ChannelRelease, "torch")
	for _, w := range wheels {
		version := w.Version
		data, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		f := catalog.File{
			Name: w.Filename(), Version: version, ETag: "e", Size: int64(len(data)), SHA256: sum(data), MetadataSHA256: sum(w.MetadataBytes()),
			RequiresPython: w.RequiresPython, UploadTime: noon, State: catalog.StateListed,
		}
		if mode, ok := yanks[version]; ok {
			f = yank(f, mode, `bad <results> & "worse"`)
		}
		c.Put(f)
		file := pages.Page{Key: c.FileKey(f.Name), Body: data, ContentType: "binary/octet-stream", CacheControl: pages.CacheControlFile}
		sidecar := file
		sidecar.Key, sidecar.Body = file.Key+layout.MetadataSuffix, w.MetadataBytes()
		b.put(file, sidecar)
	}
	b.put(pages.Project(c, base)...)
	b.put(pages.Root(listing(v1alpha1.ChannelRelease, "torch"))...)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// newPython makes a virtual environment and returns its interpreter: Python
// itself may come without pip.
func newPython(t *testing.T) string {
	t.Helper()
	venv := filepath.Join(t.TempDir(), "venv")
	cmd := exec.CommandContext(t.Context(), "python3", "-m", "venv", venv)
	cmd.Env = cleanEnvironment()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("this test needs python3 with venv: %v\n%s", err, out)
	}
	return filepath.Join(venv, "bin", "python")
}

// cleanEnvironment is without the variables that steer pip.
func cleanEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1"}
}

// pip runs pip against the bucket alone and returns what it printed.
func (b *bucket) pip(t *testing.T, command string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all := append([]string{
		"-m", "pip", "--isolated", "--disable-pip-version-check", "--no-input", "--no-cache-dir", command,
		"--index-url", layout.IndexURL(b.URL, "spyre", v1alpha1.ChannelRelease),
	}, args...)
	cmd := exec.CommandContext(ctx, b.python, all...)
	cmd.Env = cleanEnvironment()
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func TestPip(t *testing.T) {
	python := newPython(t)
	for _, form := range []string{layout.HTMLPage, layout.JSONPage} {
		t.Run(form, func(t *testing.T) {
			b := newBucket(t, form, python)
			b.publish(t, map[string]v1alpha1.YankMode{
				"2.9.2+spyre": v1alpha1.YankFlag, "2.9.3+spyre": v1alpha1.YankIndexRemoval, "2.9.4+spyre": v1alpha1.YankQuarantine,
			}, "2.8.0+spyre", "2.9.1+spyre", "2.9.2+spyre", "2.9.3+spyre", "2.9.4+spyre", "2.10.0rc1+spyre")
			for _, test := range []struct {
				name, requirement, want string
				fails                   bool
			}{
				{name: "the newest that is neither yanked nor a candidate", requirement: "torch", want: "Saved ./torch-2.9.1+spyre-py3-none-any.whl"},
				{name: "a range passes a flagged one over", requirement: "torch>=2.9", want: "Saved ./torch-2.9.1+spyre-py3-none-any.whl"},
				{name: "the public version", requirement: "torch==2.8.0", want: "Saved ./torch-2.8.0+spyre-py3-none-any.whl"},
				{name: "a pin to a flagged one works", requirement: "torch==2.9.2+spyre", want: "Saved ./torch-2.9.2+spyre-py3-none-any.whl"},
				{name: "and shows the reason", requirement: "torch==2.9.2+spyre", want: `bad <results> & "worse"`},
				{name: "one off the index is not found", requirement: "torch==2.9.3+spyre", want: "No matching distribution", fails: true},
				{name: "nor one in quarantine", requirement: "torch==2.9.4", want: "No matching distribution", fails: true},
				{name: "a candidate by name", requirement: "torch==2.10.0rc1", want: "Saved ./torch-2.10.0rc1+spyre-py3-none-any.whl"},
			} {
				out, err := b.pip(t, "download", "--no-deps", test.requirement)
				if (err != nil) != test.fails || !strings.Contains(out, test.want) {
					t.Errorf("%s: pip download %s: %v; want %q in\n%s", test.name, test.requirement, err, test.want, out)
				}
			}
			b.checkVersions(t)
			b.checkHashes(t)
			b.checkMetadataOnly(t)
			b.checkRequiredHashes(t)
			newBucket(t, form, python).checkBacktracking(t)
			b.publish(t, map[string]v1alpha1.YankMode{"2.9.1+spyre": v1alpha1.YankHardDelete}, "2.9.1+spyre")
			if out, err := b.pip(t, "download", "--no-deps", "torch"); err == nil || !strings.Contains(out, "from versions: none") {
				t.Errorf("an empty page: %v\n%s", err, out)
			}
		})
	}
}

func (b *bucket) checkVersions(t *testing.T) {
	t.Helper()
	out, err := b.pip(t, "index", "versions", "torch")
	if err != nil || !strings.Contains(out, "Available versions: 2.9.1+spyre, 2.8.0+spyre\n") {
		t.Errorf("pip index versions: %v\n%s", err, out)
	}
}

// checkHashes expects pip to refuse bytes that are not those of the page.
func (b *bucket) checkHashes(t *testing.T) {
	t.Helper()
	const key = "whl/spyre/torch-2.8.0+spyre-py3-none-any.whl"
	good := b.objects[key]
	bad := good
	bad.Body = append(bytes.Clone(good.Body), 0)
	b.put(bad)
	defer b.put(good)
	out, err := b.pip(t, "download", "--no-deps", "torch==2.8.0")
	if err == nil || !strings.Contains(out, "DO NOT MATCH THE HASHES") {
		t.Errorf("other bytes than listed: %v\n%s", err, out)
	}
}

// checkMetadataOnly expects pip to resolve from METADATA alone (PEP 658).
func (b *bucket) checkMetadataOnly(t *testing.T) {
	t.Helper()
	b.downloaded()
	out, err := b.pip(t, "install", "--dry-run", "--no-deps", "--ignore-installed", "--target", t.TempDir(), "torch==2.9.1")
	if wheels, metadata := b.downloaded(); err != nil || metadata != 1 || wheels > 1 {
		t.Errorf("pip install --dry-run asked for %d wheels and %d METADATA files: %v\n%s", wheels, metadata, err, out)
	}
}

// checkRequiredHashes expects a requirements file with hashes to take the file it
// names, and nothing else.
func (b *bucket) checkRequiredHashes(t *testing.T) {
	t.Helper()
	good := sum(b.objects["whl/spyre/torch-2.9.1+spyre-py3-none-any.whl"].Body)
	for hash, fails := range map[string]bool{good: false, sum([]byte("another file")): true} {
		file := filepath.Join(t.TempDir(), "requirements.txt")
		if err := os.WriteFile(file, []byte("torch==2.9.1+spyre --hash=sha256:"+hash+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := b.pip(t, "download", "--no-deps", "--require-hashes", "-r", file)
		if (err != nil) != fails || !fails && !strings.Contains(out, "Saved ./torch-2.9.1+spyre-py3-none-any.whl") {
			t.Errorf("--require-hashes with %s: %v\n%s", hash, err, out)
		}
	}
}

// checkBacktracking expects pip to learn from METADATA alone that a large wheel
// will not do, and counts what that took.
func (b *bucket) checkBacktracking(t *testing.T) {
	t.Helper()
	const large = 4 << 20
	metadata := "Metadata-Version: 2.1\nName: torch\nVersion: 3.0+spyre\nRequires-Dist: torch==2.0\n\n"
	b.publishWheels(t, nil,
		wheeltest.Wheel{Project: "torch", Version: "2.9.1+spyre"},
		wheeltest.Wheel{Project: "torch", Version: "3.0+spyre", PadTo: large, Metadata: []byte(metadata)})
	out, err := b.pip(t, "download", "torch")
	if err != nil || !strings.Contains(out, "Saved ./torch-2.9.1+spyre-py3-none-any.whl") {
		t.Errorf("pip download: %v\n%s", err, out)
	}
	t.Logf("resolving past a wheel of %d bytes took %d bytes", large, b.sent)
	if b.sent > 1<<16 {
		t.Errorf("pip was sent %d bytes to resolve past a wheel of %d", b.sent, large)
	}
}
