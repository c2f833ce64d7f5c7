package index_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

func TestNewWheelIsListed(t *testing.T) {
	w := newWorld(t)
	var order []string
	w.store.FailAfter(func(op, key string) error {
		if op == objectstore.OpPut {
			order = append(order, key)
		}
		return nil
	})
	name := w.upload("2.9.0")
	report := w.sync()
	w.wantListed(name, true)

	what := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.10"}
	sum := sha256.Sum256(bytesOf(t, what))
	contents := w.store.Contents()
	if contents[folder+name+".metadata"] != string(what.MetadataBytes()) {
		t.Error("the METADATA file beside the wheel is not that in the wheel")
	}
	for _, key := range []string{htmlPage, jsonPage} {
		if !strings.Contains(contents[key], hex.EncodeToString(sum[:])) {
			t.Errorf("%s lacks the wheel's hash", key)
		}
	}
	wantOrder := []string{
		folder + name + ".metadata", "_lanes/spyre/release/torch.json", htmlPage, jsonPage,
		folder + "index.html", folder + "index.v1_json", "_lanes/spyre/release/torch.json",
	}
	if !slices.Equal(order, wantOrder) {
		t.Errorf("written in the order\n%v, want\n%v", order, wantOrder)
	}
	wantPaths := []string{"/whl/spyre/", "/whl/spyre/index.html", "/whl/spyre/index.v1_json", "/whl/spyre/torch/", "/whl/spyre/torch/index.html", "/whl/spyre/torch/index.v1_json"}
	if got := w.cdn.Paths(); !slices.Equal(got, wantPaths) {
		t.Errorf("purged %v, want %v", got, wantPaths)
	}
	if c := w.catalog(); c.Revision != 1 || c.PurgedRevision != 1 {
		t.Errorf("revision %d, purged %d; want 1, 1", c.Revision, c.PurgedRevision)
	}
	if report.Files != 1 || report.Projects != 1 || !report.LastUpload.Equal(start) || !report.Wrote || report.Pending != 0 {
		t.Errorf("report %+v", report)
	}
}

func TestHashComesFromTheStoreOrIsComputed(t *testing.T) {
	what := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", PadTo: 1 << 20}
	data := bytesOf(t, what)
	sum := sha256.Sum256(data)
	for name, seed := range map[string]func(*fake.Store){
		"checksum of the store": func(s *fake.Store) { s.Seed(folder+what.Filename(), data, fake.SeedOptions{}) },
		"no checksum": func(s *fake.Store) {
			s.Seed(folder+what.Filename(), data, fake.SeedOptions{NoChecksum: true})
		},
		"multipart": func(s *fake.Store) {
			s.SeedMultipart(folder+what.Filename(), fake.SeedOptions{}, data[:500000], data[500000:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			seed(w.store)
			whole := &wholeReads{Store: w.store}
			w.syncBy(w.on(whole))
			if got := w.entry(what.Filename()).SHA256; got != hex.EncodeToString(sum[:]) {
				t.Errorf("hash %s", got)
			}
			want := 1
			if name == "checksum of the store" {
				want = 0
			}
			if whole.count != want {
				t.Errorf("the wheel was downloaded %d times, want %d", whole.count, want)
			}
		})
	}
}

func TestNothingNewCostsTheListingsAlone(t *testing.T) {
	w := newWorld(t)
	w.upload("2.9.0")
	w.sync()
	before := w.store.Contents()
	w.store.ResetCalls()
	if report := w.sync(); report.Wrote {
		t.Error("the report says that something was written")
	}
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})

	// A process that has just started reads the catalogs, and writes nothing.
	w.store.ResetCalls()
	w.syncBy(w.another())
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2, objectstore.OpGet: 1})
	if !maps.Equal(before, w.store.Contents()) {
		t.Error("the bucket has changed")
	}
	if n := len(w.cdn.Requests()); n != 1 {
		t.Errorf("%d purges, want the first one alone", n)
	}
}

func TestRequestsOfOneNewWheel(t *testing.T) {
	w := newWorld(t)
	w.upload("2.9.0")
	w.sync()
	w.store.ResetCalls()
	w.upload("2.9.1")
	w.sync()
	// Two listings, the wheel's HEAD and one ranged read of its bytes, METADATA,
	// the catalog, two pages, and the catalog again once the CDN was told.
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2, objectstore.OpHead: 1, objectstore.OpGet: 1, objectstore.OpPut: 5})
}

func TestRequestsOfManyFiles(t *testing.T) {
	w := newWorld(t)
	const files = 2500
	for i := range files {
		// A name that the engine rules out costs no request, and is listed too.
		w.store.Seed(fmt.Sprintf("%sfile-%04d.txt", folder, i), nil, fake.SeedOptions{})
	}
	w.upload("2.9.0")
	w.sync()
	w.store.ResetCalls()
	report := w.sync()
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 3 + 1})
	if report.RejectedCount() != files || len(report.Rejected) != index.MaxRejected || report.Files != 1 {
		t.Errorf("%d rejected, %d of them named, %d listed", report.RejectedCount(), len(report.Rejected), report.Files)
	}
}

func TestManyListedFilesCostTheListingsAlone(t *testing.T) {
	w := newWorld(t)
	for i := range 1250 {
		w.upload(fmt.Sprintf("2.9.%d", i))
	}
	for w.sync().Pending > 0 {
	}
	w.store.ResetCalls()
	report := w.sync()
	// 1,250 wheels and as many METADATA files, and four pages.
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 3 + 1})
	if report.Files != 1250 {
		t.Errorf("%d files are listed", report.Files)
	}
}

func TestFileThatCannotBeReadWaitsAlone(t *testing.T) {
	for _, op := range []string{objectstore.OpHead, objectstore.OpGet, fake.OpBody} {
		t.Run(op, func(t *testing.T) {
			w := newWorld(t)
			good, bad := w.upload("2.9.0"), w.upload("2.9.1")
			w.store.FailBefore(fake.On(op, func(_, key string) error {
				if key == folder+bad {
					return objectstore.ErrUnavailable
				}
				return nil
			}))
			report, err := w.engine.Sync(w.ctx(), w.lane, torch.Channel)
			if err == nil || !strings.Contains(err.Error(), bad) || report.Pending != 1 {
				t.Errorf("pending %d, error %v", report.Pending, err)
			}
			w.wantListed(good, true)
			w.wantListed(bad, false)
			w.store.FailBefore(nil)
			w.sync()
			w.wantListed(bad, true)
		})
	}
}

func TestRemovedFileLeavesThePage(t *testing.T) {
	for name, fresh := range map[string]bool{"same engine": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			gone, stays := w.upload("2.9.0"), w.upload("2.9.1")
			w.sync()
			if _, err := w.store.Delete(t.Context(), folder+gone); err != nil {
				t.Fatal(err)
			}
			e := w.engine
			if fresh {
				e = w.another()
				// It cannot tell yet whether the listing or the catalog is newer.
				if report := w.syncBy(e); report.Pending != 1 {
					t.Errorf("%d pending, want 1", report.Pending)
				}
			}
			w.syncBy(e)
			w.wantListed(gone, false)
			w.wantListed(stays, true)
			if w.catalog().Find(gone) != nil {
				t.Error("the catalog still has the file")
			}
		})
	}
}

func TestCatalogThatCannotBeReadKeepsNobodyBack(t *testing.T) {
	w := newWorld(t)
	w.lane.Packages = []string{"torch", "torchvision"}
	w.upload("2.9.0")
	vision := w.uploadOf("torchvision", "0.1")
	w.sync()
	root := w.store.Contents()[folder+"index.html"]
	w.store.Seed("_lanes/spyre/release/torch.json", []byte("{}"), fake.SeedOptions{})
	newer := w.uploadOf("torchvision", "0.2")
	_, err := w.engine.Sync(t.Context(), w.lane, torch.Channel)
	if err == nil || !strings.Contains(err.Error(), "torch.json") {
		t.Errorf("error %v", err)
	}
	w.wantListed(vision, true)
	w.wantListed(newer, true)
	if w.store.Contents()[folder+"index.html"] != root {
		t.Error("the list of projects has changed")
	}
	if _, err := w.engine.Catalogs(t.Context(), "spyre"); err == nil {
		t.Error("a Yank would act on half of the catalogs")
	}
}

// A name that the lane owns answers from the first day: an installer that finds
// no page would look for it in another index.
func TestOwnedPackagesHaveAPageBeforeTheFirstUpload(t *testing.T) {
	w := newWorld(t)
	w.lane.Packages = []string{"torch", "torchvision", "libtorch"}
	w.sync()
	contents := w.store.Contents()
	for _, project := range []string{"torch", "torchvision"} {
		page, ok := contents[folder+project+"/index.html"]
		if !ok || strings.Contains(page, ".whl") {
			t.Errorf("page of %s: %t %q, want an empty one", project, ok, page)
		}
	}
	if _, ok := contents[folder+"libtorch/index.html"]; ok {
		t.Error("archives have a page for wheels")
	}
	w.store.ResetCalls()
	if report := w.sync(); report.Wrote {
		t.Errorf("a second Sync writes: %v", w.store.Calls())
	}
}
