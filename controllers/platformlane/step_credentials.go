package platformlane

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

// credentials makes the lane's role what its spec asks for and sets
// CredentialsReady from what the ACK controller reports. It calls no store.
func (r *Reconciler) credentials(ctx context.Context, s *scope) (time.Duration, error) {
	const kind = v1alpha1.CredentialsReadyCondition
	name := r.Access.RoleName(s.lane.Spec.Platform)
	if len(s.lane.Spec.Channels) == 0 {
		return 0, r.noCredentials(ctx, s, name)
	}
	s.observeAccess()
	role, err := access.Render(s.lane, r.Access, timeOf(s.lane.Status.SessionsNotBefore))
	var problems access.Problems
	if err != nil && !errors.As(err, &problems) {
		return 0, err
	}
	if role.Name == "" {
		// What is there stays as it was: a lane that cannot be rendered gains
		// nothing and loses nothing.
		s.conds.False(kind, problems.Reason(), problems.Error())
		return 0, nil
	}
	if held, again, err := r.overlaps(ctx, s); held || err != nil {
		return again, err
	}
	seen, err := r.Roles.Apply(ctx, s.lane, role)
	if err != nil {
		s.conds.False(kind, v1alpha1.ReasonRoleRecoverable, firstLine(err)+"; it is tried again")
		return 0, err
	}
	s.lane.Status.Role.Name = role.Name
	if seen.ARN != "" {
		s.lane.Status.Role.ARN = seen.ARN
	}
	s.reportRole(seen, problems)
	return seen.RecheckAfter, nil
}

// noCredentials keeps an admitted lane without a role.
func (r *Reconciler) noCredentials(ctx context.Context, s *scope, name string) error {
	const kind = v1alpha1.CredentialsReadyCondition
	gone, err := r.Roles.Delete(ctx, s.lane, name)
	switch {
	case err != nil:
		s.conds.False(kind, v1alpha1.ReasonRoleRecoverable, firstLine(err)+"; it is tried again")
		return err
	case !gone:
		s.conds.Unknown(kind, v1alpha1.ReasonRoleDeleting, "the lane has no channels any more; its role is being deleted")
		return nil
	}
	s.lane.Status.Role = v1alpha1.RoleStatus{}
	s.conds.True(kind, v1alpha1.ReasonAdmittedOnly, "the lane has no channels and therefore no credentials")
	return nil
}

// observeAccess notes when access was resumed, or a role may be taken over:
// sessions that were issued before stay dead.
func (s *scope) observeAccess() {
	status := &s.lane.Status
	if status.Access == v1alpha1.AccessSuspended && s.lane.Spec.Access == v1alpha1.AccessActive || s.takesOver() {
		// Whole seconds are all that a policy holds: rounded up, or a session
		// issued earlier in this second would live.
		status.SessionsNotBefore = &metav1.Time{Time: s.now.Truncate(time.Second).Add(time.Second)}
	}
	status.Access = s.lane.Spec.Access
}

// takesOver says whether the lane is about to take over an IAM role that it did
// not make. Nobody knows whom that let in, and a lane that was suspended in a lost
// cluster does not know it any more.
func (s *scope) takesOver() bool {
	status := &s.lane.Status
	if s.lane.Spec.Adopt != v1alpha1.AdoptExisting || status.SessionsNotBefore != nil {
		return false
	}
	found := meta.FindStatusCondition(status.Conditions, v1alpha1.CredentialsReadyCondition)
	return status.Role.ARN == "" || found != nil && found.Reason == v1alpha1.ReasonRoleConflict
}

// reportRole turns what is known of the role into the condition.
func (s *scope) reportRole(seen ackrole.Observation, problems access.Problems) {
	const kind = v1alpha1.CredentialsReadyCondition
	suspended := s.lane.Spec.Access == v1alpha1.AccessSuspended
	switch seen.State {
	case ackrole.Synced:
		switch {
		case suspended:
			s.conds.True(kind, v1alpha1.ReasonSuspended, "IAM denies everything to this lane's role, live sessions included; "+accessStory(s.lane.Status.AccessChange))
		case len(problems) > 0:
			s.conds.False(kind, problems.Reason(), problems.Error())
		default:
			s.conds.True(kind, v1alpha1.ReasonRoleSynced, "publishers may assume "+s.lane.Status.Role.ARN)
		}
	case ackrole.Syncing, ackrole.Deleting, ackrole.Missing:
		s.conds.Unknown(kind, string(seen.State), seen.Message)
	default:
		s.conds.False(kind, string(seen.State), seen.Message)
	}
}

func timeOf(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return &t.Time
}
