package index_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/retention"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// keepDays makes the lane keep what was uploaded in the last so many days.
func (w *world) keepDays(days int) {
	w.lane.Retention = map[v1alpha1.ChannelName]retention.Policy{torch.Channel: {Days: days}}
}

// aged is a world with an old version that is due and a newer one that stays.
func aged(t *testing.T) (w *world, old, young string) {
	w = newWorld(t)
	w.keepDays(30)
	old = w.upload("2.8.0")
	w.sync()
	w.now = start.AddDate(0, 0, 31)
	young = w.upload("2.9.0")
	return w, old, young
}

// stored tells whether a file or one of its sidecars is in a store.
func stored(store *fake.Store, name string) bool {
	contents := store.Contents()
	for _, suffix := range []string{"", ".metadata", ".provenance"} {
		if _, ok := contents[folder+name+suffix]; ok {
			return true
		}
	}
	return false
}

func TestRetentionIsPreviewedThenUnlistsThenRemoves(t *testing.T) {
	w, old, young := aged(t)
	mirror := fake.New("mirror", fake.WithVersioning(objectstore.VersioningNever))
	mirror.Seed(folder+old, []byte(w.store.Contents()[folder+old]), fake.SeedOptions{})
	w.engine = w.another(mirror)
	due := w.now
	report := w.settle(w.engine)
	want := index.Due{Files: index.Files{Count: 1, Bytes: w.entry(old).Size, Keys: []string{folder + old}}, Since: due, Expires: due.Add(24 * time.Hour)}
	if got := report.Due; got.Count != want.Count || got.Bytes != want.Bytes || !slices.Equal(got.Keys, want.Keys) || !got.Since.Equal(want.Since) || !got.Expires.Equal(want.Expires) {
		t.Errorf("due: %+v, want %+v", got, want)
	}
	w.now = due.Add(24*time.Hour - time.Second)
	w.store.ResetCalls()
	w.sync()
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})
	w.wantListed(old, true)

	w.now = due.Add(24 * time.Hour)
	purges := len(w.cdn.Requests())
	if report := w.sync(); report.Expired.Count != 1 || report.Due.Count != 0 {
		t.Errorf("report %+v", report)
	}
	w.wantListed(old, false)
	w.wantListed(young, true)
	if !stored(w.store, old) || len(w.cdn.Requests()) != purges+1 {
		t.Error("the bytes went before the page was purged")
	}
	w.now = w.now.Add(time.Hour - time.Second)
	w.settle(w.engine)
	if !stored(w.store, old) {
		t.Error("the bytes went while installers may still ask for them")
	}
	w.now = w.now.Add(time.Second)
	version := w.entry(old).VersionID
	if report := w.sync(); report.Removed.Count != 1 || report.Removed.Keys[0] != folder+old {
		t.Errorf("report %+v", report)
	}
	if stored(w.store, old) || stored(mirror, old) || !stored(w.store, young) {
		t.Error("the bytes are still there, or others are not")
	}
	if tags := w.store.Tags(folder+old, version); tags[index.RetentionTag] != index.RetentionValue {
		t.Errorf("the removed version has the tags %v", tags)
	}
	w.settle(w.engine)
	if f := w.entry(old); f.State != catalog.StateExpired || f.ETag != "" || f.SHA256 == "" {
		t.Errorf("entry %+v", f)
	}
	w.store.ResetCalls()
	w.sync()
	w.syncBy(w.another(mirror))
	if calls := w.store.Calls(); calls[objectstore.OpPut]+calls[objectstore.OpDelete] > 0 {
		t.Errorf("retention writes on: %v", calls)
	}
}

// TestExpiredNameNeverStandsForOtherBytes: not at once, not later, not after the
// first foreign bytes were removed or replaced.
func TestExpiredNameNeverStandsForOtherBytes(t *testing.T) {
	w, old, _ := aged(t)
	w.expire()
	original := w.entry(old).SHA256
	w.neverListed(old)
	for _, version := range []string{"first", "second"} {
		w.store.Seed(folder+old, []byte(version), fake.SeedOptions{})
		w.settle(w.engine)
		w.store.Seed(folder+old, otherBytes(t, "2.8.0"), fake.SeedOptions{})
		wantRejected(t, w.settle(w.engine), old, "Overwritten")
		if _, err := w.store.Delete(w.ctx(), folder+old); err != nil {
			t.Fatal(err)
		}
		w.settle(w.engine)
		if f := w.entry(old); f.State != catalog.StateExpired || f.SHA256 != original {
			t.Errorf("after the %s bytes: entry %+v", version, f)
		}
		w.engine = w.another()
	}
}

// TestExpiredBytesMayComeBack: the same bytes are as good as they were, and as
// old.
func TestExpiredBytesMayComeBack(t *testing.T) {
	w, old, _ := aged(t)
	w.expire()
	w.upload("2.8.0")
	report := w.settle(w.engine)
	w.wantListed(old, true)
	if report.Due.Count != 1 || !report.Due.Expires.Equal(w.now.Add(24*time.Hour)) {
		t.Errorf("due: %+v", report.Due)
	}
}

// expire lets time pass until nothing more is to be removed.
func (w *world) expire() {
	w.t.Helper()
	for range 4 {
		w.settle(w.engine)
		w.now = w.now.Add(24 * time.Hour)
	}
	w.settle(w.engine)
}

func TestChangedPolicyIsPreviewedAnew(t *testing.T) {
	w, old, _ := aged(t)
	w.settle(w.engine)
	w.now = w.now.Add(23 * time.Hour)
	w.keepDays(31)
	w.settle(w.engine)
	w.now = w.now.Add(23 * time.Hour)
	if report := w.settle(w.engine); report.Due.Count != 1 {
		t.Errorf("due: %+v", report.Due)
	}
	w.wantListed(old, true)
	w.lane.Retention = nil
	if report := w.settle(w.engine); report.Due.Count != 0 || !w.entry(old).DueTime.IsZero() {
		t.Errorf("without a policy %+v is due", report.Due)
	}
	w.expire()
	w.wantListed(old, true)
}

// TestRetentionSparesWhatYanksHold: before it is due, while it is on show, and
// between the page and the bytes.
func TestRetentionSparesWhatYanksHold(t *testing.T) {
	for name, wait := range map[string]time.Duration{"before": 0, "on show": time.Hour, "off the page": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w, old, _ := aged(t)
			if wait > 0 {
				w.settle(w.engine)
				w.now = w.now.Add(wait)
				w.settle(w.engine)
			}
			w.bury(v1alpha1.YankIndexRemoval, old)
			w.expire()
			if !stored(w.store, old) {
				t.Error("evidence was removed")
			}
			w.wantListed(old, false)
		})
	}
}

// TestNothingIsRemovedWhileAMirrorMayListIt: what cannot be written there, or
// not even be looked at.
func TestNothingIsRemovedWhileAMirrorMayListIt(t *testing.T) {
	down := func(string, string) error { return objectstore.ErrUnavailable }
	for what, fault := range map[string]fake.Fault{"down": down, "read-only": fake.On(objectstore.OpPut, down)} {
		t.Run(what, func(t *testing.T) {
			w, old, _ := aged(t)
			mirror := fake.New("mirror")
			mirror.Seed(folder+old, []byte(w.store.Contents()[folder+old]), fake.SeedOptions{})
			w.engine = w.another(mirror)
			w.settle(w.engine)
			mirror.FailBefore(fault)
			for range 3 {
				w.now = w.now.Add(24 * time.Hour)
				if report, err := w.engine.Sync(t.Context(), w.lane, torch.Channel); err != nil || report.MirrorErr == nil {
					t.Errorf("error %v, report %+v", err, report)
				}
			}
			w.wantListed(old, false)
			w.wantListedOn(mirror, old, true)
			if !stored(w.store, old) || !stored(mirror, old) {
				t.Error("bytes were removed while the mirror lists them")
			}
			mirror.FailBefore(nil)
			w.settle(w.engine)
			if stored(w.store, old) || stored(mirror, old) {
				t.Error("the bytes are still there")
			}
		})
	}
}

func TestFailedRemovalIsToldAndTriedAgain(t *testing.T) {
	w, old, _ := aged(t)
	w.settle(w.engine)
	w.now = w.now.Add(24 * time.Hour)
	w.settle(w.engine)
	w.now = w.now.Add(time.Hour)
	w.store.FailBefore(fake.On(objectstore.OpTagVersion, func(string, string) error { return objectstore.ErrDenied }))
	report, err := w.engine.Sync(t.Context(), w.lane, torch.Channel)
	if err != nil || !errors.Is(report.RemovalErr, objectstore.ErrDenied) || !strings.Contains(report.RemovalErr.Error(), old) || !stored(w.store, old) {
		t.Errorf("error %v, removal error %v", err, report.RemovalErr)
	}
	w.store.FailBefore(nil)
	w.settle(w.engine)
	if stored(w.store, old) {
		t.Error("the bytes are still there")
	}
}

// TestUploadDuringItsRemovalStays: new bytes under the name are nobody's to
// remove.
func TestUploadDuringItsRemovalStays(t *testing.T) {
	for _, before := range []string{objectstore.OpHead, objectstore.OpListVersions} {
		t.Run(before, func(t *testing.T) {
			w, old, _ := aged(t)
			w.settle(w.engine)
			w.now = w.now.Add(24 * time.Hour)
			w.settle(w.engine)
			w.now = w.now.Add(time.Hour)
			fresh := otherBytes(t, "2.8.0")
			w.store.FailBefore(fake.On(before, func(_, key string) error {
				if key == folder+old {
					w.store.FailBefore(nil)
					w.store.Seed(key, fresh, fake.SeedOptions{})
				}
				return nil
			}))
			if report, err := w.engine.Sync(t.Context(), w.lane, torch.Channel); err != nil || report.RemovalErr == nil {
				t.Errorf("error %v, report %+v", err, report)
			}
			wantRejected(t, w.settle(w.engine), old, "Overwritten")
			if w.store.Contents()[folder+old] != string(fresh) {
				t.Error("bytes that nobody had judged were removed")
			}
		})
	}
}

func TestRetentionOfManyFilesIsBounded(t *testing.T) {
	w := newWorld(t)
	w.keepDays(30)
	w.engine = index.New(index.Target{Name: "primary", Store: w.store}, nil, w.cdn, func() time.Time { return w.now }, index.Limits{})
	const files = 205
	for i := range files {
		what := wheeltest.Wheel{Project: "torch", Version: "2.8.0+spyre", Build: "1" + strings.Repeat("0", i%50) + string(rune('a'+i/50))}
		w.store.Seed(folder+what.Filename(), bytesOf(t, what), fake.SeedOptions{})
	}
	w.settle(w.engine)
	w.now = start.AddDate(0, 0, 31)
	w.upload("2.9.0")
	report := w.settle(w.engine)
	if report.Due.Count != files || len(report.Due.Keys) != 10 || !slices.IsSorted(report.Due.Keys) {
		t.Errorf("due: %+v", report.Due)
	}
	w.now = w.now.Add(24 * time.Hour)
	w.settle(w.engine)
	w.now = w.now.Add(time.Hour)
	if report := w.sync(); report.Removed.Count != 200 || report.Pending != files-200 {
		t.Errorf("report %+v", report)
	}
	if report := w.sync(); report.Removed.Count != files-200 {
		t.Errorf("report %+v", report)
	}
}

// TestALaneThatComesBackSeesAPreview: what was due when it went is not gone the
// moment it is there again.
func TestALaneThatComesBackSeesAPreview(t *testing.T) {
	w, old, _ := aged(t)
	w.settle(w.engine)
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.AddDate(0, 0, 7)
	w.engine = w.another()
	report := w.settle(w.engine)
	w.wantListed(old, true)
	if report.Due.Count != 1 || !report.Due.Expires.Equal(w.now.Add(24*time.Hour)) {
		t.Errorf("due: %+v", report.Due)
	}
}

// TestYankDuringTheRemovalKeepsItsFile: files are removed one after the other,
// and a Yank may come in between.
func TestYankDuringTheRemovalKeepsItsFile(t *testing.T) {
	w := newWorld(t)
	w.keepDays(30)
	first, second := w.upload("2.7.0"), w.upload("2.8.0")
	w.sync()
	w.now = start.AddDate(0, 0, 31)
	w.upload("2.9.0")
	w.settle(w.engine)
	w.now = w.now.Add(24 * time.Hour)
	w.settle(w.engine)
	w.now = w.now.Add(time.Hour)
	w.store.FailBefore(fake.On(objectstore.OpDelete, func(_, key string) error {
		if key == folder+first {
			w.store.FailBefore(nil)
			if err := bury(t.Context(), w.engine, v1alpha1.YankQuarantine, second); err != nil {
				t.Fatal(err)
			}
		}
		return nil
	}))
	report := w.sync()
	if stored(w.store, first) || !stored(w.store, second) || report.Removed.Count != 1 {
		t.Errorf("the evidence of a Yank is there: %v; report %+v", stored(w.store, second), report)
	}
}

// TestYankedExpiredFileIsAtRest: it waits for nothing.
func TestYankedExpiredFileIsAtRest(t *testing.T) {
	w, old, _ := aged(t)
	w.settle(w.engine)
	w.now = w.now.Add(24 * time.Hour)
	w.settle(w.engine)
	w.bury(v1alpha1.YankIndexRemoval, old)
	w.now = w.now.Add(24 * time.Hour)
	w.settle(w.engine)
	w.store.FailBefore(nil)
	// Whoever is at rest does not look at catalogs, not even in vain.
	w.engine = index.New(index.Target{Name: "primary", Store: w.store}, nil, w.cdn, func() time.Time { return w.now }, index.Limits{CatalogMemory: 1})
	w.uploadOf("vision", "1.0")
	w.lane.Packages = append(w.lane.Packages, "vision")
	w.settle(w.engine)
	w.settle(w.engine)
	w.store.ResetCalls()
	w.sync()
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})
	if f := w.entry(old); f.State != catalog.StateExpired {
		t.Errorf("entry %+v", f)
	}
}
