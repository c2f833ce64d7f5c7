package index_test

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

var (
	libtorch      = index.Ref{Platform: "spyre", Channel: v1alpha1.ChannelRelease, Project: "libtorch"}
	archives      = layout.LibtorchPrefix("spyre", v1alpha1.ChannelRelease)
	archivesPage  = archives + "index.html"
	archivesNamed = "libtorch-shared-with-deps-2.9.0+spyre.zip"
)

func archive(t testing.TB, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"libtorch/", "libtorch/lib/libtorch.so", "libtorch/build-version"} {
		f, err := z.Create(name)
		if err == nil && !strings.HasSuffix(name, "/") {
			_, err = f.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// archiveWorld is a lane that publishes archives, and has one.
func archiveWorld(t *testing.T) *world {
	w := newWorld(t)
	w.lane.Packages = []string{"torch", "libtorch"}
	w.store.Seed(archives+archivesNamed, archive(t, "one"), fake.SeedOptions{})
	return w
}

func (w *world) archiveEntry(name string) *catalog.File {
	w.t.Helper()
	c, err := catalog.Decode([]byte(w.store.Contents()[layout.CatalogKey(libtorch.Platform, libtorch.Channel, libtorch.Project)]))
	if err != nil {
		w.t.Fatal(err)
	}
	return c.Find(name)
}

func (w *world) archiveListed(name string) bool {
	return strings.Contains(w.store.Contents()[archivesPage], `href="`+layout.EscapeKey(name))
}

func TestArchiveIsListed(t *testing.T) {
	w := archiveWorld(t)
	report := w.sync()
	f := w.archiveEntry(archivesNamed)
	if f == nil || f.SHA256 == "" || f.Version != "2.9.0+spyre" || f.State != catalog.StateListed || f.MetadataETag != "" {
		t.Fatalf("entry %+v", f)
	}
	page := w.store.Contents()[archivesPage]
	if !w.archiveListed(archivesNamed) || !strings.Contains(page, f.SHA256) || report.Files != 1 || report.Projects != 2 {
		t.Errorf("report %+v, page\n%s", report, page)
	}
	for key, content := range w.store.Contents() {
		if strings.HasPrefix(key, folder) && strings.Contains(content, "libtorch-") {
			t.Errorf("installers of wheels find archives on %s", key)
		}
		if strings.HasSuffix(key, ".zip.metadata") {
			t.Errorf("%s was written", key)
		}
	}
	if !covers(w.cdn.Paths(), "/"+archivesPage) {
		t.Errorf("purged: %v", w.cdn.Paths())
	}
	w.settle(w.engine)
	w.store.ResetCalls()
	w.sync()
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 3})
}

func TestArchivesCostNothingWhereThereAreNone(t *testing.T) {
	w := newWorld(t)
	w.upload("2.9.0")
	w.store.Seed(archives+archivesNamed, archive(t, "one"), fake.SeedOptions{})
	w.settle(w.engine)
	w.store.ResetCalls()
	w.sync()
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})
	if _, ok := w.store.Contents()[archivesPage]; ok {
		t.Error("archives of a lane that publishes none have a page")
	}
}

// TestListedArchiveStaysWhenTheLaneNoLongerSaysSo: an engine that has just
// started finds its catalog, too.
func TestListedArchiveStaysWhenTheLaneNoLongerSaysSo(t *testing.T) {
	w := archiveWorld(t)
	w.settle(w.engine)
	w.lane.Packages = []string{"torch"}
	w.store.Seed(archives+"libtorch-2.9.1+spyre.zip", archive(t, "two"), fake.SeedOptions{})
	for _, e := range []*index.Engine{w.engine, w.another()} {
		report := w.settle(e)
		if !w.archiveListed(archivesNamed) || w.archiveListed("libtorch-2.9.1+spyre.zip") {
			t.Error("the listed archive went, or a new one came")
		}
		if len(report.Rejected) != 1 || report.Rejected[0].Reason != "PackageNotAllowed" {
			t.Errorf("rejected %v", report.Rejected)
		}
	}
}

func TestBadArchives(t *testing.T) {
	w := archiveWorld(t)
	good := archive(t, "two")
	reasons := map[string]string{
		"libtorch-shared-with-deps-2.9.0.zip":           "LocalVersionMismatch",
		"libtorch-shared-with-deps-2.9.0+spyrex.zip":    "LocalVersionMismatch",
		"libtorch-shared-with-deps-latest.zip":          "FilenameVersion",
		"libtorch-2.9.0+spyre.tar.gz":                   "FilenameExtension",
		"libtorch-2.9.0+spyre.zip.zip":                  "FilenameExtension",
		"libtorch-2.9.0+SPYRE.zip":                      "FilenameNotNormalized",
		"torch-2.9.0+spyre-py3-none-any.whl":            "FilenameExtension",
		"sub/libtorch-2.9.0+spyre.zip":                  "UnexpectedFolder",
		"torch/index.html":                              "UnexpectedPage",
		"libtorch-<script>-2.9.0+spyre.zip":             "FilenameCharacters",
		"libtorch-broken-2.9.0+spyre.zip":               "ZipMalformed",
		"libtorch-appended-2.9.0+spyre.zip":             "ZipAmbiguous",
		"libtorch-shared-with-deps-2.9.0%2Bspyre.zip":   "FilenameCharacters",
		"libtorch-shared-with-deps-2.9.0+spyre.zip.zip": "FilenameExtension",
	}
	for name := range reasons {
		body := good
		switch {
		case strings.Contains(name, "broken"):
			body = []byte("no zip, but long enough to be one")
		case strings.Contains(name, "appended"):
			body = append(bytes.Clone(good), "appended"...)
		}
		w.store.Seed(archives+name, body, fake.SeedOptions{})
	}
	for range 2 {
		report := w.sync()
		got := map[string]string{}
		for _, r := range report.Rejected {
			got[strings.TrimPrefix(r.Key, archives)] = r.Reason
		}
		for name, reason := range reasons {
			if got[name] != reason {
				t.Errorf("%q is rejected as %q, want %s", name, got[name], reason)
			}
		}
		if report.Files != 1 || len(got) != len(reasons) {
			t.Errorf("%d listed, %d rejected: %v", report.Files, len(got), got)
		}
	}
}

func TestOverwrittenArchiveIsTakenOffThePage(t *testing.T) {
	w := archiveWorld(t)
	w.settle(w.engine)
	w.store.Seed(archives+archivesNamed, archive(t, "other"), fake.SeedOptions{})
	if report := w.settle(w.engine); w.archiveListed(archivesNamed) || len(report.Rejected) != 1 || report.Rejected[0].Reason != "Overwritten" {
		t.Errorf("report %+v", report)
	}
	w.store.Seed(archives+archivesNamed, archive(t, "one"), fake.SeedOptions{})
	purges := len(w.cdn.Requests())
	w.settle(w.engine)
	if requests := w.cdn.Requests(); !w.archiveListed(archivesNamed) || len(requests) != purges+1 || !covers(requests[purges].Paths, "/"+archives+archivesNamed) {
		t.Error("the original is not listed again, or the CDN may hold the other bytes")
	}
}

func TestYankedArchive(t *testing.T) {
	w := archiveWorld(t)
	w.settle(w.engine)
	w.rule(v1alpha1.YankIndexRemoval, v1alpha1.YankSelector{Package: "libtorch", Versions: "==2.9.0"})
	w.settle(w.engine)
	if w.archiveListed(archivesNamed) {
		t.Error("the page lists it")
	}
	w.lane.Rules = nil
	if _, err := w.store.Delete(w.ctx(), archives+archivesNamed); err != nil {
		t.Fatal(err)
	}
	w.settle(w.engine)
	w.store.Seed(archives+archivesNamed, archive(t, "one"), fake.SeedOptions{})
	w.settle(w.another())
	if f := w.archiveEntry(archivesNamed); w.archiveListed(archivesNamed) || len(f.Tombstones) != 1 {
		t.Errorf("entry %+v", f)
	}
}

func TestRetiredLaneListsNoArchives(t *testing.T) {
	w := archiveWorld(t)
	w.settle(w.engine)
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	if w.archiveListed(archivesNamed) {
		t.Error("the page lists it")
	}
	if err := w.engine.DeleteFiles(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	contents := w.store.Contents()
	if _, ok := contents[archives+archivesNamed]; ok {
		t.Error("the archive is still there")
	}
	if _, ok := contents[archivesPage]; !ok {
		t.Error("the page is gone")
	}
}
