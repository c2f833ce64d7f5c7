package ackrole

import (
	"strings"
	"testing"

	ackiam "github.com/aws-controllers-k8s/iam-controller/apis/v1alpha1"
	ack "github.com/aws-controllers-k8s/runtime/apis/core/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// What ACK passes on from IAM and STS, as it reads there.
func TestAdvise(t *testing.T) {
	const operation = "operation error IAM: CreateRole, https response error StatusCode: 4xx, RequestID: 1, "
	for message, then := range map[string]string{
		operation + "api error AccessDenied: User: arn:aws:iam::1:user/ack is not authorized to perform: iam:CreateRole on resource: role lane-spyre":                                   "policy for it that `kubectl lane bootstrap` prints",
		operation + "LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000":                                                                                                      "Roles per account",
		operation + "LimitExceeded: Cannot exceed quota for ACLSizePerRole: 2048":                                                                                                       "Role trust policy length",
		operation + "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role lane-spyre":                                                                                    "remove them in IAM",
		operation + "LimitExceeded: something else":                                                                                                                                     "the quota that the message names",
		operation + "MalformedPolicyDocument: Invalid principal in policy: \"Federated\":\"arn:aws:iam::1:oidc-provider/gitlab.com\"":                                                   "oidcProviders",
		operation + "NoSuchEntity: Scope ARN: arn:aws:iam::1:policy/boundary does not exist or is not attachable.":                                                                      "permissions boundary of the operator's configuration does not exist",
		operation + "NoSuchEntity: The role with name lane-spyre cannot be found.":                                                                                                      "if this stays",
		operation + "EntityAlreadyExists: Role with name lane-spyre already exists.":                                                                                                    "spec.adopt",
		operation + "DeleteConflict: Cannot delete entity, must remove roles from instance profile first.":                                                                              "detach it in IAM",
		operation + "InvalidInput: bad path":                                                                                                                                            "compare the Role resource",
		operation + "api error Throttling: Rate exceeded":                                                                                                                               "nothing to do",
		operation + "api error ThrottlingException: Rate exceeded":                                                                                                                      "nothing to do",
		operation + "ConcurrentModification: The request was rejected because multiple requests":                                                                                        "nothing to do",
		operation + "api error ServiceUnavailable: none":                                                                                                                                "nothing to do",
		operation + "api error ExpiredToken: The security token included in the request is expired":                                                                                     "own AWS credentials",
		operation + "api error ExpiredTokenException: The security token included in the request is expired":                                                                            "own AWS credentials",
		operation + "api error InvalidClientTokenId: The security token included in the request is invalid":                                                                             "own AWS credentials",
		operation + "get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found":                                                                       "own AWS credentials",
		operation + "request send failed, Post \"https://iam.amazonaws.com/\": dial tcp: lookup iam.amazonaws.com: no such host":                                                        "does not reach IAM",
		operation + "request send failed, Post \"http://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused":                                                              "does not reach IAM",
		operation + "something that nobody has seen before":                                                                                                                             "otherwise",
		operation + "api error AccessDenied: not authorized to perform: iam:PutRolePermissionsBoundary because no identity-based policy allows the action":                              "policy for it that `kubectl lane bootstrap` prints",
		"failed to get credentials for arn:aws:iam::1:role/ack: operation error STS: AssumeRole, api error AccessDenied: not authorized to perform: sts:AssumeRole on resource: role/x": "policy for it that",
	} {
		if got := advise(message, "otherwise"); !strings.Contains(got, then) {
			t.Errorf("%s\nadvises %q, want %q", message, got, then)
		}
	}
	seen := map[string]bool{}
	for _, a := range advices {
		if a.says == "" || a.then == "" || seen[a.says] || strings.HasSuffix(a.then, ".") {
			t.Errorf("the entry %+v is twice, lacks something or ends in a full stop", a)
		}
		seen[a.says] = true
	}
}

// The advice is what a message ends in, however long what ACK says is.
func TestToldEndsInTheNextStep(t *testing.T) {
	long := "operation error IAM: AccessDenied: " + strings.Repeat("x", 5000)
	for _, c := range []struct {
		kind    ack.ConditionType
		message string
		then    string
	}{
		{ack.ConditionTypeRecoverable, long, "kubectl lane bootstrap` prints"},
		{ack.ConditionTypeTerminal, long, "kubectl lane bootstrap` prints"},
		{ack.ConditionTypeTerminal, "what is that", adviceTerminal},
		{ack.ConditionTypeRecoverable, "what is that", adviceRecoverable},
	} {
		role := &ackiam.Role{Status: ackiam.RoleStatus{Conditions: []*ack.Condition{{Type: c.kind, Status: corev1.ConditionTrue, Message: &c.message}}}}
		if o := report(role); !strings.HasSuffix(o.Message, c.then) || len(o.Message) > 1024 {
			t.Errorf("%s: %q", c.kind, o.Message)
		}
	}
}
