package platformlane

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/utils/ptr"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// scope is what one pass knows.
type scope struct {
	lane  *v1alpha1.PlatformLane
	conds reconcilekit.Conditions
	now   time.Time
	// storageTrouble is what kept a step from reading the bucket.
	storageTrouble error
}

func newScope(lane *v1alpha1.PlatformLane, now time.Time) *scope {
	s := &scope{lane: lane, now: now.UTC(), conds: reconcilekit.Conditions{List: &lane.Status.Conditions, Generation: lane.Generation}}
	s.conds.Start(append(v1alpha1.PlatformLaneConditions, v1alpha1.ReadyCondition)...)
	return s
}

// summarise sets Ready from the other conditions.
func (s *scope) summarise() {
	s.lane.Status.ObservedGeneration = ptr.To(s.lane.Generation)
	s.lane.Status.PublishesTo = s.channelNames()
	reason, message := v1alpha1.ReasonReady, "publishing to "+s.channelNames()
	switch {
	case len(s.lane.Spec.Channels) == 0:
		reason, message = v1alpha1.ReasonAdmittedOnly, "admitted; add channels and publishers to start publishing"
	case s.lane.Spec.Access == v1alpha1.AccessSuspended:
		reason, message = v1alpha1.ReasonSuspended, "no credential of this lane works, what is published stays; "+accessStory(s.lane.Status.AccessChange)
	}
	s.conds.Summarise(v1alpha1.PlatformLaneConditions, stalled, reason, message)
}

func (s *scope) channelNames() string {
	names := make([]string, len(s.lane.Spec.Channels))
	for i, c := range s.lane.Spec.Channels {
		names[i] = fmt.Sprint(c.Name)
	}
	return strings.Join(names, ", ")
}
