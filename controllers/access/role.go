package access

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// InlinePolicyName is the name of the one inline policy of a lane's role.
const InlinePolicyName = "lane"

// maxRoleName is IAM's limit for a role's name, in characters.
const maxRoleName = 64

// maxTagValue is IAM's limit for the value of a tag, in characters.
const maxTagValue = 256

// The tags of a role. ACK takes up a changed value only hours later, so they hold
// what never changes while the role exists.
const (
	// TagLane holds the platform. The bucket policy's second fence reads it as
	// ${aws:PrincipalTag/lane}.
	TagLane = "lane"
	// TagLaneResource holds namespace/name of the PlatformLane.
	TagLaneResource = "lane-resource"
	// TagManagedBy says who writes the role.
	TagManagedBy = "managed-by"
	// ManagedBy is the value of TagManagedBy.
	ManagedBy = "platform-lane-operator"
)

// Tag is a tag of an IAM role.
type Tag struct{ Key, Value string }

// Policy is a named inline policy.
type Policy struct{ Name, Document string }

// Role is an IAM role, complete: everything about it that IAM is told.
type Role struct {
	// Name of the role, at most 64 characters, and its Path.
	Name, Path string
	// ARN is what the role's will be; empty if the account id is not known.
	ARN string
	// Description is for people who look at the account.
	Description string
	// Trust is the trust policy, canonical JSON.
	Trust string
	// InlinePolicy holds all permissions, canonical JSON.
	InlinePolicy Policy
	// MaxSessionSeconds is how long a session may last at most, in seconds.
	MaxSessionSeconds int32
	// BoundaryARN is the permissions boundary; none when empty.
	BoundaryARN string
	// Tags in the order of their keys.
	Tags []Tag
}

// RoleName is the name of a platform's role.
func (s Settings) RoleName(platform string) string { return s.RolePrefix + platform }

// Render turns a lane into its role. sessionsNotBefore, when set, is the time
// before which a session must not have been issued: when the lane was last
// resumed, or its role taken over. It does not matter while the lane is suspended.
//
// The error is nil or Problems. A Role with a name is safe to apply even then: it
// lacks what the problems are about, down to a role that lets nobody in. A Role
// without a name comes with a problem that leaves nothing to apply. A suspended
// lane whose platform and settings are sound always has a role.
//
// A lane without channels has no role; do not call Render for it.
func Render(lane *v1alpha1.PlatformLane, s Settings, sessionsNotBefore *time.Time) (Role, error) {
	s = s.withDefaults()
	if problems := checkIdentity(lane, s); len(problems) > 0 {
		return Role{}, problems
	}
	role := newRole(lane, s)
	fatal := role.permit(lane.Spec, s, sessionsNotBefore)
	leftOut, tooLarge := role.admit(lane, s)
	problems := slices.Concat(fatal, tooLarge, leftOut)
	if len(fatal) > 0 || len(tooLarge) > 0 && lane.Spec.Access != v1alpha1.AccessSuspended {
		return Role{}, problems
	}
	return role, problems.err()
}

// newRole is a role with everything but its documents.
func newRole(lane *v1alpha1.PlatformLane, s Settings) Role {
	role := Role{
		Name: s.RoleName(lane.Spec.Platform), Path: s.RolePath,
		Description:       fmt.Sprintf("Publishing role of the platform lane %s/%s", lane.Namespace, lane.Name),
		InlinePolicy:      Policy{Name: InlinePolicyName},
		MaxSessionSeconds: s.SessionSeconds,
		BoundaryARN:       s.PermissionsBoundaryARN,
		Tags:              []Tag{{TagLane, lane.Spec.Platform}, {TagLaneResource, resourceOf(lane)}, {TagManagedBy, ManagedBy}},
	}
	if s.AccountID != "" {
		role.ARN = "arn:" + s.Partition + ":iam::" + s.AccountID + ":role" + s.RolePath + role.Name
	}
	return role
}

// resourceOf is the value of TagLaneResource.
func resourceOf(lane *v1alpha1.PlatformLane) string { return lane.Namespace + "/" + lane.Name }

// permit writes the inline policy. With a problem there is none.
func (r *Role) permit(spec v1alpha1.PlatformLaneSpec, s Settings, sessionsNotBefore *time.Time) Problems {
	doc := suspension()
	if spec.Access != v1alpha1.AccessSuspended {
		if problems := checkScope(spec); len(problems) > 0 {
			return problems
		}
		doc = grant(spec, s, sessionsNotBefore)
	}
	var problems Problems
	r.InlinePolicy.Document, problems = finish(doc, "spec.packages", "the lane's permissions", s.InlinePolicyQuota,
		"publish fewer packages or channels in this lane; this quota cannot be raised")
	return problems
}

// admit writes the trust policy, with the publishers that are sound. One that is
// too large gives way to one that lets nobody in.
func (r *Role) admit(lane *v1alpha1.PlatformLane, s Settings) (leftOut, tooLarge Problems) {
	if len(lane.Spec.Publishers) == 0 {
		leftOut = append(leftOut, problemf(v1alpha1.ReasonNoPublishers, "spec.publishers",
			"nobody may publish; name a workflow under gitHubActions, a job under oidc, or, where the CI has neither, an accessKey"))
	}
	doc, found := trust(lane, s)
	leftOut = append(leftOut, found...)
	r.Trust, tooLarge = finish(doc, "spec.publishers", "the trust policy", s.TrustPolicyQuota,
		"name fewer publishers, refs or workflowRefs, or ask AWS to raise the quota \"Role trust policy length\" and write it into the operator's configuration")
	if len(tooLarge) > 0 {
		// It is a constant of ours and fits into any quota that IAM can have.
		r.Trust, _ = finish(closedTrust(), "spec.publishers", "the closed trust policy", DefaultTrustPolicyQuota, "")
	}
	return leftOut, tooLarge
}

// checkIdentity looks at what no role can do without.
func checkIdentity(lane *v1alpha1.PlatformLane, s Settings) Problems {
	c := &checker{problems: s.check()}
	c.value("spec.platform", lane.Spec.Platform, platformRE, "2 to 31 lower-case letters and digits")
	c.value("metadata.name", lane.Name, objectNameRE, "a name of the cluster")
	c.value("metadata.namespace", lane.Namespace, objectNameRE, "a namespace of the cluster")
	if n := len(resourceOf(lane)); n > maxTagValue {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, "metadata.name",
			"namespace and name of the lane have %d characters, %d more than a tag of its role can hold; make the lane anew with a shorter name", n, n-maxTagValue))
	}
	// whl/nightly/ holds other lanes. A platform named release is odd, but has
	// folders of its own.
	if p := lane.Spec.Platform; p == string(v1alpha1.ChannelNightly) || p == string(v1alpha1.ChannelTest) {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, "spec.platform", "%s is the name of a channel, below which other lanes lie; choose the vendor's own name", p))
	}
	if name := s.RoleName(lane.Spec.Platform); len(name) > maxRoleName {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, "spec.platform",
			"the role's name %s has %d characters, %d more than IAM allows; shorten the role prefix in the operator's configuration", quote(name), len(name), len(name)-maxRoleName))
	}
	return c.problems
}

// checkScope looks at what the permissions are made of.
func checkScope(spec v1alpha1.PlatformLaneSpec) Problems {
	c := &checker{}
	if len(spec.Channels) == 0 {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, "spec.channels", "is empty: a lane that is admitted only has no role"))
	}
	for i, channel := range spec.Channels {
		if !slices.Contains(layout.Channels(), channel.Name) {
			c.add(problemf(v1alpha1.ReasonUnsafeValue, fmt.Sprintf("spec.channels[%d].name", i), "%s is not a channel; use nightly, test or release", quote(string(channel.Name))))
		}
	}
	for i, name := range packagesOf(spec) {
		c.value(fmt.Sprintf("spec.packages[%d]", i), name, packageRE, "a normalised package name (PEP 503)")
	}
	return c.problems
}

// finish writes a document and checks what no later step can mend: that it fits,
// and that ACK's URL decoding leaves it as it is.
func finish(doc document, field, what string, quota int, remedy string) (string, Problems) {
	text, err := doc.encode()
	if err != nil {
		return "", Problems{problemf(v1alpha1.ReasonUnsafeValue, field, "%s cannot be written as JSON: %v", what, err)}
	}
	if decoded, err := url.QueryUnescape(text); err != nil || decoded != text {
		return "", Problems{problemf(v1alpha1.ReasonUnsafeValue, field, "%s would not survive URL decoding; remove percent signs", what)}
	}
	if len(text) > quota {
		return "", Problems{problemf(v1alpha1.ReasonDocumentTooLarge, field,
			"%s has %d characters and IAM allows %d: %d too many; %s", what, len(text), quota, len(text)-quota, remedy)}
	}
	return text, nil
}
