package platformlane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
)

// keyUndo bounds the deletion of a key that could not be stored.
const keyUndo = 15 * time.Second

// keyring is one lane's keys in one pass.
type keyring struct {
	AccessKeys
	writer    client.Writer
	lane      *v1alpha1.PlatformLane
	user      access.User
	schedule  accesskey.Schedule
	situation accesskey.Situation
	// secret is as it was last read or written; nil if there is none.
	secret *corev1.Secret
}

// carryOut does what the plan says and returns what is planned after that.
func (k *keyring) carryOut(ctx context.Context) (accesskey.Plan, error) {
	for _, step := range accesskey.Decide(k.situation, k.schedule).Steps {
		if err := k.do(ctx, step); err != nil {
			return accesskey.Decide(k.situation, k.schedule), err
		}
	}
	plan := accesskey.Decide(k.situation, k.schedule)
	return plan, k.mend(ctx, plan.Current)
}

func (k *keyring) do(ctx context.Context, step accesskey.Step) error {
	if step.Do == accesskey.Create {
		return k.create(ctx)
	}
	if step.Do == accesskey.Delete {
		if err := k.Users.DeleteKey(ctx, k.user.Name, step.KeyID); err != nil {
			return err
		}
		k.situation.Keys = slices.DeleteFunc(k.situation.Keys, func(key accesskey.Key) bool { return key.ID == step.KeyID })
		return nil
	}
	active := step.Do == accesskey.Activate
	err := k.Users.SetActive(ctx, k.user.Name, step.KeyID, active)
	if errors.Is(err, accesskey.ErrNotFound) && !active {
		return nil // What is gone does not work either.
	}
	for i := range k.situation.Keys {
		if k.situation.Keys[i].ID == step.KeyID && err == nil {
			k.situation.Keys[i].Active = active
		}
	}
	return err
}

// deactivate makes every key not work.
func (k *keyring) deactivate(ctx context.Context) error {
	for _, key := range k.situation.Keys {
		if key.Active {
			if err := k.do(ctx, accesskey.Step{Do: accesskey.Deactivate, KeyID: key.ID}); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes a key and stores it. Whether it can be stored is tried first: IAM
// tells the secret once, so a key that is not stored is lost.
func (k *keyring) create(ctx context.Context) error {
	trial := accesskey.Handout{KeyID: "AKIATRIAL00000000000", SecretKey: "trial", Region: k.Region, RoleARN: k.user.RoleARN}
	if err := k.write(ctx, trial, k.situation.Now, client.DryRunAll); err != nil {
		return err
	}
	made, err := k.Users.CreateKey(ctx, k.user.Name)
	if err != nil {
		return err
	}
	stored := accesskey.Handout{KeyID: made.ID, SecretKey: made.Secret, Region: k.Region, RoleARN: k.user.RoleARN}
	if err := k.write(ctx, stored, made.Created); err != nil {
		return errors.Join(err, k.undo(ctx, made.Key))
	}
	k.situation.Keys = append(k.situation.Keys, made.Key)
	return nil
}

// undo deletes a key that nobody can know. An answer that was lost may hide that
// it was stored all the same; what cannot be told now, the next pass will see.
func (k *keyring) undo(ctx context.Context, made accesskey.Key) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyUndo)
	defer cancel()
	if err := k.read(ctx); err != nil || k.situation.Stored.ID == made.ID {
		k.situation.Keys = append(k.situation.Keys, made)
		return nil // The write's own error is what is told.
	}
	return k.Users.DeleteKey(ctx, k.user.Name, made.ID)
}

// tell records in the status how the keys stand.
func (k *keyring) tell(status *v1alpha1.AccessKeyStatus, plan accesskey.Plan) {
	*status = v1alpha1.AccessKeyStatus{
		UserName: k.user.Name, SecretName: secretName(k.lane),
		KeyID: plan.Current.ID, CreatedAt: timeIn(plan.Current.Created), RotatesAt: timeIn(plan.RotatesAt),
		PreviousKeyID: plan.Previous.ID, PreviousExpiresAt: timeIn(plan.PreviousExpires),
	}
}

// timeIn is the time as the API server keeps it; nil for none.
func timeIn(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.Truncate(time.Second)}
}

// fingerprint changes with everything that a look at IAM is about. It holds no
// secret.
func (k *keyring) fingerprint() string {
	version := ""
	if k.secret != nil {
		version = string(k.secret.UID) + "/" + k.secret.ResourceVersion
	}
	return fmt.Sprintf("%+v %+v %s %s", k.user, k.schedule, k.Region, version)
}

// keyTrust is how long IAM is believed without another look. Lanes are woken by
// every change of their index, and IAM answers a few calls a second for the whole
// account.
const keyTrust = 5 * time.Minute

// keyLooks remembers for a while what was in order. It is lost with the process:
// the next one looks.
type keyLooks struct {
	mu    sync.Mutex
	byUID map[types.UID]keyLook
}

type keyLook struct {
	fingerprint string
	at, due     time.Time
}

func newKeyLooks() *keyLooks { return &keyLooks{byUID: map[types.UID]keyLook{}} }

// fresh says whether what was seen lately still holds, and when something is due.
func (l *keyLooks) fresh(uid types.UID, fingerprint string, now time.Time) (due time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	look, known := l.byUID[uid]
	ok = known && look.fingerprint == fingerprint && now.Sub(look.at).Abs() < keyTrust && (!look.due.After(look.at) || now.Before(look.due))
	return look.due, ok
}

func (l *keyLooks) note(uid types.UID, fingerprint string, due, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byUID[uid] = keyLook{fingerprint, now, due}
}

func (l *keyLooks) drop(uid types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byUID, uid)
}
