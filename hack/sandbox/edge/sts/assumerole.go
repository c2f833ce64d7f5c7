package sts

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/versity/versitygw/iamapi/iamerr"
	"github.com/versity/versitygw/iamapi/policy"
	"github.com/versity/versitygw/iamapi/types"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/config"
)

const assumeRoleAction = "sts:AssumeRole"

type assumeRoleResponse struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
	Result  struct {
		AssumedRoleUser  types.AssumedRoleUser
		Credentials      types.Credentials
		PackedPolicySize *int64 `xml:",omitempty"`
	} `xml:"AssumeRoleResult"`
	ResponseMetadata types.ResponseMetadata
}

// AssumeRole decides the request of a user who was authenticated already and
// stores the session. Nobody stands for the account's root credential, which may
// not assume a role. Errors are iamerr.Error with STS's codes.
func (s *Service) AssumeRole(ctx context.Context, caller *types.User, form url.Values, sourceIP string) (any, error) {
	req, err := parse(form)
	if err != nil {
		return nil, err
	}
	for _, parameter := range []string{"Tags.member.1.Key", "SerialNumber", "SourceIdentity"} {
		if form.Has(parameter) {
			name, _, _ := strings.Cut(parameter, ".")
			return nil, iamerr.UnsupportedParameter(name)
		}
	}
	if caller == nil {
		return nil, accessDenied("Roles may not be assumed by root accounts.")
	}
	now := s.now().UTC().Truncate(time.Second)
	denied := accessDenied(fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", caller.Arn, assumeRoleAction, req.roleARN))
	role, err := s.store.GetRole(ctx, req.roleARN[strings.LastIndex(req.roleARN, "/")+1:])
	if err != nil || role.Arn != req.roleARN {
		return nil, denied
	}
	conditions := userConditions(caller, req, sourceIP, now)
	if id := form.Get("ExternalId"); id != "" {
		conditions["sts:ExternalId"] = []string{id}
	}
	if !mayAssume(caller, role, conditions) {
		return nil, denied
	}
	if role.MaxSessionDuration > 0 && req.seconds > role.MaxSessionDuration {
		return nil, iamerr.DurationExceedsMaxSessionDuration()
	}
	session := newSession(role, req, now)
	if _, err := s.store.CreateSession(ctx, session); err != nil {
		return nil, fmt.Errorf("store the session: %w", err)
	}
	response := &assumeRoleResponse{ResponseMetadata: types.ResponseMetadata{RequestID: uuid.NewString()}}
	response.Result.AssumedRoleUser, response.Result.Credentials = assumed(session), credentials(session)
	response.Result.PackedPolicySize = req.packedPolicySize()
	return response, nil
}

func accessDenied(message string) error {
	return iamerr.Error{Type: iamerr.TypeSender, Code: "AccessDenied", HTTPStatusCode: http.StatusForbidden, Message: message}
}

// userConditions are the keys that AWS offers about a user who assumes a role.
func userConditions(caller *types.User, req request, sourceIP string, now time.Time) map[string][]string {
	keys := map[string][]string{
		"aws:PrincipalArn": {caller.Arn}, "aws:PrincipalAccount": {config.AccountID}, "aws:PrincipalType": {"User"},
		"aws:username": {caller.UserName}, "aws:userid": {caller.UserID},
		"aws:CurrentTime": {now.Format(time.RFC3339)}, "aws:SourceIp": {sourceIP}, "aws:SecureTransport": {"true"},
		"sts:RoleSessionName": {req.sessionName},
	}
	for _, tag := range caller.Tags {
		keys["aws:PrincipalTag/"+tag.Key] = []string{tag.Value}
	}
	return keys
}

// mayAssume joins the two sides as AWS does within one account: a Deny on either
// wins; a trust policy that names the user is enough; one that names the account
// leaves the decision to the user's own policies.
func mayAssume(caller *types.User, role *types.Role, conditions map[string][]string) bool {
	request := policy.RequestContext{Action: assumeRoleAction, Resource: role.Arn, Condition: conditions}
	own := policy.EvaluateIdentityPolicies(caller.Policies.Inline, request)
	user, account := []string{"*", caller.Arn}, []string{config.AccountID, "arn:aws:iam::" + config.AccountID + ":root"}
	byName := evaluateTrust(role.AssumeRolePolicyDocument, user, request)
	byAccount := evaluateTrust(role.AssumeRolePolicyDocument, account, request)
	if slices.Contains([]policy.Decision{own, byName, byAccount}, policy.DecisionDeny) {
		return false
	}
	return byName == policy.DecisionAllow || byAccount == policy.DecisionAllow && own == policy.DecisionAllow
}

// evaluateTrust decides by the statements of a trust policy that name one of the
// principals. versitygw evaluates trust policies for web identities only; without
// its principal, and about the role itself, a statement is one of an identity
// policy, which it evaluates for everybody.
func evaluateTrust(document string, principals []string, request policy.RequestContext) policy.Decision {
	if err := policy.ParseTrust(document); err != nil {
		return policy.DecisionDeny
	}
	var trust policy.Document
	if err := json.Unmarshal([]byte(document), &trust); err != nil {
		return policy.DecisionDeny
	}
	about := []map[string]any{}
	for _, st := range trust.Statement {
		var principal struct{ AWS policy.StringOrSlice }
		if err := json.Unmarshal(st.Principal, &principal); err != nil {
			return policy.DecisionDeny
		}
		if !slices.ContainsFunc(principal.AWS, func(p string) bool { return slices.Contains(principals, p) }) {
			continue
		}
		converted := map[string]any{"Effect": st.Effect, "Resource": "*"}
		if len(st.Action) > 0 {
			converted["Action"] = st.Action
		} else {
			converted["NotAction"] = st.NotAction
		}
		if len(st.Condition) > 0 {
			converted["Condition"] = st.Condition
		}
		about = append(about, converted)
	}
	if len(about) == 0 {
		return policy.DecisionNoMatch
	}
	raw, err := json.Marshal(map[string]any{"Version": trust.Version, "Statement": about})
	if err != nil {
		return policy.DecisionDeny
	}
	return policy.EvaluateIdentityPolicies([]types.PolicyEntry{{PolicyName: "trust", PolicyDocument: string(raw)}}, request)
}
