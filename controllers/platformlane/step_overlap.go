package platformlane

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

// overlapRetry is how soon a lane that shares keys with another one looks again.
// The end of the other one's role wakes it sooner.
const overlapRetry = time.Minute

// overlaps holds the lane's credentials up while another lane of the cluster has
// a role that may write one of the same keys, and sets CredentialsReady then. A
// suspended lane is never held up: a role that is denied everything overlaps
// with nobody.
//
// Two platforms share no key however the manifests read, so this is either the
// lane's predecessor, whose role is not gone yet, or a defect of the operator,
// which it keeps from doing harm.
func (r *Reconciler) overlaps(ctx context.Context, s *scope) (held bool, again time.Duration, err error) {
	if s.lane.Spec.Access == v1alpha1.AccessSuspended {
		return false, 0, nil
	}
	others, err := r.armed(ctx, s.lane)
	if err != nil {
		return false, 0, err
	}
	found, overlap := access.Overlap(s.lane, others, r.Access)
	if !overlap {
		return false, 0, nil
	}
	const kind, reason = v1alpha1.CredentialsReadyCondition, v1alpha1.ReasonOverlapsAnotherLane
	other := found.Other
	if !other.DeletionTimestamp.IsZero() {
		s.conds.Unknown(kind, reason, fmt.Sprintf("the lane %s/%s had the platform %s before and is being deleted; this lane gets its role once that one's is gone",
			other.Namespace, other.Name, other.Spec.Platform))
		return true, overlapRetry, nil
	}
	s.conds.False(kind, reason, fmt.Sprintf("the lanes %s/%s (platform %s) and %s/%s (platform %s) could write the same files: %s and %s have keys in common; nothing is applied until one of them is deleted or changed",
		s.lane.Namespace, s.lane.Name, s.lane.Spec.Platform, other.Namespace, other.Name, other.Spec.Platform, found.Mine, found.Theirs))
	return true, overlapRetry, nil
}

// armed are the other lanes of the cluster that have a role. They are the
// cache's own and must not be changed. About a predecessor that is on its way out
// the API server is asked: its status may be the last thing to be written.
func (r *Reconciler) armed(ctx context.Context, lane *v1alpha1.PlatformLane) ([]*v1alpha1.PlatformLane, error) {
	var list v1alpha1.PlatformLaneList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list the lanes that have a role: %w", err)
	}
	var others []*v1alpha1.PlatformLane
	for i := range list.Items {
		other := &list.Items[i]
		if other.UID == lane.UID || other.Status.Role.Name == "" {
			continue
		}
		if !other.DeletionTimestamp.IsZero() && other.Spec.Platform == lane.Spec.Platform {
			seen, err := r.Roles.Observe(ctx, other, other.Status.Role.Name)
			if err != nil {
				return nil, err
			}
			if seen.State == ackrole.Missing {
				continue
			}
		}
		others = append(others, other)
	}
	return others, nil
}

// disarmed passes lanes whose role is gone: whoever waits for their platform may
// have a role now.
func disarmed(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.PlatformLane)
	after, ok2 := e.ObjectNew.(*v1alpha1.PlatformLane)
	return ok && ok2 && before.Status.Role.Name != "" && after.Status.Role.Name == ""
}
