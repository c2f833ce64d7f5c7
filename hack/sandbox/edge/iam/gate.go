package iam

import (
	"net/http"
	"time"

	"github.com/versity/versitygw/iamapi/iamerr"
	"github.com/versity/versitygw/iamapi/policy"
	"github.com/versity/versitygw/iamapi/types"
)

// Gate lets the account's root credential and its users into the services that
// the edge answers itself, as far as the users' policies allow. Sessions are
// turned away: no role of this account is for those services.
type Gate struct {
	store *Store
	root  Credentials
}

// NewGate returns the gate of an account.
func NewGate(store *Store, root Credentials) *Gate { return &Gate{store: store, root: root} }

// Authorize verifies the request's signature and the caller's right to the
// action on the resource. Errors are iamerr.Error.
func (g *Gate) Authorize(r *http.Request, body []byte, action, resource string) error {
	user, err := g.Authenticate(r, body)
	if err != nil || user == nil {
		return err
	}
	request := policy.RequestContext{
		Action: action, Resource: resource,
		Condition: map[string][]string{
			"aws:username":    {user.UserName},
			"aws:CurrentTime": {time.Now().UTC().Format(time.RFC3339)},
		},
	}
	if policy.EvaluateIdentityPolicies(user.Policies.Inline, request) != policy.DecisionAllow {
		return iamerr.AccessDeniedIAMAction(user.Arn, action)
	}
	return nil
}

// Authenticate verifies the request's signature and returns the user who made
// it, nil for the root credential, which may do anything. Errors are
// iamerr.Error.
func (g *Gate) Authenticate(r *http.Request, body []byte) (*types.User, error) {
	auth, err := parseAuthorization(r)
	if err != nil {
		return nil, err
	}
	if auth.accessKeyID == g.root.AccessKeyID {
		return nil, auth.verify(r, body, g.root.SecretAccessKey)
	}
	user, err := g.store.GetUserByAccessKeyID(r.Context(), auth.accessKeyID)
	if err != nil {
		return nil, iamerr.GetAPIError(iamerr.ErrInvalidClientTokenID)
	}
	for _, key := range user.AccessKeys {
		if key.AccessKeyId == auth.accessKeyID && key.Status == "Active" {
			return user, auth.verify(r, body, key.SecretAccessKey)
		}
	}
	return nil, iamerr.GetAPIError(iamerr.ErrInvalidClientTokenID)
}
