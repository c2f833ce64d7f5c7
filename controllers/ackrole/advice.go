package ackrole

import "strings"

// advices are what to do about errors of IAM and STS, by what their messages
// hold. The first that fits is given: a code that has several causes comes after
// what tells them apart.
var advices = []struct{ says, then string }{
	{"is not attachable", "the permissions boundary of the operator's configuration does not exist in the account; apply what `kubectl lane bootstrap` prints"},
	{"RolesPerAccount", "the account has as many roles as its quota allows; delete roles that nobody needs, or ask AWS to raise the quota \"Roles per account\""},
	{"ACLSizePerRole", "the trust policy is longer than the account's quota; set roles.trustPolicyQuota in the operator's configuration to the quota \"Role trust policy length\", or ask AWS to raise that"},
	{"Maximum policy size", "the role has other inline policies that use up its quota; remove them in IAM"},
	{"LimitExceeded", "a quota of the account is used up; delete what nobody needs, or ask AWS to raise the quota that the message names"},
	{"MalformedPolicyDocument", "IAM does not accept the trust policy, most often because the account lacks an OIDC provider that oidcProviders of the operator's configuration lists; create it with what `kubectl lane bootstrap` prints"},
	{"AccessDenied", "the ACK controller lacks a permission; apply the policy for it that `kubectl lane bootstrap` prints"},
	{"UnauthorizedOperation", "the ACK controller lacks a permission; apply the policy for it that `kubectl lane bootstrap` prints"},
	{"DeleteConflict", "something that the ACK controller does not remove still hangs on the role, such as an instance profile; detach it in IAM"},
	{"EntityAlreadyExists", "somebody else made this role at the same moment; set spec.adopt of the lane to Existing to take it over, or delete it in IAM"},
	{"NoSuchEntity", "something that the role refers to, or the role itself, is not in the account; if this stays, apply what `kubectl lane bootstrap` prints"},
	{"InvalidInput", "IAM does not accept a value; compare the Role resource with the operator's configuration (path, boundary, session length)"},
	{"ExpiredToken", credentialsAdvice},
	{"InvalidClientTokenId", credentialsAdvice},
	{"UnrecognizedClientException", credentialsAdvice},
	{"SignatureDoesNotMatch", credentialsAdvice},
	{"RequestExpired", "the clock of the ACK controller's machine is wrong, or its requests are held up on their way; set the clock"},
	{"get credentials", credentialsAdvice},
	{"refresh cached credentials", credentialsAdvice},
	{"Throttling", waitAdvice},
	{"TooManyRequests", waitAdvice},
	{"RequestLimitExceeded", waitAdvice},
	{"ConcurrentModification", waitAdvice},
	{"ServiceUnavailable", waitAdvice},
	{"ServiceFailure", waitAdvice},
	{"InternalFailure", waitAdvice},
	{"no such host", networkAdvice},
	{"connection refused", networkAdvice},
	{"i/o timeout", networkAdvice},
	{"deadline exceeded", networkAdvice},
}

const (
	credentialsAdvice = "the ACK controller's own AWS credentials are missing, expired or wrong; renew them, see its service account and its log"
	waitAdvice        = "there is nothing to do: it passes by itself"
	networkAdvice     = "the ACK controller does not reach IAM; see its network policy and its endpoint settings"
)

// The steps to take when nothing more is known.
const (
	adviceRecoverable = "if this stays, look at the Role resource and at the ACK controller's log"
	adviceTerminal    = "mend the cause in the account, then change the lane, or delete the Role resource to have it made anew"
)

// advise is the next step to take about a message of ACK's.
func advise(message, otherwise string) string {
	for _, a := range advices {
		if strings.Contains(message, a.says) {
			return a.then
		}
	}
	return otherwise
}
