package platformlane

import (
	"context"
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// rolePoll is how often the deletion of a role is looked at, beside its events.
const rolePoll = 2 * time.Second

// finalize takes a deleted lane down: first the role, which waits for nothing,
// then the index entries, then, if asked for, the bytes, and last the claim.
func (r *Reconciler) finalize(ctx context.Context, lane *v1alpha1.PlatformLane) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(lane, v1alpha1.LaneFinalizer) {
		return ctrl.Result{}, nil
	}
	s := newScope(lane, r.Now())
	before := lane.DeepCopy()
	gone, err := r.takeDown(ctx, s)
	if gone && err == nil {
		controllerutil.RemoveFinalizer(lane, v1alpha1.LaneFinalizer)
		err := r.Client.Patch(ctx, lane, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
		r.claims.drop(lane.UID)
		r.results.drop(lane.UID)
		return ctrl.Result{}, lostRace(err)
	}
	s.conds.False(v1alpha1.ReadyCondition, v1alpha1.ReasonDeleting, "the lane is being deleted")
	if err != nil {
		s.conds.False(v1alpha1.ReadyCondition, v1alpha1.ReasonDeleting, "the lane is being deleted: "+firstLine(err)+"; it is tried again")
	}
	if patchErr := reconcilekit.PatchStatus(ctx, r.Client, before, lane); patchErr != nil && err == nil {
		err = lostRace(patchErr)
	}
	return ctrl.Result{RequeueAfter: rolePoll}, err
}

func (r *Reconciler) takeDown(ctx context.Context, s *scope) (gone bool, err error) {
	lane := s.lane
	held := holdsPrefixes(lane)
	gone, err = r.Roles.Delete(ctx, lane, r.Access.RoleName(lane.Spec.Platform))
	switch {
	case err != nil:
		s.conds.False(v1alpha1.CredentialsReadyCondition, v1alpha1.ReasonRoleRecoverable, firstLine(err)+"; it is tried again")
	case gone:
		s.conds.False(v1alpha1.CredentialsReadyCondition, v1alpha1.ReasonDeleting, "the role is gone; no credential of this lane works any more")
	default:
		s.conds.False(v1alpha1.CredentialsReadyCondition, v1alpha1.ReasonRoleDeleting, "the role is being deleted")
	}
	if !held {
		return gone, err
	}
	if indexErr := r.takeDownIndex(ctx, lane); indexErr != nil {
		s.conds.False(v1alpha1.IndexReadyCondition, v1alpha1.ReasonIndexFailed, firstLine(indexErr)+"; it is tried again")
		return false, fmt.Errorf("take the lane off the index: %w", indexErr)
	}
	s.conds.False(v1alpha1.IndexReadyCondition, v1alpha1.ReasonDeleting, "every page of the lane is empty")
	if !gone || err != nil {
		return false, err
	}
	return true, r.release(ctx, lane)
}

// takeDownIndex empties the pages and, if the lane says so, removes the bytes.
func (r *Reconciler) takeDownIndex(ctx context.Context, lane *v1alpha1.PlatformLane) error {
	if err := r.Engine.Retire(ctx, lane.Spec.Platform); err != nil {
		return err
	}
	if lane.Spec.DeletionPolicy != v1alpha1.DeletionDelete {
		return nil
	}
	return r.Engine.DeleteFiles(ctx, lane.Spec.Platform)
}
