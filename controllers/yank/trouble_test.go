package yank

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

func TestNothingMatchedIsReadyAndTakesBackWhatComesLater(t *testing.T) {
	w := newWorld(t)
	w.lane(true)
	w.upload("2.9.1+spyre")
	w.sync()
	y := w.yank(v1alpha1.YankQuarantine)
	w.settle(y)
	w.wantConditions(y, "Accepted=True/NothingMatched", "Ready=True/NothingMatched")
	w.wantMessage(y, v1alpha1.AcceptedCondition, "check package, versions and channels")

	bad := w.upload("2.9.0+spyre")
	w.watch(bad)
	report := w.sync()
	w.wantListed(bad, false)
	if !report.Wrote {
		t.Error("the sync does not tell that files changed")
	}
	w.settle(y)
	w.wantConditions(y, "Accepted=True/Resolved", "AccessBlocked=True/Blocked", "Ready=True/Verified")
	if *y.Status.ArtifactsCount != 1 || slices.Contains(y.Status.Warnings, "No file matches now; once the Yank is executed it takes back whatever matches later.") {
		t.Errorf("count %d, warnings %q", *y.Status.ArtifactsCount, y.Status.Warnings)
	}
}

func TestASelectorThatCannotBeReadIsStalled(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	w.resetCalls()
	y := w.yank(v1alpha1.YankQuarantine, func(s *v1alpha1.YankSpec) { s.Selector.Versions = "~=1" })
	w.settle(y)
	w.wantConditions(y, "Accepted=False/InvalidSelector", "Ready=False/InvalidSelector", "Stalled=True/InvalidSelector", "Verified=Unknown/Pending")
	w.wantNoCondition(y, v1alpha1.ReconcilingCondition)
	w.wantMessage(y, v1alpha1.AcceptedCondition, "selector.versions")
	w.wantNoWrites()
	w.wantListed(bad, true)
	if rules, err := RulesOf(t.Context(), admin, w.laneRef(), w.now()); err != nil || len(rules) > 0 {
		t.Errorf("it is a rule all the same: %v %v", rules, err)
	}
}

func TestAMissingLaneIsAwaited(t *testing.T) {
	w := newWorld(t)
	y := w.yank(v1alpha1.YankQuarantine)
	w.settle(y)
	w.wantConditions(y, "Accepted=False/LaneNotFound", "Ready=False/LaneNotFound", "Reconciling=True/Progressing")
	w.wantMessage(y, v1alpha1.AcceptedCondition, "there is no PlatformLane spyre in namespace "+w.namespace)
	lane := w.lane(true)
	if got := w.reconcile.yanksOf(t.Context(), lane); len(got) != 1 || got[0].Name != y.Name {
		t.Errorf("the lane's appearance wakes %v", got)
	}
	bad := w.upload("2.9.0+spyre")
	w.sync()
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
	w.wantListed(bad, false)
}

func TestALaneThatDoesNotHoldItsPrefixesIsRefused(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	// The platform is somebody else's now; this namespace must not reach it.
	lane := w.laneRef()
	w.must(admin.Get(t.Context(), keyOf(lane), lane))
	w.claim(lane, false)
	w.resetCalls()
	for _, mode := range []v1alpha1.YankMode{v1alpha1.YankFlag, v1alpha1.YankHardDelete} {
		y := w.yank(mode, func(s *v1alpha1.YankSpec) {
			if mode == v1alpha1.YankFlag {
				s.OnDelete = v1alpha1.OnDeleteRestore
			}
		})
		w.settle(y)
		w.wantConditions(y, "Accepted=False/LaneNotClaimed", "Ready=False/LaneNotClaimed")
		w.delete(y)
		w.settle(y)
		if !w.gone(y) {
			t.Errorf("%s cannot be deleted", mode)
		}
	}
	w.wantListed(bad, true)
	if calls := w.primary.Calls(); len(calls) > 0 {
		t.Errorf("the bucket was asked: %v", calls)
	}
}

func TestObjectLockBlocksAccessAndStalls(t *testing.T) {
	w := newWorld(t, mirrored)
	bad, good := w.published()
	info, err := w.primary.Head(t.Context(), bad)
	w.must(err)
	w.primary.SetLocked(bad, info.VersionID, true)
	y := w.yank(v1alpha1.YankHardDelete)
	w.settle(y)
	w.wantConditions(y, "IndexRemoved=True/Unlisted", "Deleted=False/ObjectLocked", "Ready=False/ObjectLocked", "Stalled=True/ObjectLocked", "CachesPurged=True/Purged", "Verified=True/Probed")
	w.wantMessage(y, v1alpha1.DeletedCondition, bad)
	if got := versionsOf(t, w.primary, bad); !slices.Equal(got, []string{"marker", "bytes"}) {
		t.Errorf("the locked file: %v, want it out of reach", got)
	}
	if got := versionsOf(t, w.mirror, bad); len(got) > 0 {
		t.Errorf("the mirror, which has no lock, still holds %v", got)
	}
	if *y.Status.VerifiedCount != 0 || y.Status.Artifacts[0].State == v1alpha1.ArtifactVerified || y.Status.AccessBlockedTime != nil {
		t.Errorf("a locked file counts as done: %+v", y.Status)
	}
	w.wantListed(good, true)
	w.resetCalls()
	version := y.ResourceVersion
	result, err := w.pass(y)
	w.must(err)
	if result.RequeueAfter < time.Hour || y.ResourceVersion != version || w.primary.Calls()[objectstore.OpPut] > 0 {
		t.Errorf("a lock is a loop: %v, %v", result, w.primary.Calls())
	}

	w.primary.SetLocked(bad, info.VersionID, false)
	w.settle(y)
	w.wantConditions(y, "Deleted=True/Destroyed", "Ready=True/Verified")
	w.wantNoCondition(y, v1alpha1.StalledCondition)
	if got := versionsOf(t, w.primary, bad); len(got) > 0 || *y.Status.VerifiedCount != 1 {
		t.Errorf("left: %v", got)
	}
}

func TestAFailingMirrorIsNamedAndThePrimaryGoesFirst(t *testing.T) {
	w := newWorld(t, mirrored)
	bad, _ := w.published()
	broken := errors.New("r2 is down")
	w.mirror.FailBefore(func(op, key string) error {
		if key == bad && op != objectstore.OpHead {
			return broken
		}
		return nil
	})
	for _, mode := range []v1alpha1.YankMode{v1alpha1.YankQuarantine, v1alpha1.YankHardDelete} {
		y := w.yank(mode)
		if _, err := w.pass(y); err == nil {
			t.Fatal("no error, and so no retry")
		}
		kind := v1alpha1.BlockConditionFor(mode)
		w.wantConditions(y, kind+"=False/BytesFailed", "Ready=False/BytesFailed", "CachesPurged=Unknown/Pending")
		w.wantMessage(y, kind, "r2: ")
		if _, readable := w.primary.Contents()[bad]; readable {
			t.Error("the primary waits for the mirror")
		}
	}
	w.mirror.FailBefore(nil)
	w.primary.FailBefore(func(op, _ string) error {
		if op == objectstore.OpVersioning {
			return objectstore.ErrDenied
		}
		return nil
	})
	y := w.yank(v1alpha1.YankHardDelete)
	if _, err := w.pass(y); err == nil {
		t.Fatal("no error")
	}
	if _, readable := w.mirror.Contents()[bad]; !readable {
		t.Error("the mirror went first: it would refill from the primary")
	}
}

func TestAMirrorInTroubleDoesNotKeepThePrimaryServing(t *testing.T) {
	for _, mode := range []v1alpha1.YankMode{v1alpha1.YankQuarantine, v1alpha1.YankHardDelete} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, mirrored)
			bad, _ := w.published()
			w.mirror.FailBefore(fake.From(1, objectstore.ErrDenied))
			y := w.yank(mode)
			for range 2 { // The second pass finds what the first one did.
				if _, err := w.pass(y); err == nil {
					t.Fatal("no error, and so no retry")
				}
				w.wantConditions(y, "IndexRemoved=False/PublishFailed", "Ready=False/PublishFailed")
				w.wantMessage(y, v1alpha1.IndexRemovedCondition, "r2")
				if _, readable := w.primary.Contents()[bad]; readable {
					t.Error("the primary goes on serving")
				}
				if len(w.cdn.Paths()) == 0 {
					t.Error("the CDN goes on serving its copy")
				}
			}
			w.mirror.FailBefore(nil)
			w.settle(y)
			w.wantConditions(y, "Ready=True/Verified")
		})
	}
}

func TestAnUnreadableCatalogIsReported(t *testing.T) {
	w := newWorld(t)
	w.published()
	y := w.yank(v1alpha1.YankQuarantine)
	w.settle(y)
	w.primary.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	if _, err := w.pass(y); err == nil {
		t.Fatal("no error")
	}
	w.wantConditions(y, "Accepted=False/CatalogUnavailable", "Ready=False/CatalogUnavailable", "Verified=Unknown/Pending")
	w.wantMessage(y, v1alpha1.AcceptedCondition, "bucket lanes")
	w.primary.FailBefore(nil)
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
}

func TestAReuploadOfAQuarantinedFileIsTakenBackAgain(t *testing.T) {
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprintf("same bytes %v", same), func(t *testing.T) {
			w := newWorld(t)
			bad, _ := w.published()
			y := w.yank(v1alpha1.YankQuarantine)
			w.settle(y)
			verified := y.Status.VerifiedTime
			w.watch(bad)
			_, data := wheelOf("2.9.0+spyre", "")
			if !same {
				var err error
				data, err = wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.12"}.Bytes()
				w.must(err)
			}
			w.later(time.Minute)
			w.primary.Seed(bad, data, fakeSeed())
			if report := w.sync(); !report.Resurfaced {
				t.Error("the sync does not tell that the file is back")
			}
			w.wantListed(bad, false)
			w.cdn.FailBefore(func(string) error { return cdn.ErrUnavailable })
			if _, err := w.pass(y); err == nil {
				t.Fatal("no error")
			}
			w.wantConditions(y, "Ready=False/PurgeFailed", "Verified=Unknown/Pending")
			w.cdn.FailBefore(nil)
			w.settle(y)
			w.wantConditions(y, "Ready=True/Verified", "AccessBlocked=True/Blocked")
			if _, readable := w.primary.Contents()[bad]; readable || !verified.Before(y.Status.VerifiedTime) {
				t.Errorf("readable %v, verified %v", readable, y.Status.VerifiedTime)
			}
			if got := w.record(y).find(bad).Stores[0].Versions; len(got) < 2 {
				t.Errorf("the record forgot a version: %+v", got)
			}
		})
	}
}

// What was true before says nothing about a file that came back: no step may
// fail in a way that leaves Ready standing.
func TestReadyNeverRestsOnAnEarlierProbe(t *testing.T) {
	for n := 1; ; n++ {
		w := newWorld(t)
		bad, _ := w.published()
		y := w.yank(v1alpha1.YankQuarantine)
		w.settle(y)
		_, data := wheelOf("2.9.0+spyre", "")
		w.primary.Seed(bad, data, fakeSeed())
		w.sync()
		hit := false
		w.primary.FailBefore(func(op, _ string) error {
			if op == objectstore.OpPut || op == objectstore.OpDelete || op == objectstore.OpTagVersion || op == objectstore.OpListVersions || op == objectstore.OpVersioning {
				if n--; n == 0 {
					hit = true
					return objectstore.ErrUnavailable
				}
			}
			return nil
		})
		left := n
		_, err := w.pass(y)
		if !hit {
			if left < 4 {
				t.Fatalf("only %d calls were tried", left)
			}
			return
		}
		if err == nil {
			t.Fatalf("call %d failed without an error", left)
		}
		if c := condition(y, v1alpha1.ReadyCondition); c.Status == "True" {
			t.Fatalf("call %d failed and Ready stands: %s", left, conditions(y))
		}
		w.primary.FailBefore(nil)
		w.settle(y)
		w.wantConditions(y, "Ready=True/Verified")
		n = left
	}
}

func TestEventsComeAfterTheStatusIsStored(t *testing.T) {
	w := newWorld(t)
	w.published()
	y := w.yank(v1alpha1.YankQuarantine)
	w.events.hook = func() {
		stored := &v1alpha1.Yank{}
		if err := admin.Get(t.Context(), keyOf(y), stored); err != nil || condition(stored, v1alpha1.AcceptedCondition) == nil {
			t.Errorf("an Event before the status: %v, %v", stored.Status, err)
		}
	}
	w.settle(y)
	if !w.events.has("Normal Resolved") || !w.events.has("Normal Blocked") || !w.events.has("Normal Verified") {
		t.Errorf("events %q", w.events.all)
	}
}
