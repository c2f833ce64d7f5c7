package identity

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
	keysiam "github.com/pytorch/platform-lane-operator/controllers/accesskey/iam"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	lanestore "github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/controllers/platformlane"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// keyHolder is a vendor whose CI has no OIDC, and the reconciler that serves it:
// the operator's own, with the operator's own rights in the account, but for a
// clock that the test sets.
type keyHolder struct {
	t          *testing.T
	cluster    client.Client
	reconciler *platformlane.Reconciler
	lane       *v1alpha1.PlatformLane
	// ahead is by how much the reconciler's clock is ahead of IAM's.
	ahead time.Duration
}

func newKeyHolder(t *testing.T, platform string) *keyHolder {
	t.Helper()
	h := &keyHolder{t: t}
	root, err := sandbox.RepositoryRoot()
	h.must(err)
	h.must(stack.InstallCRDs(t.Context(), filepath.Join(root, "config", "crd", "bases")))
	h.cluster = laneClient(t)
	path, err := stack.ConfigureOperator(nil)
	h.must(err)
	cfg, err := operatorconfig.Load(path)
	h.must(err)

	operator := aws.Config{Region: stack.Region, Credentials: credentials.NewStaticCredentialsProvider(stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey, "")}
	users, err := keysiam.New(operator, keysiam.Config{Endpoint: cfg.AccessKeys.Endpoint})
	h.must(err)
	store, err := lanestore.New(t.Context(), lanestore.Config{
		Bucket: cfg.Storage.Bucket, Region: cfg.Storage.Region, Endpoint: cfg.Storage.Endpoint, Credentials: operator.Credentials,
	})
	h.must(err)
	engine := index.New(index.Target{Name: "primary", Store: store, BaseURLs: cfg.Storage.PublicBaseURLs}, nil, cdn.None{}, time.Now, index.Limits{})
	wake := make(chan event.GenericEvent, 16)
	h.reconciler = &platformlane.Reconciler{
		Client: h.cluster, Roles: ackrole.New(h.cluster, h.cluster, clock.RealClock{}), Engine: engine, Recorder: events.NewFakeRecorder(1024),
		Now: func() time.Time { return time.Now().Add(h.ahead) }, Access: cfg.Access(), ClusterID: cfg.ClusterID,
		AccessKeys:    platformlane.AccessKeys{Users: users, Live: h.cluster, Region: cfg.AWS.Region},
		PublicBaseURL: cfg.Storage.PublicBaseURLs[0], Wake: wake, Health: &platformlane.Health{Engine: engine, Client: h.cluster, Wake: wake},
	}
	platformlane.Connect(h.reconciler, &platformlane.Indexer{Client: h.cluster, Engine: engine})

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "vendor-"}}
	h.must(h.cluster.Create(t.Context(), namespace))
	h.lane = &v1alpha1.PlatformLane{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "lane"},
		Spec: v1alpha1.PlatformLaneSpec{
			Platform: platform, Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}},
			Publishers: []v1alpha1.Publisher{{Name: "key", AccessKey: &v1alpha1.AccessKeyPublisher{RotationDays: 30, OverlapHours: 24}}},
		},
	}
	h.must(h.cluster.Create(t.Context(), h.lane))
	h.until("the key", func() bool { return h.credentials("RoleSynced") && h.lane.Status.AccessKey.KeyID != "" })
	return h
}

// laneClient knows the index of lanes by platform, which only a cache has.
func laneClient(t *testing.T) client.Client {
	t.Helper()
	config, err := stack.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), ackrole.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	direct, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return interceptor.NewClient(direct, interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
		var options client.ListOptions
		options.ApplyOptions(opts)
		lanes, ok := list.(*v1alpha1.PlatformLaneList)
		if !ok || options.FieldSelector == nil {
			return c.List(ctx, list, opts...)
		}
		platform, _ := options.FieldSelector.RequiresExactMatch("spec.platform")
		err := c.List(ctx, lanes)
		lanes.Items = slices.DeleteFunc(lanes.Items, func(l v1alpha1.PlatformLane) bool { return l.Spec.Platform != platform })
		return err
	}})
}

func (h *keyHolder) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// pass reconciles once.
func (h *keyHolder) pass() error {
	_, err := h.reconciler.Reconcile(h.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(h.lane)})
	if getErr := h.cluster.Get(h.t.Context(), client.ObjectKeyFromObject(h.lane), h.lane); client.IgnoreNotFound(getErr) != nil {
		h.t.Fatal(getErr)
	}
	return err
}

// until reconciles until something holds, as the manager would.
func (h *keyHolder) until(what string, holds func() bool) {
	h.t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = h.pass(); err == nil && holds() {
			return
		}
	}
	h.t.Fatalf("no %s in time: %v, %+v", what, err, h.lane.Status)
}

func (h *keyHolder) credentials(reason string) bool {
	c := meta.FindStatusCondition(h.lane.Status.Conditions, v1alpha1.CredentialsReadyCondition)
	return c != nil && c.Status == metav1.ConditionTrue && c.Reason == reason && c.ObservedGeneration == h.lane.Generation
}

func (h *keyHolder) access(to v1alpha1.Access) {
	h.t.Helper()
	before := h.lane.DeepCopy()
	h.lane.Spec.Access = to
	h.must(h.cluster.Patch(h.t.Context(), h.lane, client.MergeFrom(before)))
}

// held is a copy of what the Secret held at some time, as files: a CI mounts it
// and points the AWS SDK at two of them.
type held struct {
	t    *testing.T
	dir  string
	data map[string][]byte
}

func (h *keyHolder) mount() held {
	h.t.Helper()
	secret := &corev1.Secret{}
	h.must(h.cluster.Get(h.t.Context(), client.ObjectKey{Namespace: h.lane.Namespace, Name: "lane-access-key"}, secret))
	dir := h.t.TempDir()
	for name, value := range secret.Data {
		h.must(os.WriteFile(filepath.Join(dir, name), value, 0o600))
	}
	return held{h.t, dir, secret.Data}
}

// job is what a job of the vendor's CI does first: nothing but the two files says
// how it gets its credentials.
func (m held) job() (*s3.Client, error) {
	m.t.Helper()
	m.t.Setenv("AWS_ENDPOINT_URL_STS", stack.STSEndpoint)
	cfg, err := awsconfig.LoadDefaultConfig(m.t.Context(),
		awsconfig.WithSharedConfigFiles([]string{filepath.Join(m.dir, accesskey.DataConfig)}),
		awsconfig.WithSharedCredentialsFiles([]string{filepath.Join(m.dir, accesskey.DataCredentials)}),
		awsconfig.WithSharedConfigProfile("default"),
		awsconfig.WithRetryMaxAttempts(1))
	if err != nil {
		m.t.Fatal(err)
	}
	if got := cfg.Region; got != stack.Region {
		m.t.Errorf("the files name the region %q", got)
	}
	if _, err := cfg.Credentials.Retrieve(m.t.Context()); err != nil {
		return nil, err
	}
	return keyedS3(cfg.Credentials), nil
}

func (m held) session() *s3.Client {
	m.t.Helper()
	c, err := m.job()
	if err != nil {
		m.t.Fatalf("the key %s: %v", m.data[accesskey.DataKeyID], err)
	}
	return c
}

// alone is the key as it is, without the role.
func (m held) alone() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider(string(m.data[accesskey.DataKeyID]), string(m.data[accesskey.DataSecretKey]), "")
}

func keyedS3(provider aws.CredentialsProvider) *s3.Client {
	return s3.New(s3.Options{Region: stack.Region, BaseEndpoint: aws.String(stack.S3Endpoint), UsePathStyle: true, RetryMaxAttempts: 1, Credentials: provider})
}

func assumeWith(t *testing.T, provider aws.CredentialsProvider, roleARN string) error {
	t.Helper()
	c := sts.New(sts.Options{Region: stack.Region, BaseEndpoint: aws.String(stack.STSEndpoint), RetryMaxAttempts: 1, Credentials: provider})
	_, err := c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: aws.String("ci")})
	return err
}

// The life of an access key, on real parts: it publishes through the lane's role
// and opens nothing by itself; a new one replaces it with an overlap; a suspension
// reaches it and its sessions; nothing of it outlives the lane.
func TestAccessKeys(t *testing.T) {
	h, other := newKeyHolder(t, "keyspyre"), newKeyHolder(t, "keyother")
	wheel := func(version string) string {
		return "whl/nightly/keyspyre/torch-" + version + "+keyspyre-cp312-cp312-linux_x86_64.whl"
	}
	role, first := h.lane.Status.Role.ARN, h.mount()
	if role == "" || string(first.data[accesskey.DataRoleARN]) != role {
		t.Fatalf("the Secret names the role %s, the status %s", first.data[accesskey.DataRoleARN], role)
	}

	if got := put(t, first.session(), wheel("1")); got != "" {
		t.Fatalf("publishing with the key: %q", got)
	}
	if got := put(t, first.session(), "whl/nightly/keyother/torch-1+keyother-cp312-cp312-linux_x86_64.whl"); got != denied {
		t.Errorf("publishing into the other lane: %q", got)
	}
	keyOpensNothing(t, first, wheel("2"))
	account := accountAdmin{administrator()}
	account.permit(t, h.lane.Status.AccessKey.UserName, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	keyOpensNothing(t, first, wheel("2")) // Whatever somebody adds to its user.
	stranger := other.mount()
	if err := assumeWith(t, stranger.alone(), role); code(err) != denied {
		t.Errorf("the other lane's key on this lane's role: %v", err)
	}
	if err := assumeWith(t, first.alone(), other.lane.Status.Role.ARN); code(err) != denied {
		t.Errorf("this lane's key on the other lane's role: %v", err)
	}
	intruder := account.user(t, "intruder", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	if err := assumeWith(t, intruder, role); code(err) != denied {
		t.Errorf("a user of the account who may do everything, on the lane's role: %v", err)
	}
	for name, user := range map[string]string{"the operator": stack.OperatorAccessKeyID + "/" + stack.OperatorSecretAccessKey, "root": stack.RootAccessKeyID + "/" + stack.RootSecretAccessKey} {
		id, secret, _ := strings.Cut(user, "/")
		if err := assumeWith(t, credentials.NewStaticCredentialsProvider(id, secret, ""), role); code(err) != denied {
			t.Errorf("%s on the lane's role: %v", name, err)
		}
	}

	// A user of this name that another lane of the platform left behind.
	account.tag(t, h.lane.Status.AccessKey.UserName, access.TagLaneResource, "vendor-before/lane")
	if err := assumeWith(t, first.alone(), role); code(err) != denied {
		t.Errorf("a predecessor's key on this lane's role: %v", err)
	}
	account.tag(t, h.lane.Status.AccessKey.UserName, access.TagLaneResource, h.lane.Namespace+"/"+h.lane.Name)
	if err := assumeWith(t, first.alone(), role); err != nil {
		t.Errorf("the lane's own key: %v", err)
	}

	// A month later a new key is there, and both work for a day.
	h.ahead = 30*24*time.Hour + time.Minute
	h.must(h.pass())
	h.ahead = 0 // The new key is dated by IAM's clock.
	h.until("rotation", func() bool { return h.lane.Status.AccessKey.PreviousKeyID != "" })
	second := h.mount()
	if string(first.data[accesskey.DataKeyID]) == string(second.data[accesskey.DataKeyID]) {
		t.Fatal("the Secret holds the same key")
	}
	for i, m := range []held{first, second} {
		if got := put(t, m.session(), wheel(fmt.Sprint("3.", i))); got != "" {
			t.Errorf("key %d in the overlap: %q", i, got)
		}
	}
	h.ahead = 25 * time.Hour
	h.until("the end of the overlap", func() bool { return h.lane.Status.AccessKey.PreviousKeyID == "" })
	h.ahead = 0
	if _, err := first.job(); !strings.Contains(fmt.Sprint(err), "InvalidClientTokenId") {
		t.Errorf("the old key after the overlap: %v", err)
	}
	live := second.session()
	if got := put(t, live, wheel("4")); got != "" {
		t.Errorf("the new key: %q", got)
	}

	h.access(v1alpha1.AccessSuspended)
	h.until("suspension", func() bool { return h.credentials("Suspended") })
	if got := put(t, live, wheel("5")); got != denied {
		t.Errorf("a live session of a suspended lane: %q", got)
	}
	if _, err := second.job(); !strings.Contains(fmt.Sprint(err), "InvalidClientTokenId") {
		t.Errorf("the key of a suspended lane: %v", err)
	}
	time.Sleep(1100 * time.Millisecond) // sessions are dated in whole seconds
	h.access(v1alpha1.AccessActive)
	h.until("resumption", func() bool { return h.credentials("RoleSynced") })
	if got := put(t, live, wheel("6")); got != denied {
		t.Errorf("a session from before, after the resumption: %q", got)
	}
	time.Sleep(1100 * time.Millisecond)
	if got := put(t, second.session(), wheel("7")); got != "" {
		t.Errorf("a new session: %q", got)
	}
	h.ends(second)
}

// keyOpensNothing: the key alone, without the role.
func keyOpensNothing(t *testing.T, m held, key string) {
	t.Helper()
	c, ctx, bucket := keyedS3(m.alone()), t.Context(), aws.String(stack.Bucket)
	if got := put(t, c, key); got != denied {
		t.Errorf("the key alone publishes: %q", got)
	}
	if _, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket}); code(err) != denied {
		t.Errorf("the key alone lists: %v", err)
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key}); code(err) != denied {
		t.Errorf("the key alone deletes: %v", err)
	}
	if _, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key}); code(err) != denied {
		t.Errorf("the key alone begins an upload: %v", err)
	}
	iam := awsiam.New(awsiam.Options{Region: stack.Region, BaseEndpoint: aws.String(stack.IAMEndpoint), RetryMaxAttempts: 1, Credentials: m.alone()})
	if _, err := iam.CreateAccessKey(ctx, &awsiam.CreateAccessKeyInput{}); code(err) != denied {
		t.Errorf("the key alone makes another key: %v", err)
	}
}

// accountAdmin may do everything in IAM.
type accountAdmin struct{ *awsiam.Client }

// permit adds a policy to a user.
func (a accountAdmin) permit(t *testing.T, user, document string) {
	t.Helper()
	if _, err := a.PutUserPolicy(t.Context(), &awsiam.PutUserPolicyInput{UserName: &user, PolicyName: aws.String("more"), PolicyDocument: &document}); err != nil {
		t.Fatal(err)
	}
}

// tag sets a tag of a user.
func (a accountAdmin) tag(t *testing.T, user, key, value string) {
	t.Helper()
	if _, err := a.TagUser(t.Context(), &awsiam.TagUserInput{UserName: &user, Tags: []iamtypes.Tag{{Key: &key, Value: &value}}}); err != nil {
		t.Fatal(err)
	}
}

// user makes a user with a policy and a key.
func (a accountAdmin) user(t *testing.T, name, document string) aws.CredentialsProvider {
	t.Helper()
	if _, err := a.CreateUser(t.Context(), &awsiam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	a.permit(t, name, document)
	out, err := a.CreateAccessKey(t.Context(), &awsiam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return credentials.NewStaticCredentialsProvider(*out.AccessKey.AccessKeyId, *out.AccessKey.SecretAccessKey, "")
}

// ends deletes the lane and looks for what is left of the key.
func (h *keyHolder) ends(m held) {
	h.t.Helper()
	ctx, live, name := h.t.Context(), m.session(), h.lane.Status.AccessKey.UserName
	h.must(h.cluster.Delete(ctx, h.lane))
	h.until("end of the lane", func() bool {
		return apierrors.IsNotFound(h.cluster.Get(ctx, client.ObjectKeyFromObject(h.lane), &v1alpha1.PlatformLane{}))
	})
	if _, err := administrator().GetUser(ctx, &awsiam.GetUserInput{UserName: &name}); code(err) != "NoSuchEntity" {
		h.t.Errorf("the user of a deleted lane: %v", err)
	}
	if err := h.cluster.Get(ctx, client.ObjectKey{Namespace: h.lane.Namespace, Name: "lane-access-key"}, &corev1.Secret{}); !apierrors.IsNotFound(err) {
		h.t.Errorf("the Secret of a deleted lane: %v", err)
	}
	if got := put(h.t, live, "whl/nightly/keyspyre/torch-8+keyspyre-cp312-cp312-linux_x86_64.whl"); got != denied {
		h.t.Errorf("a live session of a deleted lane: %q", got)
	}
	if _, err := m.job(); !strings.Contains(fmt.Sprint(err), "InvalidClientTokenId") {
		h.t.Errorf("the key of a deleted lane: %v", err)
	}
}
