package access

import (
	"regexp"
	"strconv"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// DefaultGitHubIssuer is the issuer of GitHub Actions' tokens on github.com.
const DefaultGitHubIssuer = "https://token.actions.githubusercontent.com"

// IAM's default quotas, in characters. The one for trust policies can be raised
// to 8,192 on request; the one for a role's inline policies, in sum, is fixed.
const (
	DefaultTrustPolicyQuota  = 2048
	DefaultInlinePolicyQuota = 10240
)

// DefaultSessionSeconds is how long a session may last at most; IAM's minimum.
const DefaultSessionSeconds = 3600

// ImmutableUploads says whether the store enforces that nothing is overwritten.
type ImmutableUploads string

// What ImmutableUploads may be.
const (
	// ImmutableUploadsUnenforced: the store does not know the condition keys
	// s3:if-none-match and s3:ObjectCreationOperation. The index engine still
	// refuses to list a file that was overwritten.
	ImmutableUploadsUnenforced ImmutableUploads = "Unenforced"
	// ImmutableUploadsEnforced: an upload must carry If-None-Match: *, and IAM
	// refuses one that does not.
	ImmutableUploadsEnforced ImmutableUploads = "Enforced"
)

// Provider is an OIDC identity provider that release engineering registered in
// the account.
type Provider struct {
	// Issuer is the URL in the tokens' iss claim.
	Issuer string
	// ARN is the provider's in IAM.
	ARN string
	// Claims are claims, beside sub and aud, that AWS evaluates of the issuer and
	// that this package does not know of.
	Claims []string
}

// Settings are what the documents need to know about the account. The zero value
// of a field with a default means the default.
type Settings struct {
	// AccountID is the AWS account's, 12 digits.
	AccountID string
	// Partition is the AWS partition; default aws.
	Partition string
	// Bucket is the name of the bucket that holds the lanes.
	Bucket string
	// RolePath is the IAM path of the roles, with a slash at both ends; default /.
	RolePath string
	// RolePrefix stands before the platform in a role's name, which is also the
	// name of the Role resource: lower-case letters, digits and hyphens.
	RolePrefix string
	// PermissionsBoundaryARN is the managed policy that bounds every role; none
	// when empty.
	PermissionsBoundaryARN string
	// GitHubIssuer issues the tokens of GitHub Actions; default
	// DefaultGitHubIssuer.
	GitHubIssuer string
	// Providers are the registered token issuers.
	Providers []Provider
	// AccessKeysEnabled says whether accessKey publishers are served.
	AccessKeysEnabled bool
	// SessionSeconds is how long a session may last at most, in seconds, 3600 to
	// 43200; default DefaultSessionSeconds.
	SessionSeconds int32
	// TrustPolicyQuota and InlinePolicyQuota are the account's limits, in
	// characters; default IAM's own.
	TrustPolicyQuota, InlinePolicyQuota int
	// ImmutableUploads says what the store can enforce; default Unenforced.
	ImmutableUploads ImmutableUploads
}

func (s Settings) withDefaults() Settings {
	or := func(value *string, fallback string) {
		if *value == "" {
			*value = fallback
		}
	}
	or(&s.Partition, "aws")
	or(&s.RolePath, "/")
	or(&s.GitHubIssuer, DefaultGitHubIssuer)
	or((*string)(&s.ImmutableUploads), string(ImmutableUploadsUnenforced))
	if s.SessionSeconds == 0 {
		s.SessionSeconds = DefaultSessionSeconds
	}
	if s.TrustPolicyQuota == 0 {
		s.TrustPolicyQuota = DefaultTrustPolicyQuota
	}
	if s.InlinePolicyQuota == 0 {
		s.InlinePolicyQuota = DefaultInlinePolicyQuota
	}
	return s
}

var (
	partitionRE  = regexp.MustCompile(`^aws[a-z-]{0,16}$`)
	bucketRE     = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	accountRE    = regexp.MustCompile(`^([0-9]{12})?$`)
	rolePathRE   = regexp.MustCompile(`^/([A-Za-z0-9._-]+/)*$`)
	rolePrefixRE = regexp.MustCompile(`^([a-z0-9][a-z0-9-]*)?$`)
	arnRE        = regexp.MustCompile(`^arn:[a-z-]+:iam::([0-9]{12}|aws):[A-Za-z0-9_=,.@:/-]+$`)
)

// check refuses settings that would end up in a document as something else than
// a plain value.
func (s Settings) check() Problems {
	var problems Problems
	demand := func(ok bool, field, value, want string) {
		if !ok {
			problems = append(problems, problemf(v1alpha1.ReasonUnsafeValue, "operator configuration: "+field,
				"%s is not %s; correct the operator's configuration", quote(value), want))
		}
	}
	demand(accountRE.MatchString(s.AccountID), "account id", s.AccountID, "an account id of 12 digits")
	demand(partitionRE.MatchString(s.Partition), "partition", s.Partition, "an AWS partition like aws or aws-cn")
	demand(bucketRE.MatchString(s.Bucket), "bucket", s.Bucket, "the name of an S3 bucket")
	demand(rolePathRE.MatchString(s.RolePath) && len(s.RolePath) <= 512, "role path", s.RolePath, "an IAM path like /lanes/")
	demand(rolePrefixRE.MatchString(s.RolePrefix), "role prefix", s.RolePrefix,
		"made of lower-case letters, digits and hyphens, as the name of a Role resource is")
	if s.PermissionsBoundaryARN != "" {
		demand(arnRE.MatchString(s.PermissionsBoundaryARN), "permissions boundary", s.PermissionsBoundaryARN, "the ARN of a managed policy")
	}
	demand(s.SessionSeconds >= 3600 && s.SessionSeconds <= 43200, "session seconds", strconv.Itoa(int(s.SessionSeconds)), "from 3600 to 43200")
	demand(s.ImmutableUploads == ImmutableUploadsEnforced || s.ImmutableUploads == ImmutableUploadsUnenforced,
		"immutable uploads", string(s.ImmutableUploads), "Enforced or Unenforced")
	for _, p := range s.Providers {
		demand(issuerRE.MatchString(p.Issuer), "OIDC provider", p.Issuer, "an issuer's URL without query or fragment")
		demand(arnRE.MatchString(p.ARN), "OIDC provider of "+p.Issuer, p.ARN, "the ARN of an OIDC provider")
		for _, claim := range p.Claims {
			demand(claimKeyRE.MatchString(claim), "OIDC provider of "+p.Issuer, claim, "the name of a claim")
		}
	}
	return problems
}

// provider finds the registered provider of an issuer.
func (s Settings) provider(issuer string) (Provider, bool) {
	for _, p := range s.Providers {
		if strings.TrimSuffix(p.Issuer, "/") == strings.TrimSuffix(issuer, "/") {
			return p, true
		}
	}
	return Provider{}, false
}

// claimPrefix is what stands before a claim in a condition key: the issuer
// without its scheme.
func (p Provider) claimPrefix() string {
	_, rest, _ := strings.Cut(p.Issuer, "://")
	return strings.TrimSuffix(rest, "/") + ":"
}
