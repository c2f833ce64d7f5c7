package index_test

import (
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

func TestMirrorIsCaughtUp(t *testing.T) {
	down := func(string, string) error { return objectstore.ErrUnavailable }
	for what, fault := range map[string]fake.Fault{"down": down, "read-only": fake.On(objectstore.OpPut, down)} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			up, mirror := fake.New("up"), fake.New("mirror")
			w.engine = w.another(up, mirror)
			name := w.upload("2.9.0")
			mirror.FailBefore(fault)
			report, err := w.engine.Sync(t.Context(), w.lane, torch.Channel)
			if err != nil {
				t.Fatal(err)
			}
			if report.MirrorErr == nil || !strings.Contains(report.MirrorErr.Error(), "mirror1") || strings.Contains(report.MirrorErr.Error(), "mirror0") {
				t.Errorf("mirror error: %v", report.MirrorErr)
			}
			w.wantListed(name, true)
			w.wantListedOn(up, name, true)
			if c := w.catalog(); c.PurgedRevision != c.Revision {
				t.Error("the purge waits for the mirror")
			}
			if err := w.engine.Publish(t.Context(), torch); err == nil || !strings.Contains(err.Error(), "mirror1") {
				t.Errorf("Publish: %v", err)
			}
			mirror.FailBefore(nil)
			writes := w.store.Calls()[objectstore.OpPut]
			w.sync()
			w.wantListedOn(mirror, name, true)
			if w.store.Calls()[objectstore.OpPut] != writes {
				t.Error("the primary was written again")
			}
			w.store.ResetCalls()
			mirror.ResetCalls()
			w.sync()
			wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})
			wantCalls(t, mirror, map[string]int{objectstore.OpList: 1})

			w.bury(v1alpha1.YankIndexRemoval, name)
			w.wantListedOn(mirror, name, false)
		})
	}
}

func TestPurgeIsRetried(t *testing.T) {
	w := newWorld(t)
	w.upload("2.9.0")
	w.cdn.FailBefore(func(string) error { return cdn.ErrThrottled })
	report, err := w.engine.Sync(t.Context(), w.lane, torch.Channel)
	if err != nil || report.PurgeErr == nil {
		t.Fatalf("error %v, purge error %v", err, report.PurgeErr)
	}
	if w.catalog().PurgedRevision != 0 {
		t.Error("the purge is recorded as done")
	}
	w.cdn.FailBefore(nil)
	w.syncBy(w.another())
	if len(w.cdn.Requests()) != 1 || w.catalog().PurgedRevision != 1 {
		t.Errorf("%d purges, revision %d purged", len(w.cdn.Requests()), w.catalog().PurgedRevision)
	}
}

// TestPurgeFollowsThePages: a purge before the page is there would have the CDN
// keep the old one for a day.
func TestPurgeFollowsThePages(t *testing.T) {
	w := newWorld(t)
	w.upload("2.9.0")
	w.sync()
	newer := w.upload("2.9.1")
	w.store.FailBefore(fake.On(objectstore.OpPut, func(_, key string) error {
		if key == jsonPage {
			return objectstore.ErrUnavailable
		}
		return nil
	}))
	if _, err := w.engine.Sync(t.Context(), w.lane, torch.Channel); err == nil {
		t.Fatal("no error")
	}
	if n := len(w.cdn.Requests()); n != 1 {
		t.Errorf("%d purges, want none for the page that is not there", n-1)
	}
	w.store.FailBefore(nil)
	w.sync()
	w.wantListed(newer, true)
	if n := len(w.cdn.Requests()); n != 2 {
		t.Errorf("%d purges after the page was published, want 1", n-1)
	}
}
