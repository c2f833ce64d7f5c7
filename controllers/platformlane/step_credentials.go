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
	if len(s.lane.Spec.Channels) == 0 {
		return 0, r.noCredentials(ctx, s)
	}
	if gone, err := r.endFormerRole(ctx, s); !gone || err != nil {
		return 0, err
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
		s.conds.False(kind, problems.Reason(), problems.Error()+s.stays())
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
func (r *Reconciler) noCredentials(ctx context.Context, s *scope) error {
	const kind = v1alpha1.CredentialsReadyCondition
	gone, err := r.deleteRoles(ctx, s.lane)
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

// deleteRoles asks for the deletion of the lane's role and says whether it is
// gone: the one of its name, which a status that was lost does not tell of, and
// the one that the status tells of, which had its name from another roles.prefix.
func (r *Reconciler) deleteRoles(ctx context.Context, lane *v1alpha1.PlatformLane) (gone bool, err error) {
	name := r.Access.RoleName(lane.Spec.Platform)
	gone, err = r.Roles.Delete(ctx, lane, name)
	if former := lane.Status.Role.Name; former != "" && former != name {
		formerGone, formerErr := r.Roles.Delete(ctx, lane, former)
		gone, err = gone && formerGone, errors.Join(err, formerErr)
	}
	return gone, err
}

// endFormerRole takes away a role that the lane has from before roles.prefix of
// the configuration was changed, and sets CredentialsReady while it lasts: no
// suspension would reach it.
func (r *Reconciler) endFormerRole(ctx context.Context, s *scope) (gone bool, err error) {
	former := s.lane.Status.Role.Name
	if former == "" || former == r.Access.RoleName(s.lane.Spec.Platform) {
		return true, nil
	}
	const kind = v1alpha1.CredentialsReadyCondition
	switch gone, err = r.Roles.Delete(ctx, s.lane, former); {
	case err != nil:
		s.conds.False(kind, v1alpha1.ReasonRoleRecoverable, firstLine(err)+"; it is tried again")
	case !gone:
		s.conds.Unknown(kind, v1alpha1.ReasonRoleDeleting,
			"roles.prefix of the operator's configuration was changed; the role "+former+" is being deleted, and the lane gets another one then")
	default:
		s.lane.Status.Role = v1alpha1.RoleStatus{}
	}
	return gone, err
}

// stays says, of a lane that cannot be rendered, what its role still does.
func (s *scope) stays() string {
	role := s.lane.Status.Role
	switch {
	case role.Name == "":
		return ""
	case s.lane.Spec.Access == v1alpha1.AccessSuspended:
		return "; until then the role " + role.Name + " stays as it was last applied, and the suspension is not in force if it was not before"
	}
	return "; until then the role " + role.Name + " stays as it was last applied, with the publishers and permissions that it had; set spec.access to Suspended to close it at once"
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
