package platformlane

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// says is what a request that changes access leaves in the lane's annotations.
func (w *world) changeAccess(lane *v1alpha1.PlatformLane, access v1alpha1.Access, by, reason string) {
	w.t.Helper()
	w.read(lane)
	lane.Spec.Access = access
	lane.Annotations = map[string]string{}
	for key, value := range map[string]string{v1alpha1.AccessChangedByAnnotation: by, v1alpha1.AccessReasonAnnotation: reason} {
		if value != "" {
			lane.Annotations[key] = value
		}
	}
	w.must(admin.Update(w.t.Context(), lane))
}

// TestStatusTellsWhoChangedAccessAndWhy, once, and again for each later change.
func TestStatusTellsWhoChangedAccessAndWhy(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	if got := lane.Status.AccessChange; got != (v1alpha1.AccessChange{}) {
		t.Errorf("nobody changed access, and status says %+v", got)
	}
	for _, step := range []struct {
		access     v1alpha1.Access
		by, reason string
		event      string
		ready      string
	}{
		{
			v1alpha1.AccessSuspended, "alice@example.com", "CI is broken", "Warning AccessSuspended suspended by alice@example.com at 2026-03-01T12:01:00Z: CI is broken",
			"no credential of this lane works, what is published stays; suspended by alice@example.com at 2026-03-01T12:01:00Z: CI is broken",
		},
		{
			v1alpha1.AccessSuspended, "bob@example.com", "token leaked", "Warning AccessSuspended suspended by bob@example.com at 2026-03-01T12:02:00Z: token leaked",
			"no credential of this lane works, what is published stays; suspended by bob@example.com at 2026-03-01T12:02:00Z: token leaked",
		},
		{v1alpha1.AccessActive, "carol@example.com", "", "Normal AccessResumed resumed by carol@example.com at 2026-03-01T12:03:00Z", "publishing to nightly, release"},
		{v1alpha1.AccessSuspended, "", "", "Warning AccessSuspended suspended at 2026-03-01T12:04:00Z", "no credential of this lane works, what is published stays; suspended at 2026-03-01T12:04:00Z"},
	} {
		w.later(time.Minute)
		before := w.now().Truncate(time.Second)
		w.changeAccess(lane, step.access, step.by, step.reason)
		w.mustPass(lane)
		_, err := w.sync(lane)
		w.must(err)
		w.mustPass(lane)
		got := lane.Status.AccessChange
		if got.Access != step.access || got.By != step.by || got.Reason != step.reason || got.Time == nil || !got.Time.Time.Equal(before) {
			t.Errorf("status.accessChange is %+v after %+v", got, step)
		}
		if !w.events.has(step.event) {
			t.Errorf("no Event says %q; there are %q", step.event, w.events.all)
		}
		w.wantMessage(lane, v1alpha1.ReadyCondition, step.ready)
		if step.access == v1alpha1.AccessSuspended {
			w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, "live sessions included; "+accessStory(got))
		}

		w.later(time.Minute)
		version, told := lane.ResourceVersion, len(w.events.all)
		w.mustPass(lane)
		if lane.ResourceVersion != version || len(w.events.all) != told {
			t.Errorf("a second pass wrote something: %+v, %q", lane.Status.AccessChange, w.events.all[told:])
		}
		w.later(-time.Minute)
	}
}

// TestAccessChangeIsBounded: without the policies anything may stand there.
func TestAccessChangeIsBounded(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	w.changeAccess(lane, v1alpha1.AccessSuspended, "a\x00\n\u202eb", strings.Repeat("é\n", 600))
	w.mustPass(lane)
	got := lane.Status.AccessChange
	if got.By != "a b" || len(got.Reason) > maxAccessText || strings.ContainsAny(got.Reason, "\n") || !strings.HasSuffix(got.Reason, "…") {
		t.Errorf("status.accessChange is %+v", got)
	}
	w.want(lane, "CredentialsReady=True/Suspended")
}

// TestSuspendedWithoutARole: a lane that has no role still says who and why.
func TestSuspendedWithoutARole(t *testing.T) {
	w := newWorld(t)
	lane := w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.Channels, s.Publishers = nil, nil })
	w.mustPass(lane)
	w.changeAccess(lane, v1alpha1.AccessSuspended, "alice@example.com", "not yet")
	w.mustPass(lane)
	if got := lane.Status.AccessChange; got.By != "alice@example.com" || got.Reason != "not yet" {
		t.Errorf("status.accessChange is %+v", got)
	}
}

func TestAccessReasonChanged(t *testing.T) {
	lane := func(annotations map[string]string) *v1alpha1.PlatformLane {
		return &v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
	}
	for _, test := range []struct {
		why           string
		before, after map[string]string
		want          bool
	}{
		{"nothing", nil, nil, false},
		{"another annotation", nil, map[string]string{"team": "x"}, false},
		{"the reason", map[string]string{v1alpha1.AccessReasonAnnotation: "a"}, map[string]string{v1alpha1.AccessReasonAnnotation: "b"}, true},
		{"who", map[string]string{v1alpha1.AccessChangedByAnnotation: "a"}, map[string]string{v1alpha1.AccessChangedByAnnotation: "b"}, true},
	} {
		if got := accessReasonChanged.Update(event.UpdateEvent{ObjectOld: lane(test.before), ObjectNew: lane(test.after)}); got != test.want {
			t.Errorf("%s: %t, want %t", test.why, got, test.want)
		}
	}
}

// TestAResumptionThatOvertakesTheSuspension: whoever resumes a lane while the
// operator is at work on its suspension, or while it is down, finds sessions from
// before dead all the same.
func TestAResumptionThatOvertakesTheSuspension(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	w.edit(lane, suspend)
	w.roles.onApply = func() { // The role is suspended; what the pass knows is never stored.
		other := lane.DeepCopy()
		w.must(admin.Get(t.Context(), client.ObjectKeyFromObject(lane), other))
		w.edit(other, resume)
	}
	if _, err := w.pass(lane); !errors.Is(err, reconcilekit.ErrAgain) {
		t.Fatalf("the lost race ends in %v", err)
	}
	w.roles.onApply = nil
	if doc := w.roles.applied[lane.Namespace].InlinePolicy.Document; strings.Contains(doc, `"Allow"`) {
		t.Fatalf("the role was not suspended: %s", doc)
	}
	w.restart()
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/RoleSynced")
	since := lane.Status.SessionsNotBefore
	if since == nil {
		t.Fatal("sessions from before live on")
	}
	if doc := w.roles.applied[lane.Namespace].InlinePolicy.Document; !strings.Contains(doc, since.UTC().Format(time.RFC3339)) {
		t.Errorf("sessions from before live on: %s", doc)
	}
}

// TestWhatCannotBeRenderedSaysWhatStays: a lane whose spec is refused keeps the role
// that it had, and says so: its publishers of before are not out.
func TestWhatCannotBeRenderedSaysWhatStays(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	w.reconciler.Access.InlinePolicyQuota = 100
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/DocumentTooLarge")
	w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, "lane-"+w.platform+" stays as it was last applied")
	if !w.roles.has(lane) {
		t.Error("the role is gone")
	}
}

// TestSuspensionWithoutAStatus: a lane whose status was lost is suspended while the
// store is down too. One that has no role gets none by it.
func TestSuspensionWithoutAStatus(t *testing.T) {
	for _, has := range []bool{true, false} {
		w := newWorld(t)
		lane := w.lane()
		if has {
			w.ready(lane)
			lane.Status = v1alpha1.PlatformLaneStatus{}
			w.must(admin.Status().Update(t.Context(), lane))
		}
		w.store.FailBefore(fake.From(1, objectstore.ErrUnavailable))
		w.restart()
		w.edit(lane, suspend)
		w.mustPass(lane)
		if w.roles.has(lane) != has {
			t.Fatalf("has a role: %t, want %t", !has, has)
		}
		if !has {
			w.want(lane, "CredentialsReady=Unknown/Pending")
			continue
		}
		w.want(lane, "CredentialsReady=True/Suspended")
		if doc := w.roles.applied[lane.Namespace].InlinePolicy.Document; strings.Contains(doc, `"Allow"`) {
			t.Errorf("the role still allows something: %s", doc)
		}
	}
}
