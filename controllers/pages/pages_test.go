package pages_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

var update = flag.Bool("update", false, "write the golden files anew")

// base is where the index is public.
const base = "https://download.example.org"

// noon in UTC, told by another clock: pages speak of UTC alone.
var noon = time.Date(2026, 3, 1, 14, 0, 0, 123456789, time.FixedZone("CEST", 2*3600))

// hash is a plausible SHA-256 of something called name.
func hash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func listed(name, version string) catalog.File {
	return catalog.File{
		Name: name, Version: version, ETag: "e", Size: 123456789, SHA256: hash(name), MetadataSHA256: hash(name + ".metadata"),
		RequiresPython: ">=3.10,<3.15", UploadTime: noon, State: catalog.StateListed,
	}
}

func yank(f catalog.File, mode v1alpha1.YankMode, reason string) catalog.File {
	f.Bury(catalog.Tombstone{UID: "u-" + string(mode), Namespace: "n", Name: "y", Mode: mode, Reason: reason, Time: noon})
	return f
}

// sample is a catalog with a file of every kind.
func sample() *catalog.Catalog {
	c := catalog.New("spyre", v1alpha1.ChannelRelease, "torch")
	c.Revision = 7
	bare := listed("torch-2.10.0+spyre-cp312-cp312-linux_x86_64.whl", "2.10.0+spyre")
	bare.RequiresPython, bare.MetadataSHA256, bare.UploadTime = "", "", time.Time{}
	attested := listed("torch-2.9.1+spyre-cp312-cp312-linux_x86_64.whl", "2.9.1+spyre")
	attested.Provenance = hash("provenance")
	rejected := listed("torch-2.9.2+spyre-cp312-cp312-linux_x86_64.whl", "2.9.2+spyre")
	rejected.State = catalog.StateRejected
	overwritten := listed("torch-2.9.3+spyre-cp312-cp312-linux_x86_64.whl", "2.9.3+spyre")
	overwritten.State = catalog.StateOverwritten
	for _, f := range []catalog.File{
		bare, attested, rejected, overwritten,
		listed("torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl", "2.9.0+spyre"),
		listed("torch-2.9.0+spyre-cp310-cp310-linux_x86_64.whl", "2.9.0+spyre"),
		listed("torch-2.9.0rc1+spyre-cp312-cp312-linux_x86_64.whl", "2.9.0rc1+spyre"),
		yank(listed("torch-2.8.0+spyre-cp312-cp312-linux_x86_64.whl", "2.8.0+spyre"), v1alpha1.YankFlag, `wrong "results" for x < 0 & y > 0, it's bad`),
		yank(listed("torch-2.8.1+spyre-cp312-cp312-linux_x86_64.whl", "2.8.1+spyre"), v1alpha1.YankFlag, ""),
		yank(listed("torch-2.8.2+spyre-cp312-cp312-linux_x86_64.whl", "2.8.2+spyre"), v1alpha1.YankIndexRemoval, "broken"),
		yank(listed("torch-2.8.3+spyre-cp312-cp312-linux_x86_64.whl", "2.8.3+spyre"), v1alpha1.YankQuarantine, "malicious"),
	} {
		c.Put(f)
	}
	return c
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew); got:\n%s", path, got)
	}
}

// listing is the root of a channel of a lane that has everything to tell.
func listing(channel v1alpha1.ChannelName, projects ...string) pages.Listing {
	return pages.Listing{
		Platform: "spyre", Channel: channel, BaseURL: base, Projects: projects,
		Profile: pages.Profile{
			Packages: []string{"torch", "torchvision", "libtorch"}, Channels: layout.Channels(), LatestSupportedRelease: "2.9",
			Maintainers: []v1alpha1.Maintainer{
				{Name: "Ada Lovelace", Email: "ada@example.org", GitHub: "ada"}, {Name: "The <release> & build team", GitHub: "example/release"},
			},
		},
	}
}

func sampleArchives() *catalog.Catalog {
	c := catalog.New("spyre", v1alpha1.ChannelNightly, "libtorch")
	c.Revision = 3
	archive := func(version string, size int64) catalog.File {
		name := "libtorch-shared-with-deps-" + version + ".zip"
		return catalog.File{Name: name, Version: version, Size: size, SHA256: hash(name), UploadTime: noon, State: catalog.StateListed}
	}
	attested := archive("2.9.0+spyre", 1_234_567_890)
	attested.Provenance = hash("provenance")
	static := archive("2.9.0+spyre", 2_000)
	static.Name = "libtorch-static-with-deps-2.9.0+spyre.zip"
	for _, f := range []catalog.File{
		static, archive("2.8.0+spyre", 999), attested,
		yank(archive("2.8.1+spyre", 999_960), v1alpha1.YankFlag, "crashes on <exit>"),
		yank(archive("2.8.2+spyre", 5), v1alpha1.YankQuarantine, "malicious"),
	} {
		c.Put(f)
	}
	return c
}

// everyPage is a page of every kind, by what it shows.
func everyPage() map[string][]pages.Page {
	retired := sample()
	retired.Platform, retired.Retired = "gaudi", true
	release := listing(v1alpha1.ChannelRelease, "torchvision", "torch", "torch", "libtorch")
	release.Add(sample())
	return map[string][]pages.Page{
		"a project":               pages.Project(sample(), base),
		"a project without files": pages.Project(catalog.New("spyre", v1alpha1.ChannelNightly, "torch"), base),
		"a retired project":       pages.Project(retired, base),
		"archives":                pages.Project(sampleArchives(), base),
		"no archives":             pages.Project(catalog.New("spyre", v1alpha1.ChannelTest, "libtorch"), base),
		"a lane's root":           pages.Root(release),
		"a root without projects": pages.Root(listing(v1alpha1.ChannelNightly)),
		"a retired lane's root":   pages.Root(pages.Listing{Platform: "gaudi", Channel: v1alpha1.ChannelRelease, BaseURL: base}),
		"a root without its channel": pages.Root(pages.Listing{
			Platform: "spyre", Channel: v1alpha1.ChannelTest, BaseURL: base,
			Profile: pages.Profile{Packages: []string{"libtorch"}, Channels: []v1alpha1.ChannelName{v1alpha1.ChannelNightly}},
		}),
		"removals":    {pages.Removals("spyre", pages.RemovalsOf([]*catalog.Catalog{sample()}))},
		"no removals": {pages.Removals("gaudi", nil)},
	}
}

func TestGolden(t *testing.T) {
	for _, rendered := range everyPage() {
		for _, page := range rendered {
			golden(t, strings.ReplaceAll(page.Key, "/", "_"), page.Body)
		}
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		found := false
		for _, rendered := range everyPage() {
			found = found || slices.ContainsFunc(rendered, func(p pages.Page) bool { return strings.ReplaceAll(p.Key, "/", "_") == entry.Name() })
		}
		if !found && !entry.IsDir() {
			t.Errorf("testdata/%s belongs to no page any more: remove it", entry.Name())
		}
	}
}

func TestKeysAndHeaders(t *testing.T) {
	const cache = "public, max-age=0, s-maxage=86400, must-revalidate"
	type headers struct{ key, contentType, cacheControl string }
	var got []headers
	for _, p := range slices.Concat(pages.Project(sample(), base), pages.Project(sampleArchives(), base), pages.Root(listing(v1alpha1.ChannelTest)), []pages.Page{pages.Removals("spyre", nil)}) {
		got = append(got, headers{p.Key, p.ContentType, p.CacheControl})
	}
	if want := []headers{
		{"whl/spyre/torch/index.html", "text/html; charset=utf-8", cache},
		{"whl/spyre/torch/index.v1_json", "application/vnd.pypi.simple.v1+json", cache},
		{"libtorch/nightly/spyre/index.html", "text/html; charset=utf-8", cache},
		{"libtorch/nightly/spyre/index.v1_json", "application/vnd.pypi.simple.v1+json", cache},
		{"whl/test/spyre/index.html", "text/html; charset=utf-8", cache},
		{"whl/test/spyre/index.v1_json", "application/vnd.pypi.simple.v1+json", cache},
		{"whl/spyre/removals.json", "application/json", cache},
	}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if strings.Contains(pages.CacheControlFile, "immutable") || !strings.Contains(pages.CacheControlFile, "must-revalidate") {
		t.Errorf("files would outlive their deletion in clients' caches: %s", pages.CacheControlFile)
	}
}

func TestETagIsWhatS3Shows(t *testing.T) {
	// The MD5 sum of "hello" as md5sum prints it.
	if got := (pages.Page{Body: []byte("hello")}).ETag(); got != "5d41402abc4b2a76b9719d911017c592" {
		t.Errorf("ETag() = %q", got)
	}
}

// TestRevisionsNeverRenderTheSame guards the compare-and-swap of pages.
func TestRevisionsNeverRenderTheSame(t *testing.T) {
	full, retired, empty := sample(), sample(), catalog.New("spyre", v1alpha1.ChannelRelease, "torch")
	retired.Retired = true
	for name, c := range map[string]*catalog.Catalog{"full": full, "retired": retired, "empty": empty} {
		seen := map[string]int64{}
		for revision := range int64(12) {
			c.Revision = revision
			for _, page := range pages.Project(c, base) {
				tag := page.Key + page.ETag()
				if other, ok := seen[tag]; ok {
					t.Errorf("%s: revisions %d and %d of %s are the same bytes", name, other, revision, page.Key)
				}
				seen[tag] = revision
				again := pages.Project(c.Clone(), base)
				if !slices.ContainsFunc(again, func(p pages.Page) bool { return p.ETag() == page.ETag() }) {
					t.Errorf("%s: %s is not deterministic", name, page.Key)
				}
			}
		}
	}
}

func TestRetiredAndEmptyPagesListNothing(t *testing.T) {
	retired := sample()
	retired.Retired = true
	for _, c := range []*catalog.Catalog{retired, catalog.New("spyre", v1alpha1.ChannelRelease, "torch")} {
		rendered := pages.Project(c, base)
		if len(rendered) != 2 || bytes.Contains(rendered[0].Body, []byte("<a ")) {
			t.Errorf("HTML: %s", rendered[0].Body)
		}
		var page struct {
			Versions, Files []any
		}
		if err := json.Unmarshal(rendered[1].Body, &page); err != nil || page.Files == nil || len(page.Files) != 0 || page.Versions == nil {
			t.Errorf("JSON: %v %s", err, rendered[1].Body)
		}
	}
}

func TestFilesAndVersionsAreOrdered(t *testing.T) {
	c := catalog.New("spyre", v1alpha1.ChannelRelease, "torch")
	// In the order of PEP 440; the names sort the other way round.
	order := []string{"", "bad", "1!0", "2.0.dev1", "2.0a1", "2.0", "2.0+cpu", "2.0+cu118", "2.0+cu9", "2.0+rocm6.4", "2.0+rocm6.10", "2.0+7", "2.0.post1", "2.9", "2.10"}
	order = append(slices.DeleteFunc(order, func(s string) bool { return s == "1!0" }), "1!0")
	var want []string
	for i, version := range order {
		name := fmt.Sprintf("f%02d.whl", 50-i)
		want = append(want, name)
		c.Put(listed(name, version))
	}
	// Other spellings of 2.0 and 2.0+cu118 stand beside them and add no version.
	c.Put(listed("a.whl", "2.0.0"))
	c.Put(listed("b.whl", "2.0+CU118"))
	want = slices.Insert(want, slices.Index(order, "2.0"), "a.whl")
	want = slices.Insert(want, slices.Index(order, "2.0+cu118")+1, "b.whl")

	var page struct {
		Versions []string
		Files    []struct{ Filename string }
	}
	if err := json.Unmarshal(pages.Project(c, base)[1].Body, &page); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range page.Files {
		got = append(got, f.Filename)
	}
	if !slices.Equal(got, want) {
		t.Errorf("files    %q\nwant     %q", got, want)
	}
	if !slices.Equal(page.Versions, order[1:]) {
		t.Errorf("versions %q\nwant     %q", page.Versions, order[1:])
	}
}

// TestLinksLeadToTheFiles resolves every link the way a client does.
func TestLinksLeadToTheFiles(t *testing.T) {
	for _, channel := range layout.Channels() {
		for _, project := range []string{"torch", v1alpha1.LibtorchPackage} {
			c := catalog.New("spyre", channel, project)
			c.Put(listed("torch-2.9.0+spyre-py3-none-any.whl", "2.9.0+spyre"))
			html, object := anchors(t, pages.Project(c, base)[0].Body)[0].url, jsonFiles(t, pages.Project(c, base)[1].Body)[0].URL
			for _, link := range []string{strings.SplitN(html, "#", 2)[0], object} {
				page := layout.PublicURL("https://example.org/base", pages.Project(c, base)[0].Key)
				want := layout.PublicURL("https://example.org/base", c.FileKey("torch-2.9.0+spyre-py3-none-any.whl"))
				if got := resolve(t, page, link); got != want {
					t.Errorf("%s %s: %q leads to %s, want %s", channel, project, link, got, want)
				}
			}
		}
	}
}
