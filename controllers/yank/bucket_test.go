package yank

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// record reads the Yank's record from the bucket.
func (w *world) record(y *v1alpha1.Yank) *Record {
	w.t.Helper()
	r := &Record{}
	data, ok := w.primary.Contents()[layout.YankRecordKey(platform, string(y.UID))]
	if !ok {
		w.t.Fatalf("no record of %s in the bucket", y.Name)
	}
	w.must(json.Unmarshal([]byte(data), r))
	return r
}

func (w *world) catalog() *catalog.Catalog {
	w.t.Helper()
	return catalogIn(w.t, w.primary)
}

func catalogIn(t *testing.T, store *fake.Store) *catalog.Catalog {
	t.Helper()
	data, ok := store.Contents()[layout.CatalogKey(platform, v1alpha1.ChannelRelease, "torch")]
	if !ok {
		return catalog.New(platform, v1alpha1.ChannelRelease, "torch")
	}
	c, err := catalog.Decode([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// page is the published page of torch in a store.
func page(store *fake.Store) string {
	html, _ := layout.ProjectPages(platform, v1alpha1.ChannelRelease, "torch")
	return store.Contents()[html]
}

// lists tells whether a page links to a file, and the whole link.
func lists(page, key string) (anchor string, ok bool) {
	for line := range strings.Lines(page) {
		if strings.Contains(line, "<a ") && strings.Contains(line, url.PathEscape(layout.FileName(key))) ||
			strings.Contains(line, "<a ") && strings.Contains(line, layout.EscapeKey(layout.FileName(key))) {
			return line, true
		}
	}
	return "", false
}

func (w *world) wantListed(key string, want bool) {
	w.t.Helper()
	for _, s := range w.stores() {
		if _, got := lists(page(s), key); got != want {
			w.t.Fatalf("the page in %s lists %s: %v, want %v\n%s", s.Bucket(), key, got, want, page(s))
		}
	}
}

// versionsOf are the stored versions of a key, "marker" for delete markers.
func versionsOf(t *testing.T, store *fake.Store, key string) (out []string) {
	t.Helper()
	for v, err := range store.ListVersions(context.Background(), key) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case v.Key != key:
		case v.DeleteMarker:
			out = append(out, "marker")
		default:
			out = append(out, "bytes")
		}
	}
	return out
}

// watch follows every call to the stores and the CDN and every probe, and stops
// the test when bytes vanish that a page lists, or a page lists what a tombstone
// took back.
func (w *world) watch(key string) {
	for _, store := range w.stores() {
		store.FailAfter(func(op, k string) error {
			w.checkInvariants(store, op, k, key)
			return nil
		})
	}
}

func (w *world) checkInvariants(store *fake.Store, op, touched, key string) {
	contents := store.Contents()
	for k, body := range contents {
		if !strings.HasSuffix(k, "/torch/"+layout.HTMLPage) && !strings.HasSuffix(k, "/torch/"+layout.JSONPage) {
			continue
		}
		listed := strings.Contains(body, layout.EscapeKey(layout.FileName(key)))
		if _, stored := contents[key]; listed && !stored {
			w.t.Errorf("after %s %s in %s: %s lists %s, whose bytes are gone", op, touched, store.Bucket(), k, key)
		}
		if op != objectstore.OpPut || touched != k || !listed {
			continue
		}
		f := catalogIn(w.t, w.primary).Find(layout.FileName(key))
		if f == nil {
			continue
		}
		if t, ok := f.Effective(); ok && t.Mode != v1alpha1.YankFlag {
			w.t.Errorf("%s was published in %s with %s, which has a tombstone", k, store.Bucket(), key)
		}
	}
}
