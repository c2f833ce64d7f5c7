package platformlane

import (
	"context"
	"strings"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// maxAccessText bounds each text of status.accessChange, in bytes.
const maxAccessText = 512

// noteAccessChange records who changed spec.access last, and why, as the
// annotations tell. The admission policies keep these honest; where they are not
// installed, anybody may have written them, or nobody.
func (s *scope) noteAccessChange() {
	wanted := v1alpha1.AccessChange{
		Access: s.lane.Spec.Access,
		By:     oneLine(s.lane.Annotations[v1alpha1.AccessChangedByAnnotation]),
		Reason: oneLine(s.lane.Annotations[v1alpha1.AccessReasonAnnotation]),
	}
	known := s.lane.Status.AccessChange
	untouched := known.Access == "" && wanted.Access != v1alpha1.AccessSuspended && wanted.By == "" && wanted.Reason == ""
	wanted.Time = known.Time
	if untouched || wanted == known {
		return
	}
	wanted.Time = &metav1.Time{Time: s.now.Truncate(time.Second)}
	s.lane.Status.AccessChange = wanted
}

// recordSuspension stores that a lane is suspended before anything of it comes
// into force, and returns the lane as it is stored then. Whenever the operator
// stops, or whoever resumes the lane while it is at work, it knows that sessions
// from before are to stay dead.
func (r *Reconciler) recordSuspension(ctx context.Context, before, lane *v1alpha1.PlatformLane) (stored *v1alpha1.PlatformLane, err error) {
	if lane.Spec.Access != v1alpha1.AccessSuspended || lane.Status.Access == v1alpha1.AccessSuspended {
		return before, nil
	}
	lane.Status.Access = v1alpha1.AccessSuspended
	if err := reconcilekit.PatchStatus(ctx, r.Client, before, lane); err != nil {
		return nil, err
	}
	return lane.DeepCopy(), nil
}

// accessStory is a suspension or resumption for people: "suspended by alice at
// 2026-03-01T12:00:00Z: CI is broken".
func accessStory(c v1alpha1.AccessChange) string {
	story := "resumed"
	if c.Access == v1alpha1.AccessSuspended {
		story = "suspended"
	}
	if c.By != "" {
		story += " by " + c.By
	}
	if c.Time != nil {
		story += " at " + c.Time.UTC().Format(time.RFC3339)
	}
	if c.Reason != "" {
		story += ": " + c.Reason
	}
	return story
}

// announceAccess tells who has suspended or resumed the lane.
func (r *Reconciler) announceAccess(before, after *v1alpha1.PlatformLane) {
	now := after.Status.AccessChange
	if equality.Semantic.DeepEqual(now, before.Status.AccessChange) {
		return
	}
	kind, reason := corev1.EventTypeNormal, "AccessResumed"
	if now.Access == v1alpha1.AccessSuspended {
		kind, reason = corev1.EventTypeWarning, "AccessSuspended"
	}
	r.Recorder.Eventf(after, nil, kind, reason, "ChangeAccess", "%s", reconcilekit.Cut(accessStory(now), 1000))
}

// accessReasonChanged passes a lane whose reason for its access was corrected:
// that changes no generation.
var accessReasonChanged = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, after := e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()
		return before[v1alpha1.AccessReasonAnnotation] != after[v1alpha1.AccessReasonAnnotation] ||
			before[v1alpha1.AccessChangedByAnnotation] != after[v1alpha1.AccessChangedByAnnotation]
	},
}

// oneLine makes what somebody typed fit to stand in a status and an Event.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
	return reconcilekit.Cut(strings.Join(strings.Fields(text), " "), maxAccessText)
}
