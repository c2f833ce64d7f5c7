package platformlane

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
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
