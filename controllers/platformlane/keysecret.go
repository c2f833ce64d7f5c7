package platformlane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
)

// keyCreatedAnnotation says when the key in a Secret was made.
const keyCreatedAnnotation = "distribution.pytorch.org/access-key-created"

const managedByLabel = "app.kubernetes.io/managed-by"

// keysRole is the ClusterRole of config/rbac/access_key_secrets_role.yaml.
const keysRole = "platform-lane-operator-access-keys"

// secretName is the name of the Secret that holds a lane's access key.
func secretName(lane *v1alpha1.PlatformLane) string { return lane.Name + accesskey.SecretSuffix }

// secretError is an answer about the Secret. One that is neither foreign nor
// refused is worth trying again.
type secretError struct {
	verb, key string
	// foreign: it is not the lane's; holder says whose.
	foreign bool
	holder  string
	// ending: somebody keeps it from going that was deleted already.
	ending bool
	// refused: trying again does not help; forbidden: a RoleBinding does.
	refused, forbidden bool
	cause              error
}

func (e *secretError) Error() string {
	if e.foreign {
		return fmt.Sprintf("the Secret %s is not this lane's (its controller is %s)", e.key, e.holder)
	}
	if e.refused {
		return fmt.Sprintf("the API server does not let the operator %s the Secret %s: %v", e.verb, e.key, e.cause)
	}
	return fmt.Sprintf("%s the Secret %s: %v", e.verb, e.key, e.cause)
}

func (e *secretError) Unwrap() error { return e.cause }

func newSecretError(verb string, lane *v1alpha1.PlatformLane, err error) error {
	if err == nil {
		return nil
	}
	forbidden := apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
	return &secretError{
		verb: verb, key: lane.Namespace + "/" + secretName(lane), cause: err, forbidden: forbidden,
		refused: forbidden || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err),
	}
}

// readSecret is nil without an error if there is no such Secret.
func readSecret(ctx context.Context, live client.Reader, lane *v1alpha1.PlatformLane) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := live.Get(ctx, types.NamespacedName{Namespace: lane.Namespace, Name: secretName(lane)}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, newSecretError("get", lane, err)
	}
	if !metav1.IsControlledBy(secret, lane) {
		holder := "nobody"
		if ref := metav1.GetControllerOf(secret); ref != nil {
			holder = fmt.Sprintf("the %s %s", ref.Kind, ref.Name)
		}
		return nil, &secretError{verb: "take", key: lane.Namespace + "/" + secret.Name, foreign: true, holder: holder}
	}
	if !secret.DeletionTimestamp.IsZero() {
		return nil, &secretError{verb: "replace", key: lane.Namespace + "/" + secret.Name, ending: true, cause: errors.New("it is still being deleted")}
	}
	return secret, nil
}

// read looks at the Secret and at the key that it holds.
func (k *keyring) read(ctx context.Context) error {
	found, err := readSecret(ctx, k.Live, k.lane)
	k.hold(found)
	return err
}

// hold notes what the Secret holds; nil is no Secret.
func (k *keyring) hold(secret *corev1.Secret) {
	k.secret, k.situation.Stored = secret, accesskey.Stored{}
	if secret == nil {
		return
	}
	k.situation.Stored.ID, _, _ = accesskey.ReadKey(secret.Data)
	// A date that is no date is none.
	if created, err := time.Parse(time.RFC3339, secret.Annotations[keyCreatedAnnotation]); err == nil {
		k.situation.Stored.Created = created
	}
}

// wanted is the Secret with a key in it.
func (k *keyring) wanted(h accesskey.Handout, created time.Time) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: k.lane.Namespace, Name: secretName(k.lane),
			Labels:      map[string]string{managedByLabel: access.ManagedBy},
			Annotations: map[string]string{keyCreatedAnnotation: created.UTC().Format(time.RFC3339)},
		},
		Data: h.Data(),
	}
}

// write applies the Secret with a key in it, or tries whether it could. An
// existing Secret is written only as it was read; a new one is not forced, for one
// that somebody else creates at this moment is theirs.
func (k *keyring) write(ctx context.Context, h accesskey.Handout, created time.Time, options ...client.ApplyOption) error {
	want := k.wanted(h, created)
	owner := metav1apply.OwnerReference().WithAPIVersion(v1alpha1.GroupVersion.String()).WithKind("PlatformLane").
		WithName(k.lane.Name).WithUID(k.lane.UID).WithController(true).WithBlockOwnerDeletion(true)
	apply := corev1apply.Secret(want.Name, want.Namespace).WithType(corev1.SecretTypeOpaque).
		WithLabels(want.Labels).WithAnnotations(want.Annotations).WithOwnerReferences(owner).WithData(want.Data)
	options = append(options, client.FieldOwner(access.ManagedBy))
	if k.secret != nil {
		apply.WithResourceVersion(k.secret.ResourceVersion)
		options = append(options, client.ForceOwnership)
	}
	if err := k.writer.Apply(ctx, apply, options...); err != nil {
		return newSecretError("write", k.lane, err)
	}
	var applied client.ApplyOptions
	if applied.ApplyOptions(options); len(applied.DryRun) > 0 {
		return nil
	}
	want.UID, want.ResourceVersion = *apply.UID, *apply.ResourceVersion
	k.hold(want)
	return nil
}

// mend writes the Secret again if what stands around the key differs: a region, a
// role, a file. The key's own secret is nowhere else, and is taken as it is.
func (k *keyring) mend(ctx context.Context, current accesskey.Key) error {
	if k.secret == nil || current.ID == "" {
		return nil
	}
	id, secretKey, ok := accesskey.ReadKey(k.secret.Data)
	if !ok || id != current.ID {
		return nil
	}
	handout := accesskey.Handout{KeyID: id, SecretKey: secretKey, Region: k.Region, RoleARN: k.user.RoleARN}
	want := k.wanted(handout, current.Created)
	same := k.secret.Labels[managedByLabel] == access.ManagedBy && k.secret.Annotations[keyCreatedAnnotation] == want.Annotations[keyCreatedAnnotation]
	for key, value := range want.Data {
		same = same && bytes.Equal(k.secret.Data[key], value)
	}
	if same {
		return nil
	}
	return k.write(ctx, handout, current.Created)
}

// deleteSecret deletes the lane's Secret. One that is gone or about to go, or not
// the lane's, is left alone: a finalizer of somebody's must not keep the lane.
func (r *Reconciler) deleteSecret(ctx context.Context, lane *v1alpha1.PlatformLane) error {
	secret, err := readSecret(ctx, r.AccessKeys.Live, lane)
	if known := (*secretError)(nil); errors.As(err, &known) && (known.foreign || known.ending) {
		return nil
	}
	if err != nil || secret == nil {
		return err
	}
	err = r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID})
	return newSecretError("delete", lane, client.IgnoreNotFound(err))
}

// bindingCommand is what release engineering types to let the operator keep the
// Secrets of lanes in a namespace.
func (r *Reconciler) bindingCommand(ctx context.Context, namespace string) string {
	who := "--serviceaccount=platform-lane-system:platform-lane-operator"
	review := &authenticationv1.SelfSubjectReview{}
	if err := r.Client.Create(ctx, review); err == nil {
		who = "--user=" + review.Status.UserInfo.Username
		if account, ok := strings.CutPrefix(review.Status.UserInfo.Username, "system:serviceaccount:"); ok {
			who = "--serviceaccount=" + account
		}
	}
	return fmt.Sprintf("kubectl create rolebinding %s --clusterrole=%s %s -n %s", keysRole, keysRole, who, namespace)
}
