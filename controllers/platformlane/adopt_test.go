package platformlane

import (
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

// Whoever held a session of a role that is taken over holds nothing any more.
func TestSessionsOfARoleThatIsTakenOverEnd(t *testing.T) {
	w := newWorld(t)
	lane := w.lane(adopt)
	w.mustPass(lane)
	since, now := lane.Status.SessionsNotBefore, w.now()
	if since == nil || since.Time.Before(now) || since.Sub(now) > time.Second {
		t.Fatalf("sessionsNotBefore %v at %v", since, now)
	}
	if doc := w.roles.applied[lane.Namespace].InlinePolicy.Document; !strings.Contains(doc, since.UTC().Format(time.RFC3339)) {
		t.Errorf("sessions from before live on: %s", doc)
	}
	w.later(time.Hour)
	w.mustPass(lane)
	if !lane.Status.SessionsNotBefore.Equal(since) {
		t.Error("it moves with every pass")
	}
}

func TestOnlyATakeoverEndsSessions(t *testing.T) {
	w := newWorld(t)
	w.roles.seen = ackrole.Observation{State: ackrole.Conflict, ARN: "arn:aws:iam::123456789012:role/somebodys", Message: "it exists"}
	lane := w.lane()
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/RoleConflict")
	if lane.Status.SessionsNotBefore != nil {
		t.Error("sessions end although nothing is taken over")
	}
	w.edit(lane, adopt) // After the conflict, as its message says.
	w.roles.seen = ackrole.Observation{State: ackrole.Synced, ARN: "arn:aws:iam::123456789012:role/lane"}
	w.mustPass(lane)
	if lane.Status.SessionsNotBefore == nil {
		t.Error("sessions of the role that was taken over live on")
	}

	w = newWorld(t)
	lane = w.ready(w.lane())
	w.edit(lane, adopt) // It has its own role already.
	w.mustPass(lane)
	if lane.Status.SessionsNotBefore != nil || lane.Status.Access != v1alpha1.AccessActive {
		t.Errorf("sessions of the lane's own role end: %+v", lane.Status)
	}
}
