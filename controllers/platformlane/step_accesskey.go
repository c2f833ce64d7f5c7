package platformlane

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
)

// AccessKeys is what it takes to hand out access keys.
type AccessKeys struct {
	// Users keeps the users in IAM; nil where the configuration disables access
	// keys.
	Users accesskey.Users
	// Live reads past every cache: the operator may get Secrets in some namespaces,
	// and list or watch them in none.
	Live client.Reader
	// Region is what the Secret tells a vendor's CI.
	Region string
}

const (
	// keyRecheck is how soon it is looked again whether somebody has mended what
	// only they can mend; nothing tells.
	keyRecheck = time.Minute
	// keyAtOnce asks for the next pass as soon as this one's status is stored.
	keyAtOnce = time.Millisecond
)

// keyReport is how the access key stands; without a reason there is nothing to
// say.
type keyReport struct {
	status          metav1.ConditionStatus
	reason, message string
	// again is when to look again; zero for no reason to.
	again time.Duration
	// err is worth trying again.
	err error
}

// identity sees to the lane's role and then to its access key. Neither waits for
// the other, so that a suspension reaches what it can.
func (r *Reconciler) identity(ctx context.Context, s *scope) (time.Duration, error) {
	again, err := r.credentials(ctx, s)
	key := r.accessKey(ctx, s)
	if kind := v1alpha1.CredentialsReadyCondition; key.reason != "" && s.conds.Is(kind) {
		s.conds.Set(kind, key.status, key.reason, key.message) // A role with trouble speaks first.
	}
	return soonest(again, key.again), errors.Join(err, key.err)
}

// accessKey makes the lane's user and its keys what the spec asks for.
func (r *Reconciler) accessKey(ctx context.Context, s *scope) keyReport {
	publisher := access.KeyPublisher(s.lane.Spec)
	if publisher == nil || len(s.lane.Spec.Channels) == 0 {
		return r.dropAccessKey(ctx, s.lane)
	}
	user, err := access.RenderUser(s.lane, r.Access, r.ClusterID)
	if problems := (access.Problems)(nil); errors.As(err, &problems) {
		switch left := s.lane.Status.AccessKey.UserName != ""; {
		case left && r.AccessKeys.Users == nil:
			return r.keyTrouble(ctx, s.lane, errKeysDisabled)
		case !left && s.lane.Spec.Access == v1alpha1.AccessSuspended:
			return keyReport{} // No key is there that could work.
		}
		return keyReport{status: metav1.ConditionFalse, reason: problems.Reason(), message: problems.Error()}
	}
	if recorded := s.lane.Status.AccessKey.UserName; recorded != "" && recorded != user.Name {
		// It is from before roles.prefix of the configuration was changed.
		if report := r.dropAccessKey(ctx, s.lane); report.reason != "" {
			return report
		}
	}
	if status := &s.lane.Status.AccessKey; status.UserName == "" {
		if s.lane.Status.Role.Name == "" {
			return keyReport{} // A key without a role opens nothing.
		}
		// It is recorded before it is made: whenever the operator stops, it knows
		// what there may be to clear away.
		status.UserName, status.SecretName = user.Name, secretName(s.lane)
		return keyReport{
			status: metav1.ConditionUnknown, reason: v1alpha1.ReasonAccessKeyPending,
			message: "the lane's IAM user " + user.Name + " is about to be made", again: keyAtOnce,
		}
	}
	k := &keyring{
		AccessKeys: r.AccessKeys, writer: r.Client, lane: s.lane, user: user, schedule: accesskey.ScheduleOf(*publisher),
		situation: accesskey.Situation{Suspended: user.Suspended, Now: s.now},
	}
	return r.keep(ctx, s, k)
}

// keep looks at user, keys and Secret, and does what is due.
func (r *Reconciler) keep(ctx context.Context, s *scope, k *keyring) keyReport {
	secretErr := k.read(ctx)
	if due, fresh := r.keyLooks.fresh(s.lane.UID, k.fingerprint(), s.now); fresh && secretErr == nil {
		return keyReport{again: until(due, s.now)}
	}
	var err error
	if k.situation.Keys, err = r.AccessKeys.Users.Ensure(ctx, k.user); err != nil {
		return r.keyTrouble(ctx, s.lane, err)
	}
	if secretErr != nil && k.user.Suspended {
		// A suspension does not wait for a Secret.
		if err := k.deactivate(ctx); err != nil {
			return r.keyTrouble(ctx, s.lane, err)
		}
		return keyReport{again: keyRecheck}
	}
	if secretErr != nil {
		return r.keyTrouble(ctx, s.lane, secretErr)
	}
	plan, err := k.carryOut(ctx)
	k.tell(&s.lane.Status.AccessKey, plan)
	if err != nil {
		return r.keyTrouble(ctx, s.lane, err)
	}
	r.keyLooks.note(s.lane.UID, k.fingerprint(), plan.Next(), s.now)
	return keyReport{again: until(plan.Next(), s.now)}
}

// until is how long it is until a time; zero if it is past or none.
func until(due, now time.Time) time.Duration { return max(due.Sub(now), 0) }

// dropAccessKey takes user, keys and Secret from a lane that is to have none.
func (r *Reconciler) dropAccessKey(ctx context.Context, lane *v1alpha1.PlatformLane) keyReport {
	if lane.Status.AccessKey.UserName == "" {
		return keyReport{}
	}
	if err := r.removeAccessKey(ctx, lane); err != nil {
		return r.keyTrouble(ctx, lane, err)
	}
	return keyReport{}
}

// endAccessKey is dropAccessKey for a lane that is being deleted, whose status may
// have been lost.
func (r *Reconciler) endAccessKey(ctx context.Context, lane *v1alpha1.PlatformLane) keyReport {
	if lane.Status.AccessKey.UserName == "" && access.KeyPublisher(lane.Spec) != nil && r.AccessKeys.Users != nil {
		lane.Status.AccessKey = v1alpha1.AccessKeyStatus{UserName: r.Access.RoleName(lane.Spec.Platform), SecretName: secretName(lane)}
	}
	return r.dropAccessKey(ctx, lane)
}

// errKeysDisabled is said about a user from when access keys were enabled.
var errKeysDisabled = errors.New("access keys are disabled")

// removeAccessKey deletes the user that the status names with its keys, and then
// the Secret. One that it may not touch holds a dead key by then and goes with
// the lane.
func (r *Reconciler) removeAccessKey(ctx context.Context, lane *v1alpha1.PlatformLane) error {
	if r.AccessKeys.Users == nil {
		return errKeysDisabled
	}
	user := access.UserOf(lane, r.Access, r.ClusterID)
	user.Name = lane.Status.AccessKey.UserName
	if err := r.AccessKeys.Users.Delete(ctx, user); err != nil {
		return err
	}
	err := r.deleteSecret(ctx, lane)
	if refused := (*secretError)(nil); errors.As(err, &refused) && refused.forbidden {
		r.Recorder.Eventf(lane, nil, corev1.EventTypeWarning, v1alpha1.ReasonSecretUnwritable, "DeleteSecret",
			"the keys of the IAM user %s are deleted; the Secret %s still holds one, and the operator may not delete it: kubectl delete secret %s -n %s",
			user.Name, secretName(lane), secretName(lane), lane.Namespace)
		err = nil
	}
	if err != nil {
		return err
	}
	lane.Status.AccessKey = v1alpha1.AccessKeyStatus{}
	r.keyLooks.drop(lane.UID)
	return nil
}

// announceKey tells those who use the key about a new one.
func (r *Reconciler) announceKey(before, after *v1alpha1.PlatformLane) {
	was, now := before.Status.AccessKey, after.Status.AccessKey
	if now.KeyID == "" || now.KeyID == was.KeyID {
		return
	}
	message := fmt.Sprintf("the Secret %s holds the access key %s", now.SecretName, now.KeyID)
	if now.PreviousKeyID != "" && now.PreviousExpiresAt != nil {
		message += fmt.Sprintf("; %s works until %s", now.PreviousKeyID, now.PreviousExpiresAt.UTC().Format(time.RFC3339))
	}
	r.Recorder.Eventf(after, nil, corev1.EventTypeNormal, "AccessKeyStored", "Rotate", "%s", message)
}

// keyTrouble says what is wrong and what to do about it.
func (r *Reconciler) keyTrouble(ctx context.Context, lane *v1alpha1.PlatformLane, err error) keyReport {
	report := keyReport{status: metav1.ConditionFalse, reason: v1alpha1.ReasonAccessKeyFailed, again: keyRecheck}
	secret := (*secretError)(nil)
	switch isSecret := errors.As(err, &secret); {
	case isSecret && secret.foreign:
		report.reason, report.message = v1alpha1.ReasonSecretConflict, firstLine(err)+"; delete or rename it, so that the lane's access key can be stored there"
	case isSecret && secret.forbidden:
		report.reason, report.message = v1alpha1.ReasonSecretUnwritable, firstLine(err)+"; let it: "+r.bindingCommand(ctx, lane.Namespace)
	case isSecret && secret.refused:
		report.reason, report.message = v1alpha1.ReasonSecretUnwritable, firstLine(err)+"; correct or delete that Secret"
	case errors.Is(err, errKeysDisabled):
		report.reason = v1alpha1.ReasonAccessKeysDisabled
		report.message = fmt.Sprintf("the IAM user %s is left from when access keys were enabled; set accessKeys.mode to Enabled in the operator's configuration until it is gone", lane.Status.AccessKey.UserName)
	case errors.Is(err, accesskey.ErrForeign), errors.Is(err, accesskey.ErrInUse):
		report.reason, report.message = v1alpha1.ReasonAccessKeyConflict, firstLine(err)
		if errors.Is(err, accesskey.ErrInUse) {
			report.message += "; take the user out of its groups and remove what else was added to it by hand (a console password, MFA devices, certificates)"
		}
	case errors.Is(err, accesskey.ErrDenied):
		report.message = firstLine(err) + "; give the operator's role the policy operator-access-keys, which kubectl lane bootstrap prints"
	case errors.Is(err, accesskey.ErrTooMany), errors.Is(err, accesskey.ErrInvalid):
		report.message = firstLine(err)
	default:
		report.message, report.again, report.err = firstLine(err)+"; it is tried again", 0, err
	}
	return report
}
