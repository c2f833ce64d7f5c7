package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

var stack *sandbox.Stack

// web is every session's HTTP client: one pool of connections for all of them.
var web = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	log.SetLogger(logr.Discard())
	dir, err := os.MkdirTemp("", "identity-test-*")
	if err != nil {
		return 0, err
	}
	if stack, err = sandbox.Start(context.Background(), sandbox.Options{Dir: dir, Out: os.Stderr}); err != nil {
		return 0, err
	}
	code := m.Run()
	stack.Stop()
	return code, os.RemoveAll(dir)
}

// vendor is a lane with the job that publishes to it.
type vendor struct {
	t         *testing.T
	lane      *v1alpha1.PlatformLane
	job       sandbox.Claims
	roles     *ackrole.Roles
	notBefore *time.Time
}

var nextID = 100

func newVendor(t *testing.T, platform string) *vendor {
	t.Helper()
	nextID += 2
	config, err := stack.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, ackrole.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "vendor-"}}
	if err := c.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	workflow := "pytorch/test-infra/.github/workflows/_binary_upload.yml@refs/heads/main"
	return &vendor{
		t: t, roles: ackrole.New(c, c, clock.RealClock{}),
		job: sandbox.Claims{
			Repository: platform + "/torch", RepositoryID: fmt.Sprint(nextID), RepositoryOwnerID: fmt.Sprint(nextID + 1),
			Environment: "pytorchbot-env", Ref: "refs/heads/main", JobWorkflowRef: workflow,
		},
		lane: &v1alpha1.PlatformLane{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: platform, UID: types.UID("uid-" + ns.Name)},
			Spec: v1alpha1.PlatformLaneSpec{
				Platform: platform, Packages: []string{"torch", "torch-tensorrt", "libtorch"},
				Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}, {Name: v1alpha1.ChannelRelease}},
				Publishers: []v1alpha1.Publisher{{Name: "ci", GitHubActions: v1alpha1.GitHubActionsPublisher{
					Repository: platform + "/torch", RepositoryID: int64(nextID), RepositoryOwnerID: int64(nextID) + 1,
					Environment: "pytorchbot-env", Refs: []string{"refs/heads/main", "refs/tags/v*"}, WorkflowRefs: []string{workflow},
				}}},
			},
		},
	}
}

// settings are the account's, as the operator's configuration would have them.
func settings() access.Settings {
	return access.Settings{
		AccountID: stack.AccountID, Bucket: stack.Bucket, RolePath: "/platform-lanes/", RolePrefix: "platform-lane-",
		GitHubIssuer:     stack.OIDCIssuer,
		Providers:        []access.Provider{{Issuer: stack.OIDCIssuer, ARN: stack.OIDCProviderARN}},
		ImmutableUploads: access.ImmutableUploadsEnforced,
	}
}

func (v *vendor) render() access.Role {
	v.t.Helper()
	role, err := access.Render(v.lane, settings(), v.notBefore)
	if err != nil {
		v.t.Fatal(err)
	}
	return role
}

// sync applies the lane's role until it is reported as synced, as a controller
// would, and returns what was applied.
func (v *vendor) sync() access.Role {
	v.t.Helper()
	role := v.render()
	var o ackrole.Observation
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if o, err = v.roles.Apply(v.t.Context(), v.lane, role); err != nil {
			v.t.Fatal(err)
		}
		if o.State == ackrole.Synced {
			if o.ARN != role.ARN {
				v.t.Errorf("the role is %s, want %s", o.ARN, role.ARN)
			}
			return role
		}
	}
	v.t.Fatalf("not synced in time: %+v", o)
	return access.Role{}
}

// wantIAM fails unless IAM holds the role's documents, byte by byte.
func (v *vendor) wantIAM(role access.Role) {
	v.t.Helper()
	c := iam.New(iam.Options{
		Region: stack.Region, BaseEndpoint: aws.String(stack.IAMEndpoint),
		Credentials: credentials.NewStaticCredentialsProvider(stack.RootAccessKeyID, stack.RootSecretAccessKey, ""),
	})
	policy, err := c.GetRolePolicy(v.t.Context(), &iam.GetRolePolicyInput{RoleName: &role.Name, PolicyName: &role.InlinePolicy.Name})
	if err != nil {
		v.t.Fatal(err)
	}
	got, err := c.GetRole(v.t.Context(), &iam.GetRoleInput{RoleName: &role.Name})
	if err != nil {
		v.t.Fatal(err)
	}
	for what, pair := range map[string][2]string{
		"inline policy": {*policy.PolicyDocument, role.InlinePolicy.Document},
		"trust policy":  {*got.Role.AssumeRolePolicyDocument, role.Trust},
	} {
		if text, err := url.PathUnescape(pair[0]); err != nil || text != pair[1] {
			v.t.Errorf("IAM holds another %s: %v\n%s\nwant\n%s", what, err, text, pair[1])
		}
	}
}

// assume exchanges a job's token for a session of the lane's role.
func (v *vendor) assume(job sandbox.Claims) (*s3.Client, error) {
	v.t.Helper()
	token, err := stack.Token(v.t.Context(), job)
	if err != nil {
		v.t.Fatal(err)
	}
	role, err := access.Render(v.lane, settings(), v.notBefore)
	if role.Name == "" {
		v.t.Fatal(err) // Other problems leave out publishers.
	}
	c := sts.New(sts.Options{Region: stack.Region, BaseEndpoint: aws.String(stack.STSEndpoint), RetryMaxAttempts: 1, HTTPClient: web})
	out, err := c.AssumeRoleWithWebIdentity(v.t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: &role.ARN, RoleSessionName: aws.String("job"), WebIdentityToken: &token,
	})
	if err != nil {
		return nil, err
	}
	return s3.New(s3.Options{
		Region: stack.Region, BaseEndpoint: aws.String(stack.S3Endpoint), UsePathStyle: true, RetryMaxAttempts: 1, HTTPClient: web,
		Credentials: credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken),
	}), nil
}

// session is assume for the lane's own job.
func (v *vendor) session() *s3.Client {
	v.t.Helper()
	c, err := v.assume(v.job)
	if err != nil {
		v.t.Fatalf("the lane's own job: %v", err)
	}
	return c
}

func put(t *testing.T, c *s3.Client, key string, change ...func(*s3.PutObjectInput)) string {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: &stack.Bucket, Key: &key, Body: bytes.NewReader([]byte(key)), IfNoneMatch: aws.String("*")}
	for _, f := range change {
		f(in)
	}
	_, err := c.PutObject(t.Context(), in)
	return code(err)
}

// code is the error code of an AWS service; empty without an error.
func code(err error) string {
	var answer smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &answer):
		return answer.ErrorCode()
	default:
		return err.Error()
	}
}
