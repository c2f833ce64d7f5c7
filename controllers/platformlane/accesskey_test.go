package platformlane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
	keyfake "github.com/pytorch/platform-lane-operator/controllers/accesskey/fake"
)

// keyWorld is a world in which access keys are handed out.
type keyWorld struct {
	*world
	users *keyfake.Users
	name  string
}

func newKeyWorld(t *testing.T) *keyWorld {
	t.Helper()
	w := &keyWorld{world: newWorld(t)}
	w.users, w.name = keyfake.New(w.now), "lane-"+w.platform
	w.enable()
	return w
}

func (w *keyWorld) enable() {
	w.reconciler.Access.AccessKeysEnabled = true
	w.reconciler.AccessKeys = AccessKeys{Users: w.users, Live: admin, Region: "us-east-1"}
}

func (w *keyWorld) restart() {
	w.world.restart()
	w.enable()
}

// withKey gives a lane an access key beside its workflow.
func withKey(s *v1alpha1.PlatformLaneSpec) {
	s.Publishers = append(s.Publishers, v1alpha1.Publisher{Name: "key", AccessKey: &v1alpha1.AccessKeyPublisher{RotationDays: 30, OverlapHours: 24}})
}

func withoutKey(s *v1alpha1.PlatformLaneSpec) { s.Publishers = s.Publishers[:1] }

// keyed brings up a lane with an access key.
func (w *keyWorld) keyed(change ...func(*v1alpha1.PlatformLaneSpec)) *v1alpha1.PlatformLane {
	w.t.Helper()
	lane := w.lane(append([]func(*v1alpha1.PlatformLaneSpec){withKey}, change...)...)
	w.mustPass(lane)
	w.mustPass(lane)
	return w.ready(lane)
}

func (w *keyWorld) secret(lane *v1alpha1.PlatformLane) *corev1.Secret {
	w.t.Helper()
	secret := &corev1.Secret{}
	err := admin.Get(w.t.Context(), types.NamespacedName{Namespace: lane.Namespace, Name: "lane-access-key"}, secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	w.must(err)
	return secret
}

// ids are the ids of the user's keys: those that work, then, behind a minus sign,
// the others.
func (w *keyWorld) ids() string {
	var on, off []string
	for _, k := range w.users.Keys(w.name) {
		if k.Active {
			on = append(on, k.ID[16:])
		} else {
			off = append(off, "-"+k.ID[16:])
		}
	}
	return strings.Join(append(on, off...), " ")
}

func (w *keyWorld) wantKeys(want string) {
	w.t.Helper()
	if got := w.ids(); got != want {
		w.t.Fatalf("IAM holds the keys %q, want %q", got, want)
	}
}

// stored is the number of the key in the Secret.
func (w *keyWorld) stored(lane *v1alpha1.PlatformLane) string {
	w.t.Helper()
	secret := w.secret(lane)
	if secret == nil {
		return ""
	}
	return string(secret.Data[accesskey.DataKeyID][16:])
}

func TestALaneGetsAnAccessKey(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.lane(withKey)
	result := w.mustPass(lane)
	w.want(lane, "CredentialsReady=Unknown/AccessKeyPending")
	if lane.Status.AccessKey.UserName != w.name || w.users.Writes() > 0 || result.RequeueAfter > time.Second {
		t.Fatalf("status %+v after %d writes, again after %v: it must be recorded before it is made", lane.Status.AccessKey, w.users.Writes(), result.RequeueAfter)
	}
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/RoleSynced")
	w.wantKeys("0001")

	secret := w.secret(lane)
	id, secretKey, ok := accesskey.ReadKey(secret.Data)
	if !ok || !metav1.IsControlledBy(secret, lane) || secret.Labels[managedByLabel] != access.ManagedBy {
		t.Fatalf("Secret %+v", secret.ObjectMeta)
	}
	want := accesskey.Handout{KeyID: id, SecretKey: secretKey, Region: "us-east-1", RoleARN: "arn:aws:iam::123456789012:role/" + w.name}
	if !maps.EqualFunc(secret.Data, want.Data(), slices.Equal) {
		t.Errorf("it holds %v", slices.Sorted(maps.Keys(secret.Data)))
	}
	managers := map[string]metav1.ManagedFieldsOperationType{}
	for _, f := range secret.ManagedFields {
		managers[f.Manager] = f.Operation
	}
	if !maps.Equal(managers, map[string]metav1.ManagedFieldsOperationType{access.ManagedBy: metav1.ManagedFieldsOperationApply}) {
		t.Errorf("field managers = %v", managers)
	}
	status := lane.Status.AccessKey
	made := w.now().Truncate(time.Second)
	if status.SecretName != secret.Name || status.KeyID != id || !status.CreatedAt.Time.Equal(made) ||
		!status.RotatesAt.Time.Equal(made.Add(30*24*time.Hour)) || status.PreviousKeyID != "" || status.PreviousExpiresAt != nil {
		t.Errorf("status %+v", status)
	}
	if trust := w.roles.applied[lane.Namespace].Trust; !strings.Contains(trust, `"aws:PrincipalArn":"arn:aws:iam::123456789012:user/`+w.name+`"`) {
		t.Errorf("the role does not trust the user: %s", trust)
	}
	if policies, _ := w.users.Policies(w.name); !strings.Contains(policies["lane"], "sts:AssumeRole") || len(policies) != 1 {
		t.Errorf("policies %v", policies)
	}
	if !w.events.has("AccessKeyStored") {
		t.Errorf("Events %q", w.events.all)
	}
	w.ready(lane)
	w.noSecretIsTold(lane)
}

// noSecretIsTold: the key's secret is in the Secret and nowhere else.
func (w *keyWorld) noSecretIsTold(lane *v1alpha1.PlatformLane) {
	w.t.Helper()
	told, err := yaml.Marshal(lane)
	w.must(err)
	if told := string(told) + strings.Join(w.events.all, "\n"); strings.Contains(told, "secret/") {
		w.t.Errorf("the key's secret is told: %s", told)
	}
}

func TestASteadyKeyCostsNothing(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	for _, restarted := range []bool{false, true} {
		if restarted {
			w.restart()
		}
		w.later(time.Hour)
		w.mustPass(lane) // Looks.
		version, secret, writes, reads := lane.ResourceVersion, w.secret(lane).ResourceVersion, w.users.Writes(), w.users.Reads()
		for range 5 {
			w.later(time.Minute / 2)
			w.mustPass(lane)
		}
		if lane.ResourceVersion != version || w.secret(lane).ResourceVersion != secret || w.users.Writes() != writes {
			t.Errorf("restarted %t: something was written", restarted)
		}
		if n := w.users.Reads() - reads; n > 0 {
			t.Errorf("restarted %t: IAM was asked %d times within minutes", restarted, n)
		}
		w.later(keyTrust)
		w.mustPass(lane)
		if w.users.Reads() == reads {
			t.Errorf("restarted %t: IAM is not asked any more", restarted)
		}
	}
}

func TestRotation(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	if result := w.mustPass(lane); result.RequeueAfter == 0 || result.RequeueAfter > resync {
		t.Errorf("looks again after %v", result.RequeueAfter)
	}
	w.later(30*24*time.Hour - 2*time.Minute)
	if result := w.mustPass(lane); result.RequeueAfter > 2*time.Minute {
		t.Errorf("looks again after %v, and the key is due in two minutes", result.RequeueAfter)
	}
	w.wantKeys("0001")
	w.later(2 * time.Minute)
	w.mustPass(lane)
	w.wantKeys("0001 0002")
	replaced := w.now().Truncate(time.Second)
	if status := lane.Status.AccessKey; w.stored(lane) != "0002" || !strings.HasSuffix(status.KeyID, "0002") || !strings.HasSuffix(status.PreviousKeyID, "0001") ||
		!status.PreviousExpiresAt.Time.Equal(replaced.Add(24*time.Hour)) {
		t.Errorf("the Secret holds %s, status %+v", w.stored(lane), status)
	}
	w.want(lane, "CredentialsReady=True/RoleSynced")
	w.later(24*time.Hour - 2*time.Second)
	w.mustPass(lane)
	w.wantKeys("0001 0002")
	w.later(2 * time.Second)
	w.mustPass(lane)
	w.wantKeys("0002")
	if status := lane.Status.AccessKey; status.PreviousKeyID != "" || status.PreviousExpiresAt != nil {
		t.Errorf("status %+v", status)
	}
	w.noSecretIsTold(lane)
}

func TestADeletedSecretIsARequestForANewKey(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	w.later(time.Hour)
	w.must(admin.Delete(t.Context(), w.secret(lane)))
	w.mustPass(lane)
	w.wantKeys("0001 0002")
	if w.stored(lane) != "0002" || lane.Status.AccessKey.PreviousKeyID == "" {
		t.Errorf("the Secret holds %q, status %+v", w.stored(lane), lane.Status.AccessKey)
	}
	w.later(time.Hour)
	w.must(admin.Delete(t.Context(), w.secret(lane)))
	w.mustPass(lane)
	w.wantKeys("0002 0003")
}

func TestASpoiltSecretIsMended(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	good := w.secret(lane)
	for what, spoil := range map[string]func(*corev1.Secret){
		"another role":   func(s *corev1.Secret) { s.Data[accesskey.DataRoleARN] = []byte("arn:aws:iam::123456789012:role/other") },
		"no file":        func(s *corev1.Secret) { delete(s.Data, accesskey.DataConfig) },
		"no label":       func(s *corev1.Secret) { s.Labels = nil },
		"no date":        func(s *corev1.Secret) { s.Annotations = nil },
		"an odd date":    func(s *corev1.Secret) { s.Annotations[keyCreatedAnnotation] = "yesterday" },
		"something more": func(s *corev1.Secret) { s.Data["mine"] = []byte("kept") },
	} {
		secret := w.secret(lane)
		spoil(secret)
		w.must(admin.Update(t.Context(), secret))
		w.mustPass(lane)
		now := w.secret(lane)
		for key, value := range good.Data {
			if !slices.Equal(now.Data[key], value) {
				t.Errorf("%s: %s is %q", what, key, now.Data[key])
			}
		}
		if now.Labels[managedByLabel] == "" || now.Annotations[keyCreatedAnnotation] != good.Annotations[keyCreatedAnnotation] {
			t.Errorf("%s: %+v", what, now.ObjectMeta)
		}
	}
	if string(w.secret(lane).Data["mine"]) != "kept" {
		t.Error("somebody's own entry is gone")
	}
	w.wantKeys("0001")
	secret := w.secret(lane)
	secret.Data[accesskey.DataSecretKey] = []byte("no\nkey")
	w.must(admin.Update(t.Context(), secret))
	w.mustPass(lane)
	w.wantKeys("0001 0002")
}

func TestDriftInIAMIsMended(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	w.users.PutPolicy(w.name, "more", `{"Statement":[]}`)
	w.users.PutKey(w.name, accesskey.Key{ID: "AKIAFAKESTRANGER9999", Created: w.now().Add(time.Minute), Active: true})
	w.later(time.Hour)
	w.mustPass(lane)
	if policies, _ := w.users.Policies(w.name); len(policies) != 1 {
		t.Errorf("policies %v", policies)
	}
	w.wantKeys("0001")

	w.must(w.users.DeleteKey(t.Context(), w.name, lane.Status.AccessKey.KeyID))
	w.later(time.Hour)
	w.mustPass(lane)
	w.wantKeys("0002")
	if w.stored(lane) != "0002" {
		t.Errorf("the Secret holds %s", w.stored(lane))
	}
}

func TestSuspensionReachesTheKeys(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	w.edit(lane, suspend)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/Suspended")
	w.wantKeys("-0001")
	if policies, _ := w.users.Policies(w.name); strings.Contains(policies["lane"], "Allow") {
		t.Errorf("the user may still %s", policies["lane"])
	}
	w.later(90 * 24 * time.Hour)
	w.mustPass(lane)
	w.wantKeys("-0001") // Nothing is made that nobody may use.
	w.edit(lane, resume)
	w.mustPass(lane)
	w.wantKeys("0001 0002")
	w.later(25 * time.Hour)
	w.mustPass(lane)
	w.wantKeys("0002")

	// A stolen key: suspend, delete the Secret, resume.
	w.edit(lane, suspend)
	w.must(admin.Delete(t.Context(), w.secret(lane)))
	w.mustPass(lane)
	w.wantKeys("")
	w.edit(lane, resume)
	w.mustPass(lane)
	w.wantKeys("0003")
	w.want(lane, "CredentialsReady=True/RoleSynced")

	// The same, and nobody looks between the end of the Secret and the resumption.
	w.edit(lane, suspend)
	w.mustPass(lane)
	w.wantKeys("-0003")
	w.must(admin.Delete(t.Context(), w.secret(lane)))
	w.edit(lane, resume)
	w.mustPass(lane)
	w.mustPass(lane)
	w.wantKeys("0004")
}

func TestSuspensionWaitsForNothing(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	w.edit(lane, suspend)
	w.reconciler.AccessKeys.Live = refusing(apierrors.NewForbidden(corev1.Resource("secrets"), "lane-access-key", errors.New("no")))
	w.roles.err = errors.New("the API server is away")
	if _, err := w.pass(lane); err == nil {
		t.Error("no error, and so no retry")
	}
	w.wantKeys("-0001")
	w.roles.err = nil
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/Suspended")

	w.users.FailBefore(func(string) error { return accesskey.ErrUnavailable })
	w.later(time.Hour)
	if _, err := w.pass(lane); err == nil {
		t.Error("no error, and so no retry")
	}
	w.want(lane, "CredentialsReady=False/AccessKeyFailed")
}

// refusing is a reader that gets nothing.
func refusing(err error) client.Reader {
	return interceptor.NewClient(admin, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		if _, ok := o.(*corev1.Secret); ok {
			return err
		}
		return c.Get(ctx, key, o, opts...)
	}})
}

func TestWhatIsWrongWithTheKeyIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(*keyWorld, *v1alpha1.PlatformLane)
		heal    func(*keyWorld, *v1alpha1.PlatformLane)
		reason  string
		says    string
		stalled bool
	}{
		"denied": {
			func(w *keyWorld, _ *v1alpha1.PlatformLane) {
				w.users.FailBefore(func(string) error { return accesskey.ErrDenied })
			},
			func(w *keyWorld, _ *v1alpha1.PlatformLane) { w.users.FailBefore(nil) },
			v1alpha1.ReasonAccessKeyFailed, "operator-access-keys", false,
		},
		"too many users": {
			func(w *keyWorld, _ *v1alpha1.PlatformLane) {
				w.users.FailBefore(func(string) error { return accesskey.ErrTooMany })
			},
			func(w *keyWorld, _ *v1alpha1.PlatformLane) { w.users.FailBefore(nil) },
			v1alpha1.ReasonAccessKeyFailed, "quota", false,
		},
		"somebody else's user": {
			func(w *keyWorld, _ *v1alpha1.PlatformLane) {
				w.users.Put(w.name, "arn:aws:iam::123456789012:user/"+w.name)
			},
			func(w *keyWorld, lane *v1alpha1.PlatformLane) {
				w.users.Tag(w.name, access.UserOf(lane, w.reconciler.Access, "cluster-a").Tags...)
			},
			v1alpha1.ReasonAccessKeyConflict, w0User, true,
		},
		"somebody else's Secret": {
			func(w *keyWorld, lane *v1alpha1.PlatformLane) {
				w.must(admin.Create(w.t.Context(), &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Namespace: lane.Namespace, Name: "lane-access-key"}, StringData: map[string]string{"mine": "x"},
				}))
			},
			func(w *keyWorld, lane *v1alpha1.PlatformLane) {
				secret := w.secret(lane)
				if len(secret.Data) != 1 {
					w.t.Errorf("it was touched: %v", secret.Data)
				}
				w.must(admin.Delete(w.t.Context(), secret))
			},
			v1alpha1.ReasonSecretConflict, "lane-access-key is not this lane's (its controller is nobody)", true,
		},
		"a Secret that cannot be changed": {
			func(w *keyWorld, lane *v1alpha1.PlatformLane) {
				immutable := true
				secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: lane.Namespace, Name: "lane-access-key"}, Immutable: &immutable}
				secret.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(lane, v1alpha1.GroupVersion.WithKind("PlatformLane"))}
				w.must(admin.Create(w.t.Context(), secret))
			},
			func(w *keyWorld, lane *v1alpha1.PlatformLane) { w.must(admin.Delete(w.t.Context(), w.secret(lane))) },
			v1alpha1.ReasonSecretUnwritable, "immutable", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newKeyWorld(t)
			lane := w.lane(withKey)
			w.mustPass(lane)
			c.spoil(w, lane)
			for range 3 {
				if result := w.mustPass(lane); result.RequeueAfter == 0 || result.RequeueAfter > keyRecheck {
					t.Errorf("looks again after %v", result.RequeueAfter)
				}
			}
			w.want(lane, "CredentialsReady=False/"+c.reason)
			w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, c.says)
			if c.stalled {
				w.want(lane, "Stalled=True/"+c.reason)
			}
			if keys := w.users.Keys(w.name); len(keys) > 0 {
				t.Errorf("keys that nobody got: %v", keys)
			}
			c.heal(w, lane)
			w.mustPass(lane)
			w.want(lane, "CredentialsReady=True/RoleSynced")
			if got := w.stored(lane); got != "0001" {
				t.Errorf("the Secret holds the key %q: others were made in vain, or none", got)
			}
		})
	}
}

// w0User is part of what is said about any foreign user.
const w0User = "belongs to somebody else"

// Without its RoleBinding the operator may not see Secrets, says how to let it,
// makes no key meanwhile, and goes on once it is let.
func TestTheRoleBindingIsAskedFor(t *testing.T) {
	w := newKeyWorld(t)
	operator := w.operator()
	lane := w.lane(withKey)
	w.reconciler.Client, w.reconciler.AccessKeys.Live = operator, operator
	w.mustPass(lane)
	w.mustPass(lane)
	command := "kubectl create rolebinding platform-lane-operator-access-keys --clusterrole=platform-lane-operator-access-keys" +
		" --serviceaccount=platform-lane-system:platform-lane-operator -n " + lane.Namespace
	w.want(lane, "CredentialsReady=False/SecretUnwritable", "Stalled=True/SecretUnwritable")
	w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, command)
	w.wantKeys("")

	w.must(admin.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: lane.Namespace, Name: keysRole},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: keysRole},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "platform-lane-system", Name: "platform-lane-operator"}},
	}))
	for deadline := time.Now().Add(10 * time.Second); w.stored(lane) == "" && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		w.mustPass(lane) // RBAC takes a moment to be taken up.
	}
	w.want(lane, "CredentialsReady=True/RoleSynced")
	w.wantKeys("0001")
	w.later(31 * 24 * time.Hour)
	w.mustPass(lane)
	w.wantKeys("0001 0002")
	var all corev1.SecretList
	if err := operator.List(t.Context(), &all, client.InNamespace(lane.Namespace)); !apierrors.IsForbidden(err) {
		t.Errorf("it may list Secrets: %v", err)
	}
	w.edit(lane, withoutKey)
	w.mustPass(lane)
	if w.secret(lane) != nil {
		t.Error("the Secret is still there")
	}
}

// operator is a client with the operator's own rights, as they are shipped.
func (w *keyWorld) operator() client.Client {
	w.t.Helper()
	for _, file := range []string{"role.yaml", "access_key_secrets_role.yaml"} {
		text, err := os.ReadFile(filepath.Join("../../config/rbac", file))
		w.must(err)
		role := &rbacv1.ClusterRole{}
		w.must(yaml.UnmarshalStrict(text, role))
		w.must(client.IgnoreAlreadyExists(admin.Create(w.t.Context(), role)))
	}
	subject := rbacv1.Subject{Kind: "ServiceAccount", Namespace: "platform-lane-system", Name: "platform-lane-operator"}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "platform-lane-operator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "platform-lane-operator"}, Subjects: []rbacv1.Subject{subject},
	}
	w.must(client.IgnoreAlreadyExists(admin.Create(w.t.Context(), binding)))
	as := rest.CopyConfig(config)
	as.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:platform-lane-system:platform-lane-operator",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:platform-lane-system", "system:authenticated"},
	}
	scheme := runtime.NewScheme()
	w.must(errors.Join(addToScheme(scheme)...))
	c, err := client.NewWithWatch(as, client.Options{Scheme: scheme})
	w.must(err)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := c.List(w.t.Context(), &v1alpha1.PlatformLaneList{}); err == nil {
			break
		}
	}
	return interceptor.NewClient(c, interceptor.Funcs{List: byPlatform})
}

// The answer of a write may be lost, before or after it is done: no key is left
// that nobody knows, and none that the Secret holds is deleted.
func TestAKeyIsNeverLost(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored %t", stored), func(t *testing.T) {
			w := newKeyWorld(t)
			lane := w.keyed()
			w.later(30 * 24 * time.Hour)
			broken := true
			w.reconciler.Client = interceptor.NewClient(admin, interceptor.Funcs{Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				var options client.ApplyOptions
				if options.ApplyOptions(opts); len(options.DryRun) > 0 || !broken {
					return c.Apply(ctx, o, opts...)
				}
				if stored {
					w.must(c.Apply(ctx, o, opts...))
				}
				return apierrors.NewTimeoutError("lost", 1)
			}})
			for range 3 {
				if _, err := w.pass(lane); err == nil && !stored {
					t.Error("no error, and so no retry")
				}
				if got := w.ids(); !stored && got != "0001" || len(w.users.Keys(w.name)) > accesskey.MaxKeys {
					t.Fatalf("IAM holds %s", got)
				}
			}
			broken = false
			w.mustPass(lane)
			w.mustPass(lane)
			if n := len(w.users.Keys(w.name)); n != 2 || w.stored(lane) == "0001" {
				t.Errorf("IAM holds %s, the Secret %s", w.ids(), w.stored(lane))
			}
			if !slices.ContainsFunc(w.users.Keys(w.name), func(k accesskey.Key) bool { return strings.HasSuffix(k.ID, w.stored(lane)) }) {
				t.Errorf("the Secret holds %s, IAM %s", w.stored(lane), w.ids())
			}
			w.want(lane, "CredentialsReady=True/RoleSynced")
		})
	}
}

// A crash between any two calls converges to one key in the Secret.
func TestACrashAtAnyCallConverges(t *testing.T) {
	for _, op := range []string{"GetUser", "CreateAccessKey", "DeleteAccessKey"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s after %t", op, after), func(t *testing.T) {
				w := newKeyWorld(t)
				lane := w.keyed()
				w.later(30 * 24 * time.Hour)
				crash := func(got string) error {
					if got == op {
						return accesskey.ErrUnavailable
					}
					return nil
				}
				if after {
					w.users.FailAfter(crash)
				} else {
					w.users.FailBefore(crash)
				}
				_, _ = w.pass(lane)
				w.later(25 * time.Hour)
				_, _ = w.pass(lane)
				w.users.FailAfter(nil)
				w.users.FailBefore(nil)
				w.restart()
				w.mustPass(lane)
				w.later(25 * time.Hour)
				w.mustPass(lane)
				if keys := w.users.Keys(w.name); len(keys) != 1 || !strings.HasSuffix(keys[0].ID, w.stored(lane)) {
					t.Errorf("IAM holds %s, the Secret %s", w.ids(), w.stored(lane))
				}
				w.want(lane, "CredentialsReady=True/RoleSynced")
			})
		}
	}
}

func TestALaneWithoutAKeyHasNoUser(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.PlatformLaneSpec){
		"without the publisher": withoutKey,
		"without channels":      func(s *v1alpha1.PlatformLaneSpec) { s.Channels = nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newKeyWorld(t)
			lane := w.keyed()
			w.edit(lane, change)
			w.users.FailBefore(func(string) error { return accesskey.ErrUnavailable })
			if _, err := w.pass(lane); err == nil {
				t.Error("no error, and so no retry")
			}
			w.want(lane, "CredentialsReady=False/AccessKeyFailed")
			w.users.FailBefore(nil)
			w.mustPass(lane)
			if _, there := w.users.Policies(w.name); there || w.secret(lane) != nil || lane.Status.AccessKey.UserName != "" {
				t.Errorf("user %t, Secret %v, status %+v", there, w.secret(lane) != nil, lane.Status.AccessKey)
			}
			reads := w.users.Reads() + w.users.Writes()
			w.later(time.Hour)
			w.mustPass(lane)
			if w.users.Reads()+w.users.Writes() != reads {
				t.Error("IAM is asked about a lane without access key")
			}
		})
	}
}

func TestDeletionTakesTheKeyAlong(t *testing.T) {
	for name, c := range map[string]func(*keyWorld, *v1alpha1.PlatformLane){
		"as it is": func(*keyWorld, *v1alpha1.PlatformLane) {},
		"with its status lost": func(w *keyWorld, lane *v1alpha1.PlatformLane) {
			lane.Status.AccessKey = v1alpha1.AccessKeyStatus{}
			w.must(admin.Status().Update(w.t.Context(), lane))
		},
		"suspended": func(w *keyWorld, lane *v1alpha1.PlatformLane) { w.edit(lane, suspend); w.mustPass(lane) },
		"the Secret is another's by now": func(w *keyWorld, lane *v1alpha1.PlatformLane) {
			w.must(admin.Delete(w.t.Context(), w.secret(lane)))
			w.must(admin.Create(w.t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: lane.Namespace, Name: "lane-access-key"}}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newKeyWorld(t)
			lane := w.keyed()
			c(w, lane)
			w.delete(lane)
			w.users.FailBefore(func(string) error { return accesskey.ErrUnavailable })
			if _, err := w.pass(lane); err == nil || gone(lane) {
				t.Errorf("the lane is gone %t, and its user is not: %v", gone(lane), err)
			}
			w.want(lane, "CredentialsReady=False/AccessKeyFailed")
			w.users.FailBefore(nil)
			w.mustPass(lane)
			if _, there := w.users.Policies(w.name); there || !gone(lane) {
				t.Errorf("user %t, lane gone %t", there, gone(lane))
			}
			if secret := w.secret(lane); secret != nil && len(secret.OwnerReferences) > 0 {
				t.Error("the lane's Secret is still there")
			}
		})
	}
}

// A Secret that the operator may not delete any more holds a dead key, and keeps
// nobody waiting.
func TestAnUnboundSecretIsLeftBehindAloud(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	w.reconciler.AccessKeys.Live = refusing(apierrors.NewForbidden(corev1.Resource("secrets"), "lane-access-key", errors.New("no")))
	w.edit(lane, withoutKey)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/RoleSynced")
	if _, there := w.users.Policies(w.name); there || !w.events.has("kubectl delete secret lane-access-key -n "+lane.Namespace) {
		t.Errorf("user %t, Events %q", there, w.events.all)
	}
}

// Access keys that are disabled later work no more, for the role does not trust
// them; what is left of them is not forgotten.
func TestDisablingAccessKeys(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	w.reconciler.Access.AccessKeysEnabled, w.reconciler.AccessKeys.Users = false, nil
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/AccessKeysDisabled", "Stalled=True/AccessKeysDisabled")
	if trust := w.roles.applied[lane.Namespace].Trust; strings.Contains(trust, "aws:PrincipalArn") {
		t.Errorf("the role still trusts the user: %s", trust)
	}
	w.edit(lane, withoutKey)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/AccessKeysDisabled")
	w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, w.name)
	w.delete(lane)
	if _, err := w.pass(lane); err == nil || gone(lane) {
		t.Errorf("lane gone %t, %v", gone(lane), err)
	}
	w.enable()
	w.mustPass(lane)
	if _, there := w.users.Policies(w.name); there || !gone(lane) {
		t.Errorf("user %t, lane gone %t", there, gone(lane))
	}
}

func TestALaneThatLosesItsClaimLosesItsKey(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	w.record("cluster-b", "other", "lane")
	w.later(time.Hour)
	w.mustPass(lane)
	w.want(lane, "Claimed=False/HeldByAnother")
	if _, there := w.users.Policies(w.name); there || w.secret(lane) != nil || lane.Status.AccessKey.UserName != "" {
		t.Errorf("user %t, Secret %t, status %+v", there, w.secret(lane) != nil, lane.Status.AccessKey)
	}
}

// A user that cannot be taken away from a lane that lost its claim is told of.
func TestAKeyThatOutlivesTheClaimIsToldOf(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	w.record("cluster-b", "other", "lane")
	w.users.FailBefore(func(string) error { return accesskey.ErrDenied })
	w.later(time.Hour)
	w.mustPass(lane)
	w.want(lane, "Claimed=False/HeldByAnother", "CredentialsReady=False/AccessKeyFailed")
	w.users.FailBefore(nil)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=Unknown/Pending")
}

// A finalizer that somebody put on the Secret keeps neither the lane nor its
// platform.
func TestASecretThatIsHeldKeepsNobodyWaiting(t *testing.T) {
	w := newKeyWorld(t)
	lane := w.keyed()
	secret := w.secret(lane)
	secret.Finalizers = []string{"vendor.example.com/mine"}
	w.must(admin.Update(t.Context(), secret))
	w.roles.lingers = true
	w.delete(lane)
	for range 3 {
		w.mustPass(lane)
	}
	w.roles.lingers = false
	w.mustPass(lane)
	if _, there := w.users.Policies(w.name); there || !gone(lane) {
		t.Errorf("user %t, lane gone %t: %s", there, gone(lane), messages(lane))
	}
	secret = w.secret(lane)
	secret.Finalizers = nil
	w.must(admin.Update(t.Context(), secret))
}

// A lane that asks for keys which nobody hands out is suspended all the same.
func TestSuspendedWithAccessKeysDisabled(t *testing.T) {
	w := newKeyWorld(t)
	w.reconciler.Access.AccessKeysEnabled, w.reconciler.AccessKeys.Users = false, nil
	lane := w.lane(withKey)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/AccessKeysDisabled")
	w.edit(lane, suspend)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/Suspended", "!Stalled")

	w = newKeyWorld(t) // One whose keys were handed out before is told of them.
	lane = w.keyed()
	w.reconciler.Access.AccessKeysEnabled, w.reconciler.AccessKeys.Users = false, nil
	w.edit(lane, suspend)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/AccessKeysDisabled")
	w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, "the IAM user "+w.name+" is left")
}

// What a lane had under another roles.prefix does not outlive the change.
func TestAnotherPrefixLeavesNoKeyBehind(t *testing.T) {
	for name, then := range map[string]func(*keyWorld, *v1alpha1.PlatformLane){
		"the lane goes on":      func(*keyWorld, *v1alpha1.PlatformLane) {},
		"it is suspended":       func(w *keyWorld, lane *v1alpha1.PlatformLane) { w.edit(lane, suspend) },
		"it is deleted":         func(w *keyWorld, lane *v1alpha1.PlatformLane) { w.delete(lane) },
		"without the publisher": func(w *keyWorld, lane *v1alpha1.PlatformLane) { w.edit(lane, withoutKey) },
		"without channels": func(w *keyWorld, lane *v1alpha1.PlatformLane) {
			w.edit(lane, func(s *v1alpha1.PlatformLaneSpec) { s.Channels = nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newKeyWorld(t)
			lane := w.keyed()
			w.reconciler.Access.RolePrefix = "new-"
			then(w, lane)
			for range 4 {
				w.mustPass(lane)
			}
			if _, there := w.users.Policies(w.name); there {
				t.Errorf("the user %s is still there, with the keys %q", w.name, w.ids())
			}
			if !slices.Contains(w.roles.deleted, w.name) {
				t.Errorf("the role %s is still there; deleted %q", w.name, w.roles.deleted)
			}
			if name == "the lane goes on" {
				w.want(lane, "CredentialsReady=True/RoleSynced")
				if got := lane.Status; got.Role.Name != "new-"+w.platform || got.AccessKey.UserName != "new-"+w.platform || w.secret(lane) == nil {
					t.Errorf("status %+v, %+v", got.Role, got.AccessKey)
				}
			}
		})
	}
}
