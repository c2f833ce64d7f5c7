package platformlane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// rolePoll is how often the deletion of a role is looked at, beside its events.
const rolePoll = 2 * time.Second

// finalize takes a deleted lane down: first the role and the access key, which
// wait for nothing, then the index entries, then, if asked for, the bytes, and last the claim.
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
		r.keyLooks.drop(lane.UID)
		return ctrl.Result{}, reconcilekit.LostRace(err)
	}
	message := "the lane is being deleted"
	if err != nil {
		message += ": " + firstLine(err) + "; it is tried again"
	}
	lane.Status.ObservedGeneration = ptr.To(lane.Generation)
	s.conds.False(v1alpha1.ReadyCondition, v1alpha1.ReasonDeleting, message)
	s.conds.Remove(v1alpha1.StalledCondition)
	s.conds.True(v1alpha1.ReconcilingCondition, v1alpha1.ReasonProgressing, message)
	if patchErr := reconcilekit.PatchStatus(ctx, r.Client, before, lane); patchErr != nil && err == nil {
		err = reconcilekit.LostRace(patchErr)
	}
	return ctrl.Result{RequeueAfter: rolePoll}, err
}

func (r *Reconciler) takeDown(ctx context.Context, s *scope) (gone bool, err error) {
	lane := s.lane
	held := holdsPrefixes(lane)
	gone, err = r.deleteRoles(ctx, lane)
	switch {
	case err != nil:
		s.conds.False(v1alpha1.CredentialsReadyCondition, v1alpha1.ReasonRoleRecoverable, firstLine(err)+"; it is tried again")
	case gone:
		lane.Status.Role = v1alpha1.RoleStatus{}
		s.conds.False(v1alpha1.CredentialsReadyCondition, v1alpha1.ReasonDeleting, "the role is gone; no credential of this lane works any more")
	default:
		message := "the role is being deleted"
		if seen, err := r.Roles.Observe(ctx, lane, r.Access.RoleName(lane.Spec.Platform)); err == nil && seen.State == ackrole.Deleting {
			message = seen.Message
		}
		s.conds.False(v1alpha1.CredentialsReadyCondition, v1alpha1.ReasonRoleDeleting, message)
	}
	if report := r.endAccessKey(ctx, lane); report.reason != "" {
		s.conds.Set(v1alpha1.CredentialsReadyCondition, report.status, report.reason, report.message)
		gone, err = false, errors.Join(err, errors.New(report.message))
	}
	if !held {
		// It may have written the claim and not lived to say so. Nothing waits for
		// that: other lanes of this cluster see that the owner is gone.
		if relErr := r.release(ctx, lane); relErr != nil {
			log.FromContext(ctx).Error(relErr, "release the claim of a lane that was never seen to hold it", "platform", lane.Spec.Platform)
		}
		return gone, err
	}
	if indexErr := r.takeDownIndex(ctx, lane); indexErr != nil {
		s.conds.False(v1alpha1.IndexReadyCondition, v1alpha1.ReasonIndexFailed, firstLine(indexErr)+"; it is tried again")
		return false, errors.Join(err, fmt.Errorf("take the lane off the index: %w", indexErr))
	}
	s.conds.False(v1alpha1.IndexReadyCondition, v1alpha1.ReasonDeleting, "every page of the lane is empty")
	if !gone || err != nil {
		return false, err
	}
	return true, r.release(ctx, lane)
}

// takeDownIndex empties the pages and, if the lane says so, removes the bytes.
// It leaves alone what has become another lane's meanwhile: a lane that has
// released its platform may still have to wait for its own end.
func (r *Reconciler) takeDownIndex(ctx context.Context, lane *v1alpha1.PlatformLane) error {
	_, another, err := r.recorded(ctx, lane)
	if err != nil || another {
		return err
	}
	if err := r.Engine.Retire(ctx, lane.Spec.Platform); err != nil {
		return err
	}
	if lane.Spec.DeletionPolicy != v1alpha1.DeletionDelete {
		return nil
	}
	return r.Engine.DeleteFiles(ctx, lane.Spec.Platform)
}
