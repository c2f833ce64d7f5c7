package sts

import (
	"context"
	"maps"
	"net/url"
	"testing"
	"time"

	"github.com/versity/versitygw/iamapi/types"
)

const (
	userARN   = "arn:aws:iam::000000000000:user/lanes/lane-spyre"
	keyedRole = "arn:aws:iam::000000000000:role/lanes/keyed"
	allowOwn  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + keyedRole + `"}]}`
)

func account(condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"sts:AssumeRole"` + condition + `}]}`
}

// keyed adds a role of that trust to the fixture.
func (f *fixture) keyed(t *testing.T, trust string) {
	t.Helper()
	_ = f.store.DeleteRole(t.Context(), "keyed")
	if _, err := f.store.CreateRole(t.Context(), types.Role{
		Path: "/lanes/", RoleName: "keyed", RoleID: "AROA2", Arn: keyedRole, AssumeRolePolicyDocument: trust, MaxSessionDuration: 3600,
	}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) assumeAs(caller *types.User, change url.Values) (any, error) {
	form := url.Values{"RoleArn": {keyedRole}, "RoleSessionName": {"ci"}}
	maps.Copy(form, change)
	return f.sts.AssumeRole(context.Background(), caller, form, "127.0.0.1")
}

func caller(document string) *types.User {
	user := &types.User{UserName: "lane-spyre", UserID: "AIDA1", Arn: userARN, Tags: []types.Tag{{Key: "lane", Value: "spyre"}}}
	if document != "" {
		user.Policies.Inline = []types.PolicyEntry{{PolicyName: "lane", PolicyDocument: document}}
	}
	return user
}

func TestWhoMayAssumeARole(t *testing.T) {
	f := newFixture(t)
	onlyTheUser := `,"Condition":{"StringEquals":{"aws:PrincipalArn":"` + userARN + `"}}`
	named := func(effect, arn string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"` + effect + `","Principal":{"AWS":["` + arn + `"]},"Action":"sts:AssumeRole"}]}`
	}
	for name, c := range map[string]struct {
		trust, policy string
		want          string
	}{
		"account and user agree":       {account(onlyTheUser), allowOwn, ""},
		"any user of the account":      {account(""), allowOwn, ""},
		"the account by its number":    {named("Allow", "000000000000"), allowOwn, ""},
		"the user has no right":        {account(onlyTheUser), "", "AccessDenied"},
		"the user is denied":           {account(onlyTheUser), `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`, "AccessDenied"},
		"a right to another role":      {account(onlyTheUser), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + roleARN + `"}]}`, "AccessDenied"},
		"another user":                 {account(`,"Condition":{"StringEquals":{"aws:PrincipalArn":"` + userARN + `2"}}`), allowOwn, "AccessDenied"},
		"another account":              {named("Allow", "arn:aws:iam::111111111111:root"), allowOwn, "AccessDenied"},
		"named, without a right":       {named("Allow", userARN), "", ""},
		"named, but denied":            {named("Allow", userARN), `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`, "AccessDenied"},
		"everybody is denied":          {named("Deny", "*"), allowOwn, "AccessDenied"},
		"only a token is trusted":      {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::000000000000:oidc-provider/x"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`, allowOwn, "AccessDenied"},
		"the right kind, other action": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"sts:TagSession"}]}`, allowOwn, "AccessDenied"},
		"a tag of the user":            {account(`,"Condition":{"StringEquals":{"aws:PrincipalTag/lane":"spyre"}}`), allowOwn, ""},
		"another tag":                  {account(`,"Condition":{"StringEquals":{"aws:PrincipalTag/lane":"other"}}`), allowOwn, "AccessDenied"},
		"a key that is not there":      {account(`,"Condition":{"StringEquals":{"sts:ExternalId":"x"}}`), allowOwn, "AccessDenied"},
		"a session is no user":         {account(`,"Condition":{"Null":{"aws:TokenIssueTime":"false"}}`), allowOwn, "AccessDenied"},
		"no document at all":           {"{}", allowOwn, "AccessDenied"},
	} {
		f.keyed(t, c.trust)
		if _, err := f.assumeAs(caller(c.policy), nil); code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestAnAssumedRoleIsASession(t *testing.T) {
	f := newFixture(t)
	f.keyed(t, account(""))
	out, err := f.assumeAs(caller(allowOwn), url.Values{"DurationSeconds": {"900"}})
	if err != nil {
		t.Fatal(err)
	}
	response, ok := out.(*assumeRoleResponse)
	if !ok {
		t.Fatalf("the answer is a %T", out)
	}
	creds := response.Result.Credentials
	session, err := f.store.GetSession(t.Context(), creds.AccessKeyId)
	if err != nil {
		t.Fatal(err)
	}
	if session.RoleID != "AROA2" || session.SessionToken != creds.SessionToken || !session.Expiration.Equal(now.Add(15*time.Minute)) ||
		response.Result.AssumedRoleUser.Arn != "arn:aws:sts::000000000000:assumed-role/keyed/ci" {
		t.Errorf("session %+v, answer %+v", session, response.Result.AssumedRoleUser)
	}
}

func TestBadRequestsToAssume(t *testing.T) {
	f := newFixture(t)
	f.keyed(t, account(""))
	for _, c := range []struct{ field, value, want string }{
		{"RoleArn", "", "ValidationError"},
		{"RoleArn", "arn:aws:iam::000000000000:role/keyed", "AccessDenied"}, // path left out
		{"RoleArn", "arn:aws:iam::000000000000:role/lanes/none", "AccessDenied"},
		{"RoleSessionName", "", "ValidationError"},
		{"DurationSeconds", "3601", "ValidationError"}, // the role's own limit
		{"Tags.member.1.Key", "lane", "InvalidInput"},
		{"Policy", "{}", "MalformedPolicyDocument"},
	} {
		if _, err := f.assumeAs(caller(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`), url.Values{c.field: {c.value}}); code(err) != c.want {
			t.Errorf("%s=%q: %v, want %s", c.field, c.value, err, c.want)
		}
	}
	if _, err := f.assumeAs(nil, nil); code(err) != "AccessDenied" {
		t.Errorf("the root credential: %v", err)
	}
}
