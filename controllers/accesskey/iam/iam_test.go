package iam_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/smithy-go"

	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey/contract"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey/iam"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

func awsConfig(id, secret string) aws.Config {
	return aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
}

// writes are the calls of IAM that change something.
var writes = []string{
	"CreateUser", "DeleteUser", "TagUser", "UntagUser", "PutUserPolicy", "DeleteUserPolicy", "DetachUserPolicy",
	"PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey",
}

// TestContractOnSandbox uses the operator's own credential, which may do what the
// account's documents let it do and nothing else.
func TestContractOnSandbox(t *testing.T) {
	stack, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), Out: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Stop)
	users, err := iam.New(awsConfig(stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey), iam.Config{Endpoint: stack.IAMEndpoint})
	if err != nil {
		t.Fatal(err)
	}
	root := &administrator{awsiam.NewFromConfig(awsConfig(stack.RootAccessKeyID, stack.RootSecretAccessKey), func(o *awsiam.Options) {
		o.BaseEndpoint = aws.String(stack.IAMEndpoint)
	})}
	contract.Run(t, func(*testing.T) contract.Server {
		return contract.Server{
			Users: users, Path: "/platform-lanes/", Prefix: "platform-lane-",
			Writes: func(t *testing.T) (n int) {
				counts, err := stack.Calls(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for call, times := range counts["iam"] {
					if slices.Contains(writes, call) {
						n += times
					}
				}
				return n
			},
			Put: root.put, PutPolicy: root.putPolicy, Tag: root.tag, Policies: root.policies, Describe: root.describe,
		}
	})

	t.Run("a wrong secret", func(t *testing.T) {
		wrong, err := iam.New(awsConfig(stack.OperatorAccessKeyID, "wrong"), iam.Config{Endpoint: stack.IAMEndpoint, MaxAttempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wrong.Ensure(t.Context(), access.User{Name: "platform-lane-x"}); !errors.Is(err, accesskey.ErrDenied) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("users elsewhere are out of reach", func(t *testing.T) {
		if _, err := users.CreateKey(t.Context(), "ack-iam-controller"); !errors.Is(err, accesskey.ErrDenied) {
			t.Errorf("a key for another user: %v", err)
		}
		elsewhere := access.User{Name: "platform-lane-x", Path: "/", InlinePolicy: access.Policy{Name: "lane", Document: `{"Statement":[]}`}}
		if _, err := users.Ensure(t.Context(), elsewhere); !errors.Is(err, accesskey.ErrDenied) {
			t.Errorf("a user at another path: %v", err)
		}
	})
	t.Run("IAM is down", func(t *testing.T) {
		if err := stack.SetFault(t.Context(), "iam", sandbox.Fault{Down: true}); err != nil {
			t.Fatal(err)
		}
		impatient, err := iam.New(awsConfig(stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey), iam.Config{Endpoint: stack.IAMEndpoint, MaxAttempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := impatient.Ensure(t.Context(), access.User{Name: "platform-lane-x"}); !errors.Is(err, accesskey.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if err := stack.SetFault(t.Context(), "iam", sandbox.Fault{}); err != nil {
			t.Fatal(err)
		}
	})
}

// administrator is somebody else in the account.
type administrator struct{ client *awsiam.Client }

func (a *administrator) put(t *testing.T, name, path string, tags ...access.Tag) {
	t.Helper()
	in := &awsiam.CreateUserInput{UserName: &name, Path: &path}
	for _, tag := range tags {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(tag.Key), Value: aws.String(tag.Value)})
	}
	if _, err := a.client.CreateUser(t.Context(), in); err != nil {
		t.Fatal(err)
	}
}

func (a *administrator) putPolicy(t *testing.T, name, policy, document string) {
	t.Helper()
	if _, err := a.client.PutUserPolicy(t.Context(), &awsiam.PutUserPolicyInput{UserName: &name, PolicyName: &policy, PolicyDocument: &document}); err != nil {
		t.Fatal(err)
	}
}

func (a *administrator) tag(t *testing.T, name string, tags ...access.Tag) {
	t.Helper()
	for _, tag := range tags {
		var err error
		if tag.Value == "" {
			_, err = a.client.UntagUser(t.Context(), &awsiam.UntagUserInput{UserName: &name, TagKeys: []string{tag.Key}})
		} else {
			_, err = a.client.TagUser(t.Context(), &awsiam.TagUserInput{UserName: &name, Tags: []types.Tag{{Key: &tag.Key, Value: &tag.Value}}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (a *administrator) policies(t *testing.T, name string) (map[string]string, bool) {
	t.Helper()
	out, err := a.client.ListUserPolicies(t.Context(), &awsiam.ListUserPoliciesInput{UserName: &name})
	if api := smithy.APIError(nil); errors.As(err, &api) && api.ErrorCode() == "NoSuchEntity" {
		return nil, false
	}
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, policy := range out.PolicyNames {
		got, err := a.client.GetUserPolicy(t.Context(), &awsiam.GetUserPolicyInput{UserName: &name, PolicyName: &policy})
		if err != nil {
			t.Fatal(err)
		}
		if found[policy], err = url.PathUnescape(*got.PolicyDocument); err != nil {
			t.Fatal(err)
		}
	}
	return found, true
}

func (a *administrator) describe(t *testing.T, name string) (tags []access.Tag, boundary string) {
	t.Helper()
	out, err := a.client.GetUser(t.Context(), &awsiam.GetUserInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range out.User.Tags {
		tags = append(tags, access.Tag{Key: *tag.Key, Value: *tag.Value})
	}
	if b := out.User.PermissionsBoundary; b != nil {
		boundary = *b.PermissionsBoundaryArn
	}
	return tags, boundary
}

func stub(t *testing.T, timeout time.Duration, handler http.HandlerFunc) (accesskey.Users, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	u, err := iam.New(awsConfig("id", "secret"), iam.Config{Endpoint: server.URL, MaxAttempts: 2, CallTimeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return u, &requests
}

func TestErrorKinds(t *testing.T) {
	for _, test := range []struct {
		status   int
		code     string
		want     error
		requests int64
	}{
		{404, "NoSuchEntity", accesskey.ErrNotFound, 1},
		{409, "LimitExceeded", accesskey.ErrTooMany, 1},
		{409, "DeleteConflict", accesskey.ErrInUse, 1},
		{409, "ConcurrentModification", accesskey.ErrUnavailable, 1},
		{409, "EntityTemporarilyUnmodifiable", accesskey.ErrUnavailable, 1},
		{409, "EntityAlreadyExists", accesskey.ErrUnavailable, 1},
		{403, "AccessDenied", accesskey.ErrDenied, 1},
		{403, "InvalidClientTokenId", accesskey.ErrDenied, 1},
		{403, "SomethingNew", accesskey.ErrDenied, 1},
		{400, "Throttling", accesskey.ErrThrottled, 2},
		{429, "TooMany", accesskey.ErrThrottled, 1},
		{400, "ValidationError", accesskey.ErrInvalid, 1},
		{400, "MalformedPolicyDocument", accesskey.ErrInvalid, 1},
		{500, "ServiceFailure", accesskey.ErrUnavailable, 2},
		{503, "", accesskey.ErrUnavailable, 2},
	} {
		t.Run(fmt.Sprint(test.status, test.code), func(t *testing.T) {
			u, requests := stub(t, 20*time.Second, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = fmt.Fprintf(w, `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>%s</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>`, test.code)
			})
			err := u.SetActive(t.Context(), "someone", "AKIAEXAMPLEEXAMPLE00", true)
			got := (*accesskey.Error)(nil)
			if !errors.As(err, &got) || !errors.Is(got.Kind, test.want) || got.Op != "UpdateAccessKey" || got.User != "someone" {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if n := requests.Load(); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
		})
	}
}

// A lost answer must not end in a second key.
func TestAKeyIsAskedForOnce(t *testing.T) {
	u, requests := stub(t, 20*time.Second, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	if _, err := u.CreateKey(t.Context(), "someone"); !errors.Is(err, accesskey.ErrUnavailable) || requests.Load() != 1 {
		t.Errorf("%d requests, %v", requests.Load(), err)
	}
}

func TestSlowServer(t *testing.T) {
	release := make(chan struct{})
	u, _ := stub(t, 100*time.Millisecond, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	if _, err := u.Ensure(t.Context(), access.User{Name: "someone"}); !errors.Is(err, accesskey.ErrUnavailable) || t.Context().Err() != nil {
		t.Errorf("got %v", err)
	}
}

// What is attached to a user by hand is taken off, whatever page it is on.
func TestAttachedPoliciesAreDetached(t *testing.T) {
	var detached []string
	u, _ := stub(t, 20*time.Second, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(raw))
		action := form.Get("Action")
		body := ""
		switch {
		case action == "GetUser":
			body = `<User><UserName>u</UserName><Path>/</Path><UserId>AIDA</UserId><Arn>arn</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate><Tags><member><Key>lane-resource</Key><Value>a/b</Value></member></Tags></User>`
		case action == "ListUserPolicies":
			body = `<PolicyNames><member>lane</member></PolicyNames><IsTruncated>false</IsTruncated>`
		case action == "GetUserPolicy":
			body = `<UserName>u</UserName><PolicyName>lane</PolicyName><PolicyDocument>%7B%7D</PolicyDocument>`
		case action == "ListAttachedUserPolicies" && form.Get("Marker") == "":
			body = `<AttachedPolicies><member><PolicyName>a</PolicyName><PolicyArn>arn:aws:iam::aws:policy/AdministratorAccess</PolicyArn></member></AttachedPolicies><IsTruncated>true</IsTruncated><Marker>m</Marker>`
		case action == "ListAttachedUserPolicies":
			body = `<AttachedPolicies><member><PolicyName>b</PolicyName><PolicyArn>arn:aws:iam::aws:policy/AmazonS3FullAccess</PolicyArn></member></AttachedPolicies><IsTruncated>false</IsTruncated>`
		case action == "DetachUserPolicy":
			detached = append(detached, form.Get("PolicyArn"))
		case action == "ListAccessKeys":
			body = `<AccessKeyMetadata/><IsTruncated>false</IsTruncated>`
		default:
			t.Errorf("%s was called", action)
		}
		_, _ = fmt.Fprintf(w, `<%[1]sResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, action, body)
	})
	want := access.User{Name: "u", ARN: "arn", InlinePolicy: access.Policy{Name: "lane", Document: "{}"}, Tags: []access.Tag{{Key: access.TagLaneResource, Value: "a/b"}}}
	if _, err := u.Ensure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(detached, " "); got != "arn:aws:iam::aws:policy/AdministratorAccess arn:aws:iam::aws:policy/AmazonS3FullAccess" {
		t.Errorf("detached %s", got)
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []iam.Config{{CallTimeout: -1}, {MaxAttempts: -1}} {
		if _, err := iam.New(aws.Config{}, cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
	if _, err := iam.New(awsConfig("a", "b"), iam.Config{}); err != nil {
		t.Error(err)
	}
}
