package yank

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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

func TestACDNThatRefusesIsAskedAgain(t *testing.T) {
	for _, kind := range []error{cdn.ErrThrottled, cdn.ErrUnavailable, cdn.ErrDenied} {
		t.Run(kind.Error(), func(t *testing.T) {
			w := newWorld(t)
			bad, _ := w.published()
			w.cdn.FailBefore(func(string) error { return kind })
			y := w.yank(v1alpha1.YankQuarantine)
			result, err := w.pass(y)
			if (err == nil) == (result.RequeueAfter == 0) {
				t.Errorf("not tried again: %v, %v", result, err)
			}
			w.wantConditions(y, "AccessBlocked=True/Blocked", "CachesPurged=False/PurgeFailed", "Verified=Unknown/Pending", "Ready=False/PurgeFailed", "Reconciling=True/Progressing")
			w.wantMessage(y, v1alpha1.CachesPurgedCondition, kind.Error())
			w.wantListed(bad, false)
			w.cdn.FailBefore(nil)
			w.settle(y)
			w.wantConditions(y, "CachesPurged=True/Purged", "Ready=True/Verified")
		})
	}
}

func TestAPurgeThatHangsIsReportedAndWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.published()
	w.cdn.SetDelay(20 * time.Minute)
	y := w.yank(v1alpha1.YankQuarantine)
	purges := len(w.cdn.Requests())
	_, err := w.pass(y)
	w.must(err)
	w.wantConditions(y, "CachesPurged=Unknown/Purging", "Verified=Unknown/Pending", "Ready=Unknown/Purging", "Reconciling=True/Progressing")
	w.later(purgePatience)
	_, err = w.pass(y)
	w.must(err)
	w.wantConditions(y, "CachesPurged=False/PurgeFailed", "Ready=False/PurgeFailed")
	w.later(5 * time.Minute)
	w.settle(y)
	w.wantConditions(y, "CachesPurged=True/Purged", "Ready=True/Verified")
	if got := len(w.cdn.Requests()) - purges; got != 1 {
		t.Errorf("%d purges, want 1", got)
	}
}

func TestAnInvalidationTheCDNForgotIsAskedForAgain(t *testing.T) {
	w := newWorld(t)
	w.published()
	w.cdn.SetDelay(time.Minute)
	y := w.yank(v1alpha1.YankIndexRemoval)
	_, err := w.pass(y)
	w.must(err)
	w.cdn.FailBefore(func(op string) error {
		if op == cdn.OpStatus {
			return cdn.ErrNotFound
		}
		return nil
	})
	w.cdn.SetDelay(0)
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
	if got := len(w.record(y).Purges); got != 2 {
		t.Errorf("%d purges on record, want 2", got)
	}
}

func TestWhatIsStillServedIsPurgedAgainUntilItIsGone(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	w.fronts[0].keep(bad)
	rounds := 0
	w.cdn.OnAccept(func(paths []string) {
		if rounds++; rounds == 3 { // An edge that is slow to obey.
			w.fronts[0].drop(paths)
		}
	})
	y := w.yank(v1alpha1.YankQuarantine)
	_, err := w.pass(y)
	w.must(err)
	w.wantConditions(y, "CachesPurged=True/Purged", "Verified=False/StillReachable", "Ready=False/StillReachable")
	w.wantMessage(y, v1alpha1.VerifiedCondition, strings.ReplaceAll(bad, "+", "%2B")+": still served")
	if *y.Status.VerifiedCount != 0 || y.Status.VerifiedTime != nil {
		t.Errorf("verified all the same: %+v", y.Status)
	}
	w.settle(y)
	w.wantConditions(y, "Verified=True/Probed", "Ready=True/Verified")
	if rounds != 3 {
		t.Errorf("%d purges, want 3", rounds)
	}
}

func TestAStalePageIsPurgedAgain(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	html := "whl/spyre/torch/index.html"
	w.fronts[0].keep(html)
	w.cdn.OnAccept(nil)
	y := w.yank(v1alpha1.YankIndexRemoval)
	_, err := w.pass(y)
	w.must(err)
	w.wantConditions(y, "Verified=False/StillReachable")
	w.wantMessage(y, v1alpha1.VerifiedCondition, "/whl/spyre/torch/: still lists "+strings.TrimPrefix(bad, "whl/spyre/"))
	w.cdn.OnAccept(w.fronts[0].drop)
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
}

func TestPurgesOfWhatStaysReachableAreBounded(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	w.fronts[0].keep(bad)
	w.cdn.OnAccept(nil)
	before := len(w.cdn.Requests())
	y := w.yank(v1alpha1.YankQuarantine)
	end := w.now().Add(20 * time.Minute)
	for w.now().Before(end) {
		result, err := w.pass(y)
		w.must(err)
		w.later(result.RequeueAfter)
	}
	if got := len(w.cdn.Requests()) - before; got != quickTries+1 {
		t.Errorf("%d purges within 20 minutes, want %d", got, quickTries+1)
	}
	w.later(slowPurge)
	w.cdn.OnAccept(w.fronts[0].drop)
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
}

func TestAProbeThatProvesNothingKeepsItUnverified(t *testing.T) {
	w := newWorld(t, mirrored)
	w.published()
	w.fronts[1].set(func(f *front) { f.status = http.StatusServiceUnavailable })
	y := w.yank(v1alpha1.YankQuarantine)
	for range 3 {
		_, err := w.pass(y)
		w.must(err)
		w.wantConditions(y, "Verified=False/ProbeFailed", "Ready=False/ProbeFailed")
	}
	w.wantMessage(y, v1alpha1.VerifiedCondition, "503")
	w.fronts[1].set(func(f *front) { f.status = 0 })
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
}

func TestAReadableOldVersionIsReportedWithWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.published()
	w.fronts[0].set(func(f *front) { f.oldVersions = true })
	y := w.yank(v1alpha1.YankQuarantine)
	_, err := w.pass(y)
	w.must(err)
	w.wantConditions(y, "Verified=False/StillReachable", "Ready=False/StillReachable")
	w.wantMessage(y, v1alpha1.VerifiedCondition, "?versionId=")
	w.wantMessage(y, v1alpha1.VerifiedCondition, "s3:GetObjectVersion")
	w.fronts[0].set(func(f *front) { f.oldVersions = false })
	w.settle(y)
	w.wantConditions(y, "Ready=True/Verified")
}

func TestAStoreWithoutAPublicAddressIsNeverVerified(t *testing.T) {
	w := newWorld(t, mirrored)
	w.published()
	w.engine.Targets()[1].BaseURLs = nil
	y := w.yank(v1alpha1.YankQuarantine)
	_, err := w.pass(y)
	w.must(err)
	w.wantConditions(y, "Verified=False/ProbeFailed")
	w.wantMessage(y, v1alpha1.VerifiedCondition, "r2")
}

func TestWithoutACDNThereIsNothingToPurge(t *testing.T) {
	w := newWorld(t, withoutCDN)
	w.published()
	y := w.yank(v1alpha1.YankQuarantine)
	w.settle(y)
	w.wantConditions(y, "CachesPurged=True/NoCDN", "Ready=True/Verified")
	version := y.ResourceVersion
	w.resetCalls()
	w.settle(y)
	w.wantNoWrites()
	if y.ResourceVersion != version {
		t.Error("a second pass writes")
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
