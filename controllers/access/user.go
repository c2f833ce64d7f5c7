package access

import (
	"cmp"
	"regexp"
	"slices"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// TagCluster holds, on a user, the id of the cluster whose lane it is. A role
// needs none: its Role resource lies in that cluster.
const TagCluster = "lane-cluster"

// userPolicyQuota is IAM's limit for the inline policies of a user in sum, in
// characters. It cannot be raised, and a lane's permissions would not fit into
// it: they all stay with the role.
const userPolicyQuota = 2048

// tagValueRE is what IAM lets into a tag's value, in ASCII.
var tagValueRE = regexp.MustCompile(`^[A-Za-z0-9 _.:/=+@-]{1,256}$`)

// User is the IAM user of a lane's accessKey publisher, complete. It may do
// nothing but assume the lane's role.
type User struct {
	// Name of the user, which is also its role's, and its Path.
	Name, Path string
	// ARN is what the user's will be.
	ARN string
	// RoleARN is the role that it may assume.
	RoleARN string
	// InlinePolicy is all that it is permitted, canonical JSON.
	InlinePolicy Policy
	// BoundaryARN is the permissions boundary; none when empty.
	BoundaryARN string
	// Suspended users have no key that works.
	Suspended bool
	// Tags in the order of their keys.
	Tags []Tag
}

// Owns says whether the tags of a live user are those of this one: a user of the
// same name that another lane, another cluster or a person made has others.
func (u User) Owns(live []Tag) bool {
	for _, t := range u.Tags {
		if (t.Key == TagLaneResource || t.Key == TagCluster) && !slices.Contains(live, t) {
			return false
		}
	}
	return len(u.Tags) > 0
}

// KeyPublisher is the lane's accessKey publisher, or nil. Admission lets a lane
// have one only.
func KeyPublisher(spec v1alpha1.PlatformLaneSpec) *v1alpha1.AccessKeyPublisher {
	var first *v1alpha1.Publisher
	for i, p := range spec.Publishers {
		if p.AccessKey != nil && (first == nil || cmp.Less(p.Name, first.Name)) {
			first = &spec.Publishers[i]
		}
	}
	if first == nil {
		return nil
	}
	return first.AccessKey
}

// UserOf tells which user a lane has, without what it may do. cluster is the id
// of the cluster that the lane lies in.
func UserOf(lane *v1alpha1.PlatformLane, s Settings, cluster string) User {
	s = s.withDefaults()
	role := newRole(lane, s)
	return User{
		Name: role.Name, Path: role.Path, ARN: s.userARN(lane.Spec.Platform), RoleARN: role.ARN,
		BoundaryARN: role.BoundaryARN,
		Suspended:   lane.Spec.Access == v1alpha1.AccessSuspended,
		Tags:        slices.Insert(role.Tags, 1, Tag{TagCluster, cluster}),
	}
}

// RenderUser turns a lane with an accessKey publisher into its user. The error is
// nil or Problems; with problems there is no user.
func RenderUser(lane *v1alpha1.PlatformLane, s Settings, cluster string) (User, error) {
	s = s.withDefaults()
	c := &checker{problems: checkIdentity(lane, s)}
	for _, p := range lane.Spec.Publishers {
		if p.AccessKey != nil {
			c.problems = append(c.problems, s.checkAccessKeys("spec.publishers["+showable(p.Name)+"].accessKey")...)
		}
	}
	if !tagValueRE.MatchString(cluster) {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, "operator configuration: clusterID",
			"%s cannot be a tag of an IAM user; use letters, digits and . _ : / = + - @", quote(cluster)))
	}
	if len(c.problems) > 0 {
		return User{}, c.problems
	}
	user := UserOf(lane, s, cluster)
	doc := suspension()
	if !user.Suspended {
		doc = assumeOnly(user.RoleARN)
	}
	text, problems := finish(doc, "operator configuration: role path", "the policy of the lane's user", userPolicyQuota, "shorten the path")
	user.InlinePolicy = Policy{Name: InlinePolicyName, Document: text}
	return user, problems.err()
}

// checkAccessKeys says why there are no access keys, if so.
func (s Settings) checkAccessKeys(field string) Problems {
	switch {
	case !s.AccessKeysEnabled:
		return Problems{problemf(v1alpha1.ReasonAccessKeysDisabled, field,
			"this operator hands out no access keys; publish through gitHubActions or oidc, whose credentials expire by themselves, or have release engineering set accessKeys.mode to Enabled in the operator's configuration")}
	case s.AccountID == "":
		return Problems{problemf(v1alpha1.ReasonUnsafeValue, field,
			"a trust policy for a user must name the account, and it is not known; set aws.accountID in the operator's configuration")}
	}
	return nil
}

// userARN is empty if the account is not known.
func (s Settings) userARN(platform string) string {
	if s.AccountID == "" {
		return ""
	}
	return "arn:" + s.Partition + ":iam::" + s.AccountID + ":user" + s.RolePath + s.RoleName(platform)
}

// assumeOnly is the document of a user: its key alone opens nothing. The Deny
// statements also hold against what somebody attaches to the user or a group of
// it. The last one is about sts:GetSessionToken, which no policy can forbid: what
// it hands out would outlive the key that asked for it by 36 hours.
func assumeOnly(roleARN string) document {
	const assume = "sts:AssumeRole"
	return document{Version: policyVersion, Statement: []statement{
		{Sid: "AssumeTheRoleOfTheLane", Effect: allow, Action: Values{assume}, Resource: Values{roleARN}},
		{Sid: "DenyAllButAssuming", Effect: deny, NotAction: Values{assume}, Resource: Values{"*"}},
		{Sid: "DenyOtherRoles", Effect: deny, Action: Values{assume}, NotResource: Values{roleARN}},
		{
			Sid: "DenyTemporaryCredentials", Effect: deny, Action: Values{"*"}, Resource: Values{"*"},
			Condition: map[operator]keyTest{null: {"aws:TokenIssueTime": {"false"}}},
		},
	}}
}

// userStatement lets the lane's user in.
//
// Its principal is the account, narrowed to the user by a condition. With the
// user's own ARN as the principal, IAM would refuse the document while the user
// does not exist, and would replace the ARN by a dead internal id once the user
// is deleted: a user made anew would stay out, and ACK would see a difference for
// ever. An account as the principal leaves the last word to the policies of its
// users; that of this user says yes, and the condition keeps out all others.
//
// A user's name is made of the platform, which another lane may have had before:
// one that lost its finalizer, or its cluster, may have left a user with a key
// that works. The tag tells the two apart.
func userStatement(field string, lane *v1alpha1.PlatformLane, s Settings) (statement, Problems) {
	if problems := s.checkAccessKeys(field); len(problems) > 0 {
		return statement{}, problems
	}
	return statement{
		Effect: allow, Principal: &principal{AWS: "arn:" + s.Partition + ":iam::" + s.AccountID + ":root"},
		Action: Values{"sts:AssumeRole"},
		Condition: map[operator]keyTest{stringEquals: {
			"aws:PrincipalArn":                    {s.userARN(lane.Spec.Platform)},
			"aws:PrincipalTag/" + TagLaneResource: {resourceOf(lane)},
		}},
	}, nil
}
