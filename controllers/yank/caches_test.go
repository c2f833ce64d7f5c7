package yank

import (
	"net/http"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
)

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
