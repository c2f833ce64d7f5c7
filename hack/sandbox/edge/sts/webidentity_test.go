package sts

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/versity/versitygw/iamapi/iamerr"
	"github.com/versity/versitygw/iamapi/storage"
	"github.com/versity/versitygw/iamapi/types"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/oidc"
)

const (
	issuerURL = "http://127.0.0.1:4000"
	roleARN   = "arn:aws:iam::000000000000:role/lanes/lane-spyre"
)

// The storage goes by the real clock, so the test's is near it.
var now = time.Now().UTC().Truncate(time.Second)

type fixture struct {
	sts    *Service
	issuer *oidc.Issuer
	store  storage.Storer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	store, err := storage.NewInternal(dir)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := oidc.New(issuerURL, filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	s := New(issuer, store)
	s.now = func() time.Time { return now }
	ctx := context.Background()
	if _, err := store.CreateOIDCProvider(ctx, types.OIDCProvider{
		Arn: s.ProviderARN(), Url: s.ProviderURL(), ClientIDList: []string{"sts.amazonaws.com"},
	}); err != nil {
		t.Fatal(err)
	}
	key := func(claim string) string { return s.ProviderURL() + ":" + claim }
	trust, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect": "Allow", "Principal": map[string]any{"Federated": s.ProviderARN()}, "Action": "sts:AssumeRoleWithWebIdentity",
			"Condition": map[string]any{
				"StringEquals": map[string]any{
					key("aud"): "sts.amazonaws.com", key("repository_id"): "42", key("repository_owner_id"): "7",
					key("ref"): "refs/heads/main", key("job_workflow_ref"): "pytorch/test-infra/.github/workflows/upload.yml@refs/heads/main",
				},
				"StringLike": map[string]any{key("sub"): []string{"repo:acme/torch:*", "repo:acme@7/torch@42:*"}},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.CreateRole(ctx, types.Role{
		Path: "/lanes/", RoleName: "lane-spyre", RoleID: "AROA1", Arn: roleARN,
		AssumeRolePolicyDocument: string(trust), MaxSessionDuration: 3600,
	}); err != nil {
		t.Fatal(err)
	}
	return &fixture{sts: s, issuer: issuer, store: store}
}

// job is what the right job's token says.
func job() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": issuerURL, "aud": "sts.amazonaws.com", "sub": "repo:acme/torch:environment:release",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"repository": "acme/torch", "repository_id": "42", "repository_owner_id": "7", "ref": "refs/heads/main",
		"job_workflow_ref": "pytorch/test-infra/.github/workflows/upload.yml@refs/heads/main",
	}
}

func (f *fixture) assume(t *testing.T, claims jwt.MapClaims, change url.Values) (*types.AssumeRoleWithWebIdentityResponse, error) {
	t.Helper()
	token, err := f.issuer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"RoleArn": {roleARN}, "RoleSessionName": {"job-1"}, "WebIdentityToken": {token}}
	maps.Copy(form, change)
	out, err := f.sts.Assume(context.Background(), form, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	response, ok := out.(*types.AssumeRoleWithWebIdentityResponse)
	if !ok {
		t.Fatalf("the answer is a %T", out)
	}
	return response, nil
}

func code(err error) string {
	var apiErr iamerr.Error
	if errors.As(err, &apiErr) {
		return apiErr.Code
	}
	return ""
}

func TestTheRightJobGetsASession(t *testing.T) {
	f := newFixture(t)
	sessionPolicy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`
	out, err := f.assume(t, job(), url.Values{"DurationSeconds": {"900"}, "Policy": {sessionPolicy}})
	if err != nil {
		t.Fatal(err)
	}
	creds := out.Result.Credentials
	session, err := f.store.GetSession(context.Background(), creds.AccessKeyId)
	if err != nil {
		t.Fatal(err)
	}
	if session.RoleID != "AROA1" || session.RoleSessionName != "job-1" || session.Policy != sessionPolicy || !session.CreateDate.Equal(now) {
		t.Errorf("stored session %+v", session)
	}
	if !creds.Expiration.Equal(now.Add(15 * time.Minute)) {
		t.Errorf("expires %s", creds.Expiration)
	}
	if got, want := out.Result.AssumedRoleUser.Arn, "arn:aws:sts::000000000000:assumed-role/lane-spyre/job-1"; got != want {
		t.Errorf("ARN %s, want %s", got, want)
	}
}

func TestTheNewFormOfSubjectIsTheSameJob(t *testing.T) {
	f := newFixture(t)
	claims := job()
	claims["sub"] = "repo:acme@7/torch@42:environment:release"
	if _, err := f.assume(t, claims, nil); err != nil {
		t.Error(err)
	}
}

func TestWrongTokensAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		name, claim string
		value       any // nil removes the claim
		want        string
	}{
		{"recycled repository name", "repository_id", "43", "AccessDenied"},
		{"recycled owner name", "repository_owner_id", "8", "AccessDenied"},
		{"another repository", "sub", "repo:evil/torch:environment:release", "AccessDenied"},
		{"another branch", "ref", "refs/heads/feature", "AccessDenied"},
		{"not through the workflow", "job_workflow_ref", "acme/torch/.github/workflows/x.yml@refs/heads/main", "AccessDenied"},
		{"claim missing", "job_workflow_ref", nil, "AccessDenied"},
		{"another audience", "aud", "elsewhere", "AccessDenied"},
		{"no audience", "aud", nil, "InvalidIdentityToken"},
		{"no subject", "sub", nil, "InvalidIdentityToken"},
		{"expired", "exp", now.Add(-time.Second).Unix(), "ExpiredTokenException"},
		{"no expiry", "exp", nil, "InvalidIdentityToken"},
		{"not valid yet", "nbf", now.Add(time.Hour).Unix(), "InvalidIdentityToken"},
		{"another issuer", "iss", "http://127.0.0.1:4001", "InvalidIdentityToken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims := job()
			claims[c.claim] = c.value
			if c.value == nil {
				delete(claims, c.claim)
			}
			if _, err := f.assume(t, claims, nil); code(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestASignatureOfAnotherKeyIsRefused(t *testing.T) {
	f := newFixture(t)
	forger, err := oidc.New(issuerURL, filepath.Join(t.TempDir(), "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := forger.Sign(job())
	if err != nil {
		t.Fatal(err)
	}
	if !f.sts.Knows(token) {
		t.Error("the token names our issuer, so it is ours to refuse")
	}
	if _, err := f.assume(t, job(), url.Values{"WebIdentityToken": {token}}); code(err) != "InvalidIdentityToken" {
		t.Errorf("forged: %v", err)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, job()).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.assume(t, job(), url.Values{"WebIdentityToken": {unsigned}}); code(err) != "InvalidIdentityToken" {
		t.Errorf("unsigned: %v", err)
	}
}

func TestBadRequests(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct{ field, value, want string }{
		{"RoleArn", "", "ValidationError"},
		{"RoleArn", "arn:aws:iam::000000000000:role/lane-spyre", "AccessDenied"}, // path left out
		{"RoleArn", "arn:aws:iam::000000000000:role/lanes/other", "AccessDenied"},
		{"RoleSessionName", "", "ValidationError"},
		{"RoleSessionName", "a b", "ValidationError"},
		{"DurationSeconds", "899", "ValidationError"},
		{"DurationSeconds", "3601", "ValidationError"}, // the role's own limit
		{"DurationSeconds", "x", "MalformedInput"},
		{"Policy", "{}", "MalformedPolicyDocument"},
		{"Policy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get` + strings.Repeat("x", 2048) + `","Resource":"*"}]}`, "ValidationError"},
	} {
		if _, err := f.assume(t, job(), url.Values{c.field: {c.value}}); code(err) != c.want {
			t.Errorf("%s=%.40q: %v, want %s", c.field, c.value, err, c.want)
		}
	}
}

// What AWS does not offer to trust policies must not work here either.
func TestClaimsThatAWSDoesNotEvaluateAreAbsent(t *testing.T) {
	claims := job()
	claims["event_name"], claims["workflow_ref"], claims["repository_owner"] = "push", "x", "acme"
	for _, name := range []string{"event_name", "workflow_ref", "repository_owner"} {
		if _, ok := conditionContext(claims)[name]; ok {
			t.Errorf("%s reached the condition context", name)
		}
	}
}
