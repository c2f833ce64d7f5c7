package sts

import (
	"context"
	"fmt"
	"net/url"
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

// Tokens may be this much off our clock.
const leeway = 5 * time.Minute

// conditionClaims are the claims of a GitHub token that AWS makes available to
// trust policies, besides aud and sub. The others exist in the token and are
// not to be had in a condition, here as there.
var conditionClaims = []string{
	"actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref",
	"repository", "repository_id", "repository_owner_id", "workflow",
}

// Service hands out sessions of roles.
type Service struct {
	issuer *oidc.Issuer
	store  storage.Storer
	now    func() time.Time
}

// New returns the service for the tokens of one issuer and the users of a store.
func New(issuer *oidc.Issuer, store storage.Storer) *Service {
	return &Service{issuer: issuer, store: store, now: time.Now}
}

// ProviderURL is the issuer without its scheme: the prefix of its condition keys
// and the tail of the provider's ARN.
func (s *Service) ProviderURL() string {
	_, rest, _ := strings.Cut(s.issuer.URL(), "://")
	return rest
}

// ProviderARN names the issuer in a trust policy.
func (s *Service) ProviderARN() string {
	return "arn:aws:iam::" + config.AccountID + ":oidc-provider/" + s.ProviderURL()
}

// Knows reports whether the token claims to be from our issuer.
func (s *Service) Knows(token string) bool {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		return false
	}
	return claims["iss"] == s.issuer.URL()
}

// Assume decides the request and stores the session. Errors are iamerr.Error
// with STS's codes.
func (s *Service) Assume(ctx context.Context, form url.Values, sourceIP string) (any, error) {
	req, err := parse(form)
	if err != nil {
		return nil, err
	}
	token := form.Get("WebIdentityToken")
	now := s.now().UTC().Truncate(time.Second)
	claims, err := s.issuer.Verify(token)
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
func (s *Service) decide(ctx context.Context, role *types.Role, claims jwt.MapClaims, session, sourceIP string, now time.Time) (string, error) {
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
func (s *Service) open(ctx context.Context, role *types.Role, req request, audience string, claims jwt.MapClaims, now time.Time) (any, error) {
	subject, _ := claims["sub"].(string)
	session := newSession(role, req, now)
	session.Provider, session.Audience, session.Subject = s.ProviderARN(), audience, subject
	if _, err := s.store.CreateSession(ctx, session); err != nil {
		return nil, fmt.Errorf("store the session: %w", err)
	}
	response := &types.AssumeRoleWithWebIdentityResponse{Result: types.AssumeRoleWithWebIdentityResult{
		Audience: audience, AssumedRoleUser: assumed(session), Provider: s.ProviderARN(),
		Credentials: credentials(session), SubjectFromWebIdentityToken: subject, PackedPolicySize: req.packedPolicySize(),
	}}
	response.SetRequestID(uuid.NewString())
	return response, nil
}
