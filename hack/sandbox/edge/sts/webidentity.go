// Package sts decides AssumeRoleWithWebIdentity for the sandbox's own issuer.
// versitygw does this for issuers on the internet, and refuses to fetch keys
// from loopback; this package follows the same order of checks, decides with
// versitygw's policy evaluation and stores the session in versitygw's storage, so
// that the S3 gateway treats it as any other. It may import versitygw's iamapi
// packages and package oidc.
package sts

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/versity/versitygw/iamapi/iamerr"
	"github.com/versity/versitygw/iamapi/policy"
	"github.com/versity/versitygw/iamapi/storage"
	"github.com/versity/versitygw/iamapi/types"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/config"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/oidc"
)

// Session length in seconds, as STS bounds it.
const (
	minDuration     = 900
	maxDuration     = 43200
	defaultDuration = 3600

	// Tokens may be this much off our clock.
	leeway = 5 * time.Minute

	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// conditionClaims are the claims of a GitHub token that AWS makes available to
// trust policies, besides aud and sub. The others exist in the token and are
// not to be had in a condition, here as there.
var conditionClaims = []string{
	"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref",
	"repository", "repository_id", "repository_owner_id", "workflow",
}

// WebIdentity exchanges the issuer's tokens for sessions.
type WebIdentity struct {
	issuer *oidc.Issuer
	store  storage.Storer
	now    func() time.Time
}

// New returns the exchange for one issuer.
func New(issuer *oidc.Issuer, store storage.Storer) *WebIdentity {
	return &WebIdentity{issuer: issuer, store: store, now: time.Now}
}

// ProviderURL is the issuer without its scheme: the prefix of its condition keys
// and the tail of the provider's ARN.
func (s *WebIdentity) ProviderURL() string {
	_, rest, _ := strings.Cut(s.issuer.URL(), "://")
	return rest
}

// ProviderARN names the issuer in a trust policy.
func (s *WebIdentity) ProviderARN() string {
	return "arn:aws:iam::" + config.AccountID + ":oidc-provider/" + s.ProviderURL()
}

// Knows reports whether the token claims to be from our issuer.
func (s *WebIdentity) Knows(token string) bool {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		return false
	}
	return claims["iss"] == s.issuer.URL()
}

// request is a parsed AssumeRoleWithWebIdentity.
type request struct {
	roleARN, sessionName, token, sessionPolicy string
	seconds                                    int32
}

func parse(form url.Values) (request, error) {
	r := request{
		roleARN:       form.Get("RoleArn"),
		sessionName:   form.Get("RoleSessionName"),
		token:         form.Get("WebIdentityToken"),
		sessionPolicy: form.Get("Policy"),
		seconds:       defaultDuration,
	}
	switch {
	case r.roleARN == "":
		return r, iamerr.MissingValue("roleArn")
	case r.sessionName == "":
		return r, iamerr.MissingValue("roleSessionName")
	case !sessionName.MatchString(r.sessionName):
		return r, iamerr.InvalidRoleSessionName(r.sessionName)
	case form.Get("PolicyArns.member.1.arn") != "":
		return r, iamerr.UnsupportedParameter("PolicyArns")
	}
	if raw := form.Get("DurationSeconds"); raw != "" {
		n, err := strconv.ParseInt(raw, 10, 32)
		switch {
		case err != nil:
			return r, iamerr.MalformedInput()
		case n < minDuration:
			return r, iamerr.DurationSecondsTooLow(raw)
		case n > maxDuration:
			return r, iamerr.DurationSecondsTooHigh(raw)
		}
		r.seconds = int32(n)
	}
	if r.sessionPolicy == "" {
		return r, nil
	}
	if len(r.sessionPolicy) > policy.MaxSessionPolicyBytes {
		return r, iamerr.ValueTooLong("policy", policy.MaxSessionPolicyBytes)
	}
	if err := policy.Validate("policy", r.sessionPolicy); err != nil {
		return r, err
	}
	return r, policy.Parse(r.sessionPolicy)
}

// Assume decides the request and stores the session. Errors are iamerr.Error
// with STS's codes.
func (s *WebIdentity) Assume(ctx context.Context, form url.Values, sourceIP string) (any, error) {
	req, err := parse(form)
	if err != nil {
		return nil, err
	}
	now := s.now().UTC().Truncate(time.Second)
	claims, err := s.issuer.Verify(req.token)
	if err != nil {
		return nil, iamerr.InvalidIdentityTokenMalformed()
	}
	if err := checkTimes(claims, now); err != nil {
		return nil, err
	}
	role, err := s.store.GetRole(ctx, req.roleARN[strings.LastIndex(req.roleARN, "/")+1:])
	if err != nil || role.Arn != req.roleARN {
		return nil, iamerr.AccessDeniedAssumeRoleWithWebIdentity()
	}
	if role.MaxSessionDuration > 0 && req.seconds > role.MaxSessionDuration {
		return nil, iamerr.DurationExceedsMaxSessionDuration()
	}
	audience, err := s.decide(ctx, role, claims, req.sessionName, sourceIP, now)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, role, req, audience, claims, now)
}

func checkTimes(claims jwt.MapClaims, now time.Time) error {
	exp, ok := claims["exp"].(float64)
	if !ok {
		return iamerr.InvalidIdentityTokenMissingClaim("exp")
	}
	if now.After(time.Unix(int64(exp), 0)) {
		return iamerr.ExpiredWebIdentityToken(now.Unix(), int64(exp))
	}
	if _, ok := claims["iat"].(float64); !ok {
		return iamerr.InvalidIdentityTokenMissingClaim("iat")
	}
	if sub, _ := claims["sub"].(string); sub == "" {
		return iamerr.InvalidIdentityTokenMissingClaim("sub")
	}
	if nbf, ok := claims["nbf"].(float64); ok && now.Before(time.Unix(int64(nbf), 0).Add(-leeway)) {
		return iamerr.InvalidIdentityTokenClaims()
	}
	return nil
}

// decide evaluates the role's trust policy and returns the token's audience.
func (s *WebIdentity) decide(ctx context.Context, role *types.Role, claims jwt.MapClaims, session, sourceIP string, now time.Time) (string, error) {
	audience, _ := claims["aud"].(string)
	if audience == "" {
		return "", iamerr.InvalidIdentityTokenClaims()
	}
	subject, _ := claims["sub"].(string)
	wctx := policy.WebIdentityContext{
		ProviderURL: s.ProviderURL(), Audience: audience, Subject: subject,
		Claims:   conditionContext(claims),
		SourceIP: sourceIP, Secure: true, Now: now, RoleSessionName: session,
	}
	lookup := func(arn string) (string, bool) {
		provider, err := s.store.GetOIDCProvider(ctx, arn)
		if err != nil {
			return "", false
		}
		return provider.Url, true
	}
	match, providerARN := policy.EvaluateWebIdentityTrust(role.AssumeRolePolicyDocument, lookup, wctx)
	switch match {
	case policy.Allowed:
	default:
		return "", iamerr.AccessDeniedAssumeRoleWithWebIdentity()
	}
	provider, err := s.store.GetOIDCProvider(ctx, providerARN)
	if err != nil {
		return "", iamerr.AccessDeniedAssumeRoleWithWebIdentity()
	}
	if !slices.Contains(provider.ClientIDList, audience) {
		return "", iamerr.InvalidIdentityTokenClaims()
	}
	return audience, nil
}

func conditionContext(claims jwt.MapClaims) map[string][]string {
	out := map[string][]string{}
	for _, name := range conditionClaims {
		switch value := claims[name].(type) {
		case string:
			out[name] = []string{value}
		case bool:
			out[name] = []string{strconv.FormatBool(value)}
		case float64:
			out[name] = []string{strconv.FormatFloat(value, 'f', -1, 64)}
		}
	}
	return out
}

// open stores the session and composes the answer.
func (s *WebIdentity) open(ctx context.Context, role *types.Role, req request, audience string, claims jwt.MapClaims, now time.Time) (any, error) {
	subject, _ := claims["sub"].(string)
	session := types.Session{
		AccessKeyId: "ASIA" + randomKey(16), SecretAccessKey: randomText(30), SessionToken: randomText(192),
		RoleArn: role.Arn, RoleName: role.RoleName, RoleID: role.RoleID, RoleSessionName: req.sessionName,
		Provider: s.ProviderARN(), Audience: audience, Subject: subject,
		CreateDate: now, Expiration: now.Add(time.Duration(req.seconds) * time.Second),
		Policy: req.sessionPolicy,
	}
	if _, err := s.store.CreateSession(ctx, session); err != nil {
		return nil, fmt.Errorf("store the session: %w", err)
	}
	result := types.AssumeRoleWithWebIdentityResult{
		Audience: audience,
		AssumedRoleUser: types.AssumedRoleUser{
			AssumedRoleId: role.RoleID + ":" + req.sessionName,
			Arn:           "arn:aws:sts::" + config.AccountID + ":assumed-role/" + role.RoleName + "/" + req.sessionName,
		},
		Provider: s.ProviderARN(),
		Credentials: types.Credentials{
			AccessKeyId: session.AccessKeyId, SecretAccessKey: session.SecretAccessKey,
			SessionToken: session.SessionToken, Expiration: session.Expiration,
		},
		SubjectFromWebIdentityToken: subject,
	}
	if req.sessionPolicy != "" {
		percent := int64(len(req.sessionPolicy) * 100 / policy.MaxSessionPolicyBytes)
		result.PackedPolicySize = &percent
	}
	response := &types.AssumeRoleWithWebIdentityResponse{Result: result}
	response.SetRequestID(uuid.NewString())
	return response, nil
}

func randomKey(n int) string {
	key := make([]byte, n)
	for i := range key {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			panic(err) // the system has no randomness left
		}
		key[i] = alphabet[k.Int64()]
	}
	return string(key)
}

func randomText(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return base64.StdEncoding.EncodeToString(raw)
}
