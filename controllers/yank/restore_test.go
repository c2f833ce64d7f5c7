package yank

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

func TestDeletingAYankListsNothingAgainEvenWhenTheStoreIsDown(t *testing.T) {
	w := newWorld(t, mirrored)
	bad, _ := w.published()
	y := w.yank(v1alpha1.YankQuarantine)
	w.settle(y)
	for _, s := range w.stores() {
		s.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	}
	w.resetCalls()
	w.delete(y)
	w.settle(y)
	if !w.gone(y) {
		t.Fatal("the finalizer holds it")
	}
	if calls := w.primary.Calls(); len(calls) > 0 {
		t.Errorf("the store was asked: %v", calls)
	}
	for _, s := range w.stores() {
		s.FailBefore(nil)
	}
	w.restart(false)
	w.sync()
	w.wantListed(bad, false)
	_, data := wheelOf("2.9.0+spyre", "")
	w.primary.Seed(bad, data, fakeSeed()) // Even if it is uploaded again.
	w.sync()
	w.wantListed(bad, false)
}

func TestRestoreGivesTheFilesBack(t *testing.T) {
	for _, c := range []struct {
		mode    v1alpha1.YankMode
		options []option
	}{
		{v1alpha1.YankFlag, nil},
		{v1alpha1.YankIndexRemoval, nil},
		{v1alpha1.YankQuarantine, []option{mirrored}},
		{v1alpha1.YankQuarantine, []option{unversioned}},
	} {
		t.Run(fmt.Sprintf("%s %d", c.mode, len(c.options)), func(t *testing.T) {
			w := newWorld(t, c.options...)
			bad, _ := w.published()
			_, data := wheelOf("2.9.0+spyre", "")
			w.watch(bad)
			y := w.yank(c.mode, restore)
			w.settle(y)
			w.wantConditions(y, "Ready=True/Verified")
			woken := 0
			w.reconcile.PublishedFor = func(*v1alpha1.PlatformLane) { woken++ }
			w.delete(y)
			w.settle(y)
			if !w.gone(y) || woken != 1 {
				t.Fatalf("gone %v, indexer woken %d times", w.gone(y), woken)
			}
			w.sync()
			w.wantListed(bad, true)
			for _, s := range w.stores() {
				if s.Contents()[bad] != string(data) {
					t.Errorf("%s does not serve the file", s.Bucket())
				}
				if anchor, _ := lists(page(s), bad); strings.Contains(anchor, "data-yanked") {
					t.Errorf("still marked: %s", anchor)
				}
				if feed := s.Contents()[layout.RemovalsKey(platform)]; strings.Contains(feed, layout.FileName(bad)) {
					t.Errorf("still in the feed: %s", feed)
				}
			}
			if f := w.catalog().Find(layout.FileName(bad)); f == nil || len(f.Tombstones) > 0 {
				t.Errorf("catalog %+v", f)
			}
			if w.record(y).Restored.IsZero() || !w.events.has("Normal Restored 1 file given back") {
				t.Errorf("no record or Event of it: %q", w.events.all)
			}
		})
	}
}

func TestRestoreRespectsAnotherYank(t *testing.T) {
	for _, other := range []v1alpha1.YankMode{v1alpha1.YankIndexRemoval, v1alpha1.YankQuarantine} {
		t.Run(string(other), func(t *testing.T) {
			w := newWorld(t)
			bad, _ := w.published()
			mine, theirs := w.yank(v1alpha1.YankQuarantine, restore), w.yank(other)
			w.settle(mine)
			w.settle(theirs)
			w.delete(mine)
			w.settle(mine)
			w.sync()
			w.wantListed(bad, false)
			_, readable := w.primary.Contents()[bad]
			if readable != (other == v1alpha1.YankIndexRemoval) {
				t.Errorf("readable %v although %s stands", readable, other)
			}
			f := w.catalog().Find(layout.FileName(bad))
			if len(f.Tombstones) != 1 || f.Tombstones[0].UID != string(theirs.UID) {
				t.Errorf("tombstones %+v", f.Tombstones)
			}
		})
	}
}

func TestChangedBytesStayYanked(t *testing.T) {
	for name, options := range map[string][]option{"versioned": nil, "unversioned": {unversioned}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options...)
			bad, _ := w.published()
			y := w.yank(v1alpha1.YankQuarantine, restore)
			w.settle(y)
			if name == "versioned" {
				w.primary.Seed(bad, []byte("trojan"), fakeSeed())
			} else {
				w.primary.Seed(movedKey(string(y.UID), bad), []byte("trojan"), fakeSeed())
			}
			w.delete(y)
			// Nobody may read the changed bytes, not even while they are looked at.
			w.primary.FailAfter(func(op, key string) error {
				if op != objectstore.OpCopy && op != objectstore.OpDeleteVersion {
					return nil
				}
				if body, readable := w.primary.Contents()[bad]; readable {
					t.Errorf("after %s %s: %q can be read", op, key, body)
				}
				return nil
			})
			w.settle(y)
			if !w.gone(y) {
				t.Fatal("the finalizer holds it")
			}
			if !w.events.has("Warning BytesChanged "+bad) || w.events.has("Restored") {
				t.Errorf("events %q", w.events.all)
			}
			w.primary.FailAfter(nil)
			w.sync()
			w.wantListed(bad, false)
			if _, readable := w.primary.Contents()[bad]; readable {
				t.Error("the changed bytes can be read")
			}
			if f := w.catalog().Find(layout.FileName(bad)); len(f.Tombstones) != 1 {
				t.Errorf("tombstones %+v", f.Tombstones)
			}
		})
	}
}

func TestAChangedMirrorKeepsTheFileYanked(t *testing.T) {
	w := newWorld(t, mirrored)
	bad, _ := w.published()
	y := w.yank(v1alpha1.YankQuarantine, restore)
	w.settle(y)
	w.mirror.Seed(bad, []byte("trojan"), fakeSeed())
	w.delete(y)
	w.settle(y)
	for _, s := range w.stores() {
		if body, readable := s.Contents()[bad]; readable {
			t.Errorf("%s serves %.10q", s.Bucket(), body)
		}
	}
	if !w.events.has("Warning BytesChanged " + bad + " stays yanked: r2: ") {
		t.Errorf("events %q", w.events.all)
	}
}

func TestARestoreSaysWhyItWaitsAndSurvivesACrashAtAnyCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			w := newWorld(t)
			bad, _ := w.published()
			y := w.yank(v1alpha1.YankQuarantine, restore)
			w.settle(y)
			w.delete(y)
			w.watch(bad)
			fault := fake.From(n, objectstore.ErrUnavailable)
			if after {
				w.primary.FailAfter(func(op, key string) error {
					if slices.Contains(reads, op) {
						return nil // As if it had crashed before the next call.
					}
					return fault(op, key)
				})
			} else {
				w.primary.FailBefore(fault)
			}
			if _, err := w.pass(y); err == nil {
				if n < 5 || !after && n < 15 {
					t.Fatalf("only %d calls were tried", n)
				}
				break
			}
			w.wantConditions(y, "Ready=False/Restoring", "Reconciling=True/Progressing")
			w.wantMessage(y, v1alpha1.ReadyCondition, "it is tried again")
			w.primary.FailBefore(nil)
			w.primary.FailAfter(nil)
			w.restart(false)
			w.settle(y)
			if !w.gone(y) {
				t.Fatalf("call %d: still there", n)
			}
			w.sync()
			w.wantListed(bad, true)
			if feed := w.primary.Contents()[layout.RemovalsKey(platform)]; strings.Contains(feed, layout.FileName(bad)) {
				t.Fatalf("call %d: still in the feed", n)
			}
			if w.record(y).Restored.IsZero() {
				t.Fatalf("call %d: the record does not say so", n)
			}
		}
	}
}

func TestTheRecordIsComplete(t *testing.T) {
	w := newWorld(t, mirrored)
	bad, _ := w.published()
	y := w.yank(v1alpha1.YankQuarantine, func(s *v1alpha1.YankSpec) {
		s.Advisory = v1alpha1.Advisory{ID: "CVE-2026-1", URL: "https://example.com/CVE-2026-1"}
		s.OnBehalfOf = "Bob"
	})
	w.settle(y)
	r := w.record(y)
	if r.UID != string(y.UID) || r.Name != y.Name || r.Namespace != w.namespace || r.Platform != platform || r.Requester != "alice@example.com" ||
		r.Spec.OnBehalfOf != "Bob" || r.Spec.Advisory.ID != "CVE-2026-1" || r.Asked.IsZero() || r.Planned.IsZero() || len(r.Warnings) == 0 || r.Limits == "" {
		t.Errorf("record %+v", r)
	}
	a := r.find(bad)
	if a.SHA256 == "" || a.SizeBytes == 0 || a.ETag == "" || a.VersionID == "" || a.Uploaded.IsZero() {
		t.Errorf("artifact %+v", a)
	}
	if a.Tombstoned.IsZero() || a.Published.Before(a.Tombstoned) || a.Bytes.Before(a.Published) || a.Purged.Before(a.Bytes) || a.Verified.Before(a.Purged) {
		t.Errorf("times %+v", a)
	}
	// Wheel and METADATA, on the primary; the mirror holds the wheel alone.
	if len(a.Stores) != 2 || len(a.Stores[0].Versions) != 2 || len(a.Stores[1].Versions) != 1 {
		t.Errorf("stores %+v", a.Stores)
	}
	for _, s := range a.Stores {
		for _, v := range s.Versions {
			if v.VersionID == "" || v.ETag == "" || v.SizeBytes == 0 || v.Fate != fateHidden {
				t.Errorf("%s: %+v", s.Store, v)
			}
		}
	}
	if tags := w.primary.Tags(bad, a.VersionID); tags[quarantineTag] != string(y.UID) {
		t.Errorf("tags %v", tags)
	}
	for _, front := range []string{"primary", "r2"} {
		target := w.engine.Targets()[slices.Index([]string{"primary", "r2"}, front)]
		escaped := layout.PublicURL(target.BaseURLs[0], bad)
		for _, url := range []string{escaped, strings.ReplaceAll(escaped, "%2B", "+"), layout.PublicURL(target.BaseURLs[0], bad+".metadata")} {
			if !slices.ContainsFunc(a.Probes, func(p probeResult) bool { return p.URL == url && p.Outcome == "Proven" && p.Status >= 400 }) {
				t.Errorf("%s was not probed: %+v", url, a.Probes)
			}
		}
		if !slices.ContainsFunc(a.Probes, func(p probeResult) bool { return strings.HasPrefix(p.URL, escaped+"?versionId=") }) {
			t.Errorf("no old version of %s was probed", front)
		}
	}
	if len(r.Pages) != 6 || len(r.Purges) != 1 || r.Purges[0].ID == "" || r.Purges[0].Completed.IsZero() || len(r.Purges[0].Paths) == 0 {
		t.Errorf("pages %d, purges %+v", len(r.Pages), r.Purges)
	}
}

func TestTheStatusIsBounded(t *testing.T) {
	w := newWorld(t)
	w.lane(true)
	const files = 200
	long := strings.Repeat("x86_64_", 20)
	for i := range files {
		key, data := wheelOf("2.9.0+spyre", fmt.Sprintf("py3-none-linux_%s%d", long, i))
		w.primary.Seed(key, data, fakeSeed())
	}
	w.sync()
	y := w.yank(v1alpha1.YankQuarantine, func(s *v1alpha1.YankSpec) { s.Reason = strings.Repeat("r", 512) })
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
	if *y.Status.ArtifactsCount != files || *y.Status.VerifiedCount != files || len(y.Status.Artifacts) != v1alpha1.MaxYankedArtifacts {
		t.Errorf("%d, %d, %d", *y.Status.ArtifactsCount, *y.Status.VerifiedCount, len(y.Status.Artifacts))
	}
	if got := len(w.record(y).Artifacts); got != files {
		t.Errorf("%d artifacts on record", got)
	}
	if body, err := json.Marshal(y.Status); err != nil || len(body) > 64<<10 {
		t.Errorf("the status has %d bytes, %v", len(body), err)
	}
	// And when every store answers with a book.
	w.primary.FailBefore(func(string, string) error { return fmt.Errorf("%s", strings.Repeat("trouble ", 10000)) })
	if _, err := w.pass(y); err == nil {
		t.Fatal("no error")
	}
	w.wantConditions(y, "Accepted=False/CatalogUnavailable")
	if body, err := json.Marshal(y.Status); err != nil || len(body) > 64<<10 {
		t.Errorf("the status has %d bytes, %v", len(body), err)
	}
	for _, e := range w.events.all {
		if len(e) > 1100 {
			t.Errorf("an Event of %d bytes", len(e))
		}
	}
}

func TestARequesterThatIsTooLongDoesNotStopTheYank(t *testing.T) {
	w := newWorld(t)
	w.published()
	y := w.yank(v1alpha1.YankFlag)
	before := y.DeepCopy()
	y.Annotations[v1alpha1.RequesterAnnotation] = strings.Repeat("é", 600)
	w.must(admin.Patch(t.Context(), y, mergeFrom(before)))
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
	if len(y.Status.Requester) > 512 || y.Status.Requester == "" {
		t.Errorf("requester of %d bytes", len(y.Status.Requester))
	}
}

// TestRestorePurgesTheFeed: caches would go on naming the file for a day.
func TestRestorePurgesTheFeed(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	y := w.yank(v1alpha1.YankIndexRemoval, restore)
	w.settle(y)
	purges := len(w.cdn.Requests())
	w.cdn.FailBefore(func(string) error { return errors.New("down") })
	w.delete(y)
	if _, err := w.pass(y); err == nil || w.gone(y) {
		t.Error("the Yank is gone, and the caches keep the feed of before")
	}
	w.cdn.FailBefore(nil)
	w.settle(y)
	var paths []string
	for _, r := range w.cdn.Requests()[purges:] {
		paths = append(paths, r.Paths...)
	}
	if !w.gone(y) || !slices.Contains(paths, "/"+layout.RemovalsKey("spyre")) {
		t.Errorf("gone %v, purged %v", w.gone(y), paths)
	}
	w.sync()
	w.wantListed(bad, true)
}
