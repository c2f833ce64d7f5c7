package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// shared is the stack of the tests that do not end it.
var shared struct {
	once  sync.Once
	stack *sandbox.Stack
	err   error
}

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	code := m.Run()
	if shared.stack != nil {
		shared.stack.Stop()
		if err := os.RemoveAll(shared.stack.Dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

func sharedStack(t *testing.T) *sandbox.Stack {
	t.Helper()
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "sandbox-test-*")
		if err != nil {
			shared.err = err
			return
		}
		shared.stack, shared.err = sandbox.Start(context.Background(), sandbox.Options{Dir: dir, Out: os.Stderr})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.stack
}

func s3Client(i *sandbox.Info, id, secret, token string) *s3.Client {
	return s3.New(s3.Options{
		Region: i.Region, BaseEndpoint: aws.String(i.S3Endpoint), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})
}

func operatorS3(i *sandbox.Info) *s3.Client {
	return s3Client(i, i.OperatorAccessKeyID, i.OperatorSecretAccessKey, "")
}

// rootS3 may write what the operator may not: files.
func rootS3(i *sandbox.Info) *s3.Client {
	return s3Client(i, i.RootAccessKeyID, i.RootSecretAccessKey, "")
}

// job is the workflow job that the test's roles trust.
var job = sandbox.Claims{
	Repository: "acme/torch-spyre", RepositoryID: "42", RepositoryOwnerID: "7",
	Environment: "release", Ref: "refs/heads/main",
	JobWorkflowRef: "pytorch/test-infra/.github/workflows/_binary_upload.yml@refs/heads/main",
}

// assume exchanges a job's token for a session of the role.
func assume(t *testing.T, i *sandbox.Info, role string, claims sandbox.Claims) (*s3.Client, error) {
	t.Helper()
	token, err := i.Token(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	client := sts.New(sts.Options{Region: i.Region, BaseEndpoint: aws.String(i.STSEndpoint), RetryMaxAttempts: 1})
	out, err := client.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String("arn:aws:iam::" + i.AccountID + ":role/platform-lanes/" + role), RoleSessionName: aws.String("job-1"), WebIdentityToken: &token,
	})
	if err != nil {
		return nil, err
	}
	c := out.Credentials
	return s3Client(i, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken), nil
}

func code(err error) string {
	var apiErr smithy.APIError
	if errors.As(err, &apiErr) {
		return apiErr.ErrorCode()
	}
	return fmt.Sprint(err)
}

func kube(t *testing.T, stack *sandbox.Stack) client.Client {
	t.Helper()
	config, err := stack.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type object = map[string]any

// statement is one statement of a policy document.
func policyDocument(t *testing.T, statements ...object) string {
	t.Helper()
	raw, err := json.Marshal(object{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		t.Fatal(err)
	}
	// ACK URL-decodes what it sends: a plus must not be written as one.
	return strings.ReplaceAll(string(raw), "+", `\u002b`)
}

// newRole is an ACK Role that trusts the job.
func newRole(t *testing.T, i *sandbox.Info, name string, statements ...object) *unstructured.Unstructured {
	t.Helper()
	key := func(claim string) string { return i.OIDCIssuerHost + ":" + claim }
	trust := policyDocument(t, object{
		"Effect": "Allow", "Principal": object{"Federated": i.OIDCProviderARN}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": object{
			"StringEquals": object{key("aud"): sandbox.Audience, key("repository_id"): "42", key("repository_owner_id"): "7"},
			"StringLike":   object{key("sub"): []string{"repo:acme/torch-spyre:*", "repo:acme@7/torch-spyre@42:*"}},
		},
	})
	role := &unstructured.Unstructured{Object: object{
		"apiVersion": "iam.services.k8s.aws/v1alpha1", "kind": "Role",
		"metadata": object{"name": name, "namespace": "default"},
		"spec": object{
			"name": name, "path": "/platform-lanes/", "maxSessionDuration": int64(3600), "description": "a lane",
			"tags":                     []any{object{"key": "platform", "value": "spyre"}},
			"assumeRolePolicyDocument": trust,
			"inlinePolicies":           object{"lane": policyDocument(t, statements...)},
		},
	}}
	return role
}

// synced waits until ACK reports that the role is what the spec says. ACK does
// not say which generation it looked at, so the report must be newer than since.
func synced(t *testing.T, c client.Client, role *unstructured.Unstructured, since time.Time) {
	t.Helper()
	eventually(t, "ACK to sync "+role.GetName(), func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(role), role); err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(role.Object, "status", "conditions")
		state := map[string]object{}
		for _, item := range conditions {
			if condition, ok := item.(object); ok {
				state[fmt.Sprint(condition["type"])] = condition
			}
		}
		for _, name := range []string{"ACK.ResourceSynced", "Ready"} {
			at, err := time.Parse(time.RFC3339, fmt.Sprint(state[name]["lastTransitionTime"]))
			if state[name]["status"] != "True" || err != nil || at.Before(since.Truncate(time.Second)) {
				return fmt.Errorf("conditions are %v", conditions)
			}
		}
		return nil
	})
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatalf("waited in vain for %s: %v", what, err)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func put(t *testing.T, c *s3.Client, bucket, key, body string, change ...func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte(body)), IfNoneMatch: aws.String("*")}
	for _, f := range change {
		f(in)
	}
	return c.PutObject(t.Context(), in)
}
