package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/account"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

// policies are what the account's users may do: the very documents that
// `kubectl lane bootstrap` prints for an account like this one, but for what
// adapt changes.
func (s *Stack) policies() (map[string][]json.RawMessage, error) {
	config, err := s.OperatorConfig(func(c *operatorconfig.Config) {
		// As if all buckets lay in AWS and were reached with one credential: only
		// then do policies speak of them.
		c.Mirrors = append(c.Mirrors, operatorconfig.Mirror{
			Name: UnversionedBucket, Store: operatorconfig.Store{Bucket: UnversionedBucket, PublicBaseURLs: []string{s.MirrorURL}},
		})
		for i := range c.Mirrors {
			c.Mirrors[i].Endpoint, c.Mirrors[i].CredentialsFile = "", ""
		}
	})
	if err != nil {
		return nil, err
	}
	cfg, err := operatorconfig.Parse(config)
	if err != nil {
		return nil, fmt.Errorf("the sandbox's own operator configuration: %w", err)
	}
	documents, err := account.Documents(cfg)
	if err != nil {
		return nil, err
	}
	policies := map[string][]json.RawMessage{}
	for _, d := range documents {
		var user string
		switch {
		case d.Name == account.IAMController:
			user = ackUser
		case d.Name == account.Operator, strings.HasPrefix(d.Name, account.Operator+"-"):
			user = operatorUser
		default:
			continue // The boundary and the buckets' policies are no user's.
		}
		adapted, err := adapt(d.JSON)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Name, err)
		}
		policies[user] = append(policies[user], adapted)
	}
	return policies, nil
}

// boundaryKey is a condition key that versitygw does not know.
const boundaryKey = "iam:PermissionsBoundary"

// adapt makes of a policy what versitygw can judge. Two things differ, and nothing
// else:
//
//   - It has no permissions boundaries. A condition on the boundary is left out of
//     an Allow, and a Deny that has one is left out altogether.
//   - It asks about a role or user that does not exist under no name at all, which
//     only a resource of * covers. That is what the two calls get that look for
//     one before it is made.
func adapt(document []byte) (json.RawMessage, error) {
	var policy struct {
		Version   string
		Statement []map[string]any
	}
	if err := json.Unmarshal(document, &policy); err != nil {
		return nil, err
	}
	policy.Statement = slices.DeleteFunc(policy.Statement, func(s map[string]any) bool {
		return withoutBoundary(s) && s["Effect"] == "Deny"
	})
	for _, s := range policy.Statement {
		if action := s["Action"]; action == "iam:GetRole" || action == "iam:GetUser" {
			s["Resource"] = "*"
		}
	}
	return json.Marshal(policy)
}

// withoutBoundary takes conditions on the boundary out of a statement, and says
// whether there was one.
func withoutBoundary(statement map[string]any) (found bool) {
	conditions, _ := statement["Condition"].(map[string]any)
	for operator, keys := range conditions {
		keys, _ := keys.(map[string]any)
		if _, ok := keys[boundaryKey]; !ok {
			continue
		}
		found = true
		if delete(keys, boundaryKey); len(keys) == 0 {
			delete(conditions, operator)
		}
	}
	if found && len(conditions) == 0 {
		delete(statement, "Condition")
	}
	return found
}
