package platformlane

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

func adopt(s *v1alpha1.PlatformLaneSpec) { s.Adopt = v1alpha1.AdoptExisting }

// A predecessor that released its platform, but whose role is not gone yet.
func TestASuccessorWaitsForTheRoleOfItsPredecessor(t *testing.T) {
	w := newWorld(t)
	first := w.ready(w.lane())
	second := w.lane(adopt)
	w.roles.lingers = true
	w.delete(first)
	w.mustPass(first)
	if _, err := w.store.Delete(t.Context(), layout.ClaimKey(w.platform)); err != nil {
		t.Fatal(err)
	}
	result := w.mustPass(second)
	w.want(second, "Claimed=True/Claimed", "CredentialsReady=Unknown/OverlapsAnotherLane", "Ready=Unknown/OverlapsAnotherLane", "Reconciling=True/Progressing", "!Stalled")
	w.wantMessage(second, v1alpha1.CredentialsReadyCondition, first.Namespace+"/"+first.Name)
	if w.roles.has(second) || result.RequeueAfter == 0 || result.RequeueAfter > overlapRetry {
		t.Errorf("a role was applied: %v, or it looks again after %s", w.roles.has(second), result.RequeueAfter)
	}

	before := first.DeepCopy()
	w.roles.lingers = false
	w.mustPass(first)
	if !gone(first) && !disarmed(event.UpdateEvent{ObjectOld: before, ObjectNew: first}) {
		t.Errorf("the end of the role wakes nobody: %+v", first.Status.Role)
	}
	if wakes := w.reconciler.rivals(t.Context(), first); !slices.Contains(wakes, request(second)) {
		t.Errorf("it wakes %v", wakes)
	}
	w.mustPass(second)
	w.want(second, "CredentialsReady=True/RoleSynced")
	if !w.roles.has(second) {
		t.Error("no role was applied")
	}
}

// While the index of a deleted lane cannot be emptied, its role is gone all the
// same, and says so to whoever waits.
func TestADeletedLaneTellsThatItsRoleIsGone(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	before := lane.DeepCopy()
	w.store.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	w.delete(lane)
	if _, err := w.pass(lane); err == nil || gone(lane) {
		t.Fatalf("it is gone without its index: %v", err)
	}
	if lane.Status.Role.Name != "" || !disarmed(event.UpdateEvent{ObjectOld: before, ObjectNew: lane}) {
		t.Errorf("role %+v", lane.Status.Role)
	}
	if disarmed(event.UpdateEvent{ObjectOld: before, ObjectNew: before}) || disarmed(event.UpdateEvent{ObjectOld: lane, ObjectNew: lane}) {
		t.Error("any update wakes others")
	}
	w.store.FailBefore(nil)
	w.mustPass(lane)
}

// Nothing but a defect makes two lanes overlap: here, one that never held the
// platform has a role in its status.
func TestLanesThatOverlapGetNoRole(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	other := w.lane()
	before := other.DeepCopy()
	other.Status.Role.Name = "lane-" + w.platform
	other.Status.ObservedGeneration = &other.Generation
	w.must(admin.Status().Patch(t.Context(), other, client.MergeFrom(before)))

	writes := w.roles.writes
	w.edit(lane, func(s *v1alpha1.PlatformLaneSpec) { s.Packages = []string{"torch", "torchaudio"} })
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/OverlapsAnotherLane", "Stalled=True/OverlapsAnotherLane")
	for _, part := range []string{
		lane.Namespace + "/" + lane.Name, other.Namespace + "/" + other.Name,
		"whl/nightly/" + w.platform + "/",
	} {
		w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, part)
	}
	if w.roles.writes != writes {
		t.Error("the role was written")
	}

	w.edit(lane, suspend)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/Suspended")
	if w.roles.writes != writes+1 {
		t.Error("the suspension was held up")
	}

	w.edit(lane, resume)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/OverlapsAnotherLane")

	before = other.DeepCopy()
	other.Status.Role = v1alpha1.RoleStatus{}
	w.must(admin.Status().Patch(t.Context(), other, client.MergeFrom(before)))
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/RoleSynced", "!Stalled")
}

// Not a lane that has no role, itself included.
func TestArmed(t *testing.T) {
	w := newWorld(t)
	lane, other := w.ready(w.lane()), w.lane()
	others, err := w.reconciler.armed(t.Context(), lane)
	w.must(err)
	for _, o := range others {
		if o.UID == lane.UID || o.UID == other.UID {
			t.Errorf("%s/%s counts", o.Namespace, o.Name)
		}
	}
	if others, err = w.reconciler.armed(t.Context(), &v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{UID: "x"}}); err != nil || len(others) == 0 {
		t.Errorf("nobody has a role: %v", err)
	}
}
