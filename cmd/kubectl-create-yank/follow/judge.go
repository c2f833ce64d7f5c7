package follow

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// Outcome is where a Yank stands.
type Outcome string

// The outcomes. Only Pending can still turn into another by waiting.
const (
	// Pending: the operator is still at work.
	Pending Outcome = "Pending"
	// Verified: carried out, and the public URLs were probed.
	Verified Outcome = "Verified"
	// Planned: execution is PlanOnly and the plan is complete.
	Planned Outcome = "Planned"
	// NothingMatched: no file matches now.
	NothingMatched Outcome = "NothingMatched"
	// Stalled: it cannot go on without somebody's help.
	Stalled Outcome = "Stalled"
	// Deleted: the resource is gone or going.
	Deleted Outcome = "Deleted"
)

// Judge tells where a Yank stands. What the status says about an earlier spec
// counts for nothing.
func Judge(y *v1alpha1.Yank) Outcome {
	conditions := y.Status.Conditions
	switch {
	case y.DeletionTimestamp != nil:
		return Deleted
	case !observed(y):
		return Pending
	case meta.IsStatusConditionTrue(conditions, v1alpha1.StalledCondition), refused(conditions):
		return Stalled
	}
	accepted := meta.FindStatusCondition(conditions, v1alpha1.AcceptedCondition)
	switch {
	case accepted == nil || accepted.Status != metav1.ConditionTrue:
		return Pending
	case accepted.Reason == v1alpha1.ReasonNothingMatched:
		return NothingMatched
	case !meta.IsStatusConditionTrue(conditions, v1alpha1.ReadyCondition):
		return Pending
	case y.Spec.Execution == v1alpha1.ExecutionPlanOnly:
		return Planned
	case meta.IsStatusConditionTrue(conditions, v1alpha1.VerifiedCondition):
		return Verified
	default:
		return Pending
	}
}

// observed tells whether the status speaks of the present spec.
func observed(y *v1alpha1.Yank) bool {
	return y.Status.ObservedGeneration != nil && *y.Status.ObservedGeneration == y.Generation
}

// refused is true when the selector or the lane can never be accepted, Stalled
// or not: neither can be changed in a Yank.
func refused(conditions []metav1.Condition) bool {
	accepted := meta.FindStatusCondition(conditions, v1alpha1.AcceptedCondition)
	return accepted != nil && accepted.Status == metav1.ConditionFalse &&
		(accepted.Reason == v1alpha1.ReasonInvalidSelector || accepted.Reason == v1alpha1.ReasonLaneNotFound)
}

// Obstacle is the condition that tells best why a Yank is not done: Stalled, or
// else the first of the steps that is not True. It is nil when nothing stands
// in the way, or nothing is known.
func Obstacle(y *v1alpha1.Yank) *metav1.Condition {
	stalled := meta.FindStatusCondition(y.Status.Conditions, v1alpha1.StalledCondition)
	if stalled != nil && stalled.Status == metav1.ConditionTrue {
		return stalled
	}
	for _, step := range steps(y.Spec.Mode) {
		c := meta.FindStatusCondition(y.Status.Conditions, step)
		if c != nil && c.Status != metav1.ConditionTrue {
			return c
		}
	}
	return nil
}

// steps are the conditions of a mode in the order in which they come true.
func steps(mode v1alpha1.YankMode) []string {
	all := []string{v1alpha1.AcceptedCondition, v1alpha1.IndexRemovedCondition}
	if block := v1alpha1.BlockConditionFor(mode); block != "" {
		all = append(all, block)
	}
	return append(all, v1alpha1.CachesPurgedCondition, v1alpha1.VerifiedCondition, v1alpha1.ReadyCondition)
}
