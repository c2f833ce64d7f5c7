// Package reconcilekit holds what both reconcilers do in the same way: setting
// conditions, summing them up as kstatus reads them, and one status patch a
// pass. It imports the API types and controller-runtime's client only.
package reconcilekit

import (
	"context"
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// maxMessage bounds a condition's message, in bytes. The API server would take
// eight times as much; an object with a dozen such messages is no help to
// anybody, and slow for everybody who watches it.
const maxMessage = 4096

// Conditions are the conditions of one object at one generation.
type Conditions struct {
	List       *[]metav1.Condition
	Generation int64
}

// Set sets one condition. Nothing changes, its times included, if it says the
// same already.
func (c Conditions) Set(kind string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(c.List, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: Cut(message, maxMessage), ObservedGeneration: c.Generation,
	})
}

// Cut shortens a text to a number of bytes, at least three. What it returns is
// valid UTF-8: the API server would replace anything else, and the next pass
// would take that for a change and write again.
func Cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// True says that the condition holds.
func (c Conditions) True(kind, reason, message string) {
	c.Set(kind, metav1.ConditionTrue, reason, message)
}

// False says that the condition does not hold.
func (c Conditions) False(kind, reason, message string) {
	c.Set(kind, metav1.ConditionFalse, reason, message)
}

// Unknown says that it cannot be told yet.
func (c Conditions) Unknown(kind, reason, message string) {
	c.Set(kind, metav1.ConditionUnknown, reason, message)
}

// Remove drops a condition that does not apply.
func (c Conditions) Remove(kind string) { meta.RemoveStatusCondition(c.List, kind) }

// Is tells whether a condition is True for this generation.
func (c Conditions) Is(kind string) bool {
	got := meta.FindStatusCondition(*c.List, kind)
	return got != nil && got.Status == metav1.ConditionTrue && got.ObservedGeneration == c.Generation
}

// Start makes every owned condition present: what was not looked at yet is
// Unknown, so that nobody reads silence as success.
func (c Conditions) Start(owned ...string) {
	for _, kind := range owned {
		if meta.FindStatusCondition(*c.List, kind) == nil {
			c.Unknown(kind, v1alpha1.ReasonPending, "not looked at yet")
		}
	}
}

// Pending marks the conditions that wait for an earlier one.
func (c Conditions) Pending(after string, kinds ...string) {
	for _, kind := range kinds {
		c.Unknown(kind, v1alpha1.ReasonPending, "waits for "+after)
	}
}

// Summarise sets Ready from the owned conditions, and Stalled or Reconciling
// when it is not True. stalled are the reasons that nobody but a person can
// mend. ready and message describe the good case.
func (c Conditions) Summarise(owned, stalled []string, reason, message string) {
	for _, kind := range owned {
		if c.Is(kind) {
			continue
		}
		c.Start(kind) // A condition that was forgotten must not read as success.
		got := meta.FindStatusCondition(*c.List, kind)
		text := kind + ": " + got.Message
		status := metav1.ConditionFalse
		if got.Status != metav1.ConditionFalse {
			status = metav1.ConditionUnknown
		}
		c.Set(v1alpha1.ReadyCondition, status, got.Reason, text)
		if got.Status == metav1.ConditionFalse && slices.Contains(stalled, got.Reason) {
			c.Remove(v1alpha1.ReconcilingCondition)
			c.True(v1alpha1.StalledCondition, got.Reason, text)
		} else {
			c.Remove(v1alpha1.StalledCondition)
			c.True(v1alpha1.ReconcilingCondition, v1alpha1.ReasonProgressing, text)
		}
		return
	}
	c.Remove(v1alpha1.ReconcilingCondition)
	c.Remove(v1alpha1.StalledCondition)
	c.True(v1alpha1.ReadyCondition, reason, message)
}

// PatchStatus writes the status if it differs from what was read, over exactly
// that version of the object.
func PatchStatus(ctx context.Context, c client.Client, before, after client.Object) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	return c.Status().Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// ErrAgain asks the queue for another try.
var ErrAgain = errors.New("the object was changed meanwhile; trying again")

// LostRace turns a conflict over the object into ErrAgain, and an object that is
// gone into nil: neither is anybody's fault.
func LostRace(err error) error {
	if apierrors.IsConflict(err) {
		return ErrAgain
	}
	return client.IgnoreNotFound(err)
}

// News are the conditions whose status or reason changed in a way that users are
// to be told. Ready is told when it comes true only: what holds it up is a
// condition with news of its own.
func News(before, after []metav1.Condition) (news []metav1.Condition) {
	for _, now := range after {
		if now.Type == v1alpha1.ReconcilingCondition || now.Type == v1alpha1.StalledCondition || now.Status == metav1.ConditionUnknown {
			continue
		}
		if now.Type == v1alpha1.ReadyCondition && now.Status != metav1.ConditionTrue {
			continue
		}
		was := meta.FindStatusCondition(before, now.Type)
		if was == nil || was.Status != now.Status || was.Reason != now.Reason {
			news = append(news, now)
		}
	}
	return news
}
