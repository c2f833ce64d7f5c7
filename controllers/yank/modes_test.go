package yank

import (
	"slices"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

func TestEachModeReachesReady(t *testing.T) {
	for _, c := range []struct {
		mode        v1alpha1.YankMode
		removed     string
		block       string
		listed      bool
		versions    []string
		blockedTime bool
	}{
		{v1alpha1.YankFlag, "IndexRemoved=True/Flagged", "", true, []string{"bytes"}, false},
		{v1alpha1.YankIndexRemoval, "IndexRemoved=True/Unlisted", "", false, []string{"bytes"}, false},
		{v1alpha1.YankQuarantine, "IndexRemoved=True/Unlisted", "AccessBlocked=True/Blocked", false, []string{"marker", "bytes"}, true},
		{v1alpha1.YankHardDelete, "IndexRemoved=True/Unlisted", "Deleted=True/Destroyed", false, nil, true},
	} {
		t.Run(string(c.mode), func(t *testing.T) {
			w := newWorld(t, mirrored)
			bad, good := w.published()
			w.watch(bad)
			y := w.yank(c.mode)
			w.settle(y)
			w.wantConditions(y, "Accepted=True/Resolved", c.removed, "CachesPurged=True/Purged", "Verified=True/Probed", "Ready=True/Verified")
			w.wantNoCondition(y, v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition)
			if c.block != "" {
				w.wantConditions(y, c.block)
			}
			for _, kind := range []string{v1alpha1.AccessBlockedCondition, v1alpha1.DeletedCondition} {
				if kind != v1alpha1.BlockConditionFor(c.mode) {
					w.wantNoCondition(y, kind)
				}
			}
			w.wantListed(bad, c.listed)
			w.wantListed(good, true)
			for _, s := range w.stores() {
				if anchor, _ := lists(page(s), bad); c.listed && !strings.Contains(anchor, `data-yanked="backdoor"`) {
					t.Errorf("%s: not marked: %s", s.Bucket(), anchor)
				}
				if got := versionsOf(t, s, bad); !slices.Equal(got, c.versions) {
					t.Errorf("%s holds %v of the file, want %v", s.Bucket(), got, c.versions)
				}
				if got := versionsOf(t, s, good); !slices.Equal(got, []string{"bytes"}) {
					t.Errorf("%s holds %v of the other file", s.Bucket(), got)
				}
			}
			status := y.Status
			if *status.ArtifactsCount != 1 || *status.VerifiedCount != 1 || len(status.Artifacts) != 1 {
				t.Fatalf("counts %d, %d, %d", *status.ArtifactsCount, *status.VerifiedCount, len(status.Artifacts))
			}
			if a := status.Artifacts[0]; a.Key != bad || a.State != v1alpha1.ArtifactVerified || len(a.SHA256) != 64 || *a.SizeBytes == 0 {
				t.Errorf("artifact %+v", a)
			}
			if status.PlannedTime == nil || status.IndexRemovedTime == nil || status.VerifiedTime == nil || (status.AccessBlockedTime != nil) != c.blockedTime {
				t.Errorf("times %v %v %v %v", status.PlannedTime, status.IndexRemovedTime, status.AccessBlockedTime, status.VerifiedTime)
			}
			if status.VerifiedTime.Before(status.IndexRemovedTime) || *status.ObservedGeneration != y.Generation || status.Requester != "alice@example.com" {
				t.Errorf("status %+v", status)
			}
			if status.Record != layout.YankRecordKey(platform, string(y.UID)) {
				t.Errorf("record %q", status.Record)
			}
			if !w.events.has("Normal Probed 1 file probed at every public address") {
				t.Errorf("events %q", w.events.all)
			}
			w.wantFeed(string(c.mode), bad)
		})
	}
}

func (w *world) wantFeed(mode, key string) {
	w.t.Helper()
	for _, s := range w.stores() {
		feed := s.Contents()[layout.RemovalsKey(platform)]
		if !strings.Contains(feed, layout.FileName(key)) || !strings.Contains(feed, mode) || !strings.Contains(feed, "backdoor") {
			w.t.Errorf("removal feed of %s: %s", s.Bucket(), feed)
		}
		if strings.Contains(feed, "alice") {
			w.t.Errorf("the feed names who asked: %s", feed)
		}
	}
}

var reads = []string{objectstore.OpList, objectstore.OpListVersions, objectstore.OpGet, objectstore.OpHead, objectstore.OpVersioning, objectstore.OpListUploads}

// wantNoWrites demands that nothing was written to the stores or asked of the
// CDN since the calls were reset.
func (w *world) wantNoWrites() {
	w.t.Helper()
	for _, s := range w.stores() {
		for op, n := range s.Calls() {
			if n > 0 && !slices.Contains(reads, op) {
				w.t.Errorf("%s: %d × %s", s.Bucket(), n, op)
			}
		}
	}
}

func (w *world) resetCalls() {
	for _, s := range w.stores() {
		s.ResetCalls()
	}
}

func TestAPlanTouchesNothingUntilItIsExecuted(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	purges := len(w.cdn.Requests())
	w.resetCalls()
	y := w.yank(v1alpha1.YankQuarantine, planOnly)
	w.settle(y)
	w.wantConditions(y, "Accepted=True/Resolved", "Ready=True/Planned", "IndexRemoved=Unknown/NotRequested", "AccessBlocked=Unknown/NotRequested", "Verified=Unknown/NotRequested")
	w.wantNoWrites()
	w.wantListed(bad, true)
	if len(w.cdn.Requests()) != purges || y.Status.Record != "" {
		t.Error("a plan purged the CDN or wrote a record")
	}
	if a := y.Status.Artifacts; len(a) != 1 || a[0].Key != bad || a[0].State != v1alpha1.ArtifactPlanned || *y.Status.ArtifactsCount != 1 {
		t.Errorf("artifacts %+v", a)
	}
	if len(y.Status.Warnings) == 0 {
		t.Error("no warning although the version is left without files")
	}
	if rules, err := RulesOf(t.Context(), admin, &v1alpha1.PlatformLane{ObjectMeta: y.ObjectMeta}, w.now()); err != nil || len(rules) > 0 {
		t.Errorf("a plan is a rule: %v, %v", rules, err)
	}

	planned, warnings := y.Status.PlannedTime, y.Status.Warnings
	w.later(time.Hour)
	w.edit(y, func(s *v1alpha1.YankSpec) { s.Execution = v1alpha1.ExecutionExecute })
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified", "AccessBlocked=True/Blocked")
	if !y.Status.PlannedTime.Equal(planned) || !slices.Equal(y.Status.Warnings, warnings) {
		t.Errorf("planned %v, was %v; warnings %q, were %q", y.Status.PlannedTime, planned, y.Status.Warnings, warnings)
	}
}

func TestRaisingTheModeGoesThroughAllStepsAgain(t *testing.T) {
	w := newWorld(t, mirrored)
	bad, _ := w.published()
	w.watch(bad)
	y := w.yank(v1alpha1.YankFlag)
	w.settle(y)
	warnings := y.Status.Warnings
	for _, mode := range []v1alpha1.YankMode{v1alpha1.YankIndexRemoval, v1alpha1.YankQuarantine, v1alpha1.YankHardDelete} {
		before := y.Status.VerifiedTime
		w.later(time.Minute)
		w.edit(y, func(s *v1alpha1.YankSpec) { s.Mode = mode })
		w.settle(y)
		w.wantConditions(y, "Ready=True/Verified")
		w.wantListed(bad, false)
		w.wantFeed(string(mode), bad)
		if !before.Before(y.Status.VerifiedTime) {
			t.Errorf("%s was not probed again", mode)
		}
		if !slices.Equal(y.Status.Warnings, warnings) {
			t.Errorf("%s: warnings %q, were %q", mode, y.Status.Warnings, warnings)
		}
	}
	w.wantNoCondition(y, v1alpha1.AccessBlockedCondition)
	for _, s := range w.stores() {
		if got := versionsOf(t, s, bad); len(got) > 0 {
			t.Errorf("%s still holds %v", s.Bucket(), got)
		}
	}
}

func TestQuarantinedBytesNeverComeToLightWhileTheyAreDestroyed(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	_, data := wheelOf("2.9.0+spyre", "")
	w.primary.Seed(bad, append(data, 0), fakeSeed()) // Two versions.
	w.sync()
	y := w.yank(v1alpha1.YankQuarantine)
	w.settle(y)
	w.primary.FailAfter(func(op, key string) error {
		if _, readable := w.primary.Contents()[bad]; readable {
			t.Errorf("after %s %s the file can be read again", op, key)
		}
		return nil
	})
	w.edit(y, func(s *v1alpha1.YankSpec) { s.Mode = v1alpha1.YankHardDelete })
	w.settle(y)
	w.wantConditions(y, "Deleted=True/Destroyed", "Ready=True/Verified")
}

func TestASecondPassWritesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		yank func(*world) *v1alpha1.Yank
		want string
	}{
		{"Quarantine", func(w *world) *v1alpha1.Yank { return w.yank(v1alpha1.YankQuarantine) }, "Ready=True/Verified"},
		{"HardDelete", func(w *world) *v1alpha1.Yank { return w.yank(v1alpha1.YankHardDelete) }, "Ready=True/Verified"},
		{"plan", func(w *world) *v1alpha1.Yank { return w.yank(v1alpha1.YankQuarantine, planOnly) }, "Ready=True/Planned"},
		{"nothing matched", func(w *world) *v1alpha1.Yank {
			return w.yank(v1alpha1.YankQuarantine, func(s *v1alpha1.YankSpec) { s.Selector.Versions = "==9.9" })
		}, "Ready=True/NothingMatched"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, mirrored)
			w.published()
			y := c.yank(w)
			w.settle(y)
			w.wantConditions(y, c.want)
			w.sync()
			for _, restarted := range []bool{false, true} {
				if restarted {
					w.restart(false)
				}
				w.later(time.Hour)
				version, events, purges := y.ResourceVersion, len(w.events.all), len(w.cdn.Requests())
				w.resetCalls()
				w.settle(y)
				if y.ResourceVersion != version || len(w.events.all) != events || len(w.cdn.Requests()) != purges {
					t.Errorf("restarted %v: written: %s", restarted, conditions(y))
				}
				w.wantNoWrites()
			}
		})
	}
}
