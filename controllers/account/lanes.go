package account

import (
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
)

// lanesBoundary bounds the roles of lanes, and their users. It grants nothing: a
// role can do what both its own policy and the boundary allow.
func (a *account) lanesBoundary() document {
	statements := []statement{
		{
			Sid: "UploadIntoTheLanesFolders", Effect: allow, Action: uploadActions, Resource: a.lanesFiles(),
			Condition: conditions{stringEquals: {principalARN: {a.lanesOwn("role", laneTag)}}},
			why: `Wheels, their attestations and libtorch archives, in the folders of the lane
that the role's tag names, and nowhere else. The condition ties the tag to the
role's own name: neither a changed tag nor a session tag makes one lane another.`,
		},
		{
			Sid: "ReadWhatIsPublic", Effect: allow, Action: values{"s3:GetObject"},
			Resource: setOf(a.object(a.bucket, "whl/*"), a.object(a.bucket, "libtorch/*")),
			why:      `Everybody may read these; without this line a lane's own job could not.`,
		},
		{
			Sid: "NoLaneHasAReservedName", Effect: deny, Action: values{"*"}, Resource: values{"*"},
			Condition: conditions{stringLike: {laneTagKey: a.reserved}},
			why: `The folders of these names are PyTorch's own or hold other lanes. The operator
refuses such lanes; this holds if somebody makes the role without the operator.`,
		},
	}
	if a.accessKeys {
		statements = append(statements, statement{
			Sid: "BecomeTheLanesRole", Effect: allow, Action: values{"sts:AssumeRole"}, Resource: values{a.lanesOwn("role", laneTag)},
			Condition: conditions{stringEquals: {principalARN: {a.lanesOwn("user", laneTag)}}},
			why: `For lanes that publish with access keys: their users, which carry this boundary
too, may assume their lane's role. A key alone opens nothing.`,
		})
	}
	return policy(statements...)
}

// iamController is what ACK's iam-controller does about Roles, call by call.
func (a *account) iamController() document {
	lanes := values{a.lanesOwn("role", "*")}
	bounded := conditions{stringEquals: {boundaryKey: {a.boundary}}}
	give := setOf("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary")
	manage := setOf("iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:TagRole", "iam:UntagRole",
		"iam:UpdateAssumeRolePolicy", "iam:UpdateRole")
	return policy(
		statement{
			Sid: "GiveRolesPermissionsWithinTheBoundary", Effect: allow, Action: give, Resource: lanes, Condition: bounded,
			why: `A role of a lane is made, and given permissions, only with the boundary on it.
The * stands for the platform; the path and the prefix are the configuration's.`,
		},
		statement{
			Sid: "ManageRoles", Effect: allow, Action: manage, Resource: lanes,
			why: `Who may assume the role, its tags, its end. Taking policies away is here too: it
needs no boundary, and drift is mended by it. IAM knows no condition on the
boundary for these calls, so keep every other role out of this path.`,
		},
		statement{
			Sid: "ReadRoles", Effect: allow, Resource: lanes,
			Action: setOf("iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoleTags"),
			why:    `What ACK compares with the Role resource.`,
		},
		statement{
			Sid: "LookForRoles", Effect: allow, Action: values{"iam:GetRole"},
			Resource: setOf(a.lanesOwn("role", "*"), a.iam("role", "/"+a.cfg.Roles.Prefix+"*")),
			why: `ACK asks for a role before it makes it. A role that does not exist has no path
yet, so IAM can only compare its name: hence the second pattern. It must answer
NoSuchEntity; README.md says how to try it.`,
		},
		statement{
			Sid: "DenyRolesWithoutTheBoundary", Effect: deny, Action: give, Resource: values{"*"},
			Condition: conditions{stringNotEquals: {boundaryKey: {a.boundary}}},
			why: `From here on the same is said once more from the other side: a Deny also holds
against a wider policy that somebody attaches later. This one includes requests
without any boundary.`,
		},
		statement{
			Sid: "DenyRolesElsewhere", Effect: deny, Action: setOf(append(append(values{}, give...), manage...)...), NotResource: lanes,
			why: `No role but those of lanes, this controller's own among them.`,
		},
		statement{
			Sid: "DenyWhatNoLaneNeeds", Effect: deny, Resource: values{"*"},
			Action: setOf("iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary", "iam:PassRole"),
			why: `A lane's role has one inline policy and no managed ones, keeps its boundary, and
is never handed to a service.`,
		},
		statement{
			Sid: "DenyChangingTheBoundary", Effect: deny, Resource: values{a.boundary},
			Action: setOf("iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion", "iam:SetDefaultPolicyVersion"),
			why:    `Whoever could rewrite the boundary would be bound by nothing.`,
		},
	)
}

// bucketPolicy is the second fence. It is about whoever carries the tag "lane",
// however they came by their permissions.
func (a *account) bucketPolicy(bucket string) document {
	whole := setOf(a.arn+":s3:::"+bucket, a.object(bucket, "*"))
	tagged := conditions{null: {laneTagKey: {"false"}}}
	statements := append(a.publicReading(bucket),
		statement{
			Sid: "PlatformLanesUploadOnly", Effect: deny, Principal: anybody,
			NotAction: setOf(append(values{"s3:GetObject"}, uploadActions...)...), Resource: whole, Condition: tagged,
			why: `Lanes upload and read, and do nothing else: no deleting, tagging, listing,
restoring, no ACLs, no settings of the bucket. Here and below a lane is whoever
carries the tag "lane": give that tag to nobody else who uses this bucket.`,
		},
		statement{
			Sid: "PlatformLanesOwnFoldersOnly", Effect: deny, Principal: anybody,
			Action: uploadActions, NotResource: a.lanesFiles(), Condition: tagged,
			why: `They upload into the folders that their tag names.`,
		},
		statement{
			Sid: "PlatformLanesReadPublicOnly", Effect: deny, Principal: anybody,
			Action: values{"s3:GetObject"}, NotResource: a.inBucket(bucket, publicFolders), Condition: tagged,
			why: `They read what everybody reads.`,
		})
	if a.cfg.Storage.ConditionalWrites == operatorconfig.Supported {
		statements = append(statements, statement{
			Sid: "PlatformLanesWriteOnce", Effect: deny, Principal: anybody,
			Action: values{"s3:PutObject"}, Resource: values{a.object(bucket, "*")},
			Condition: conditions{
				null:         {laneTagKey: {"false"}, "s3:if-none-match": {"true"}},
				boolIfExists: {"s3:ObjectCreationOperation": {"true"}},
			},
			why: `They overwrite nothing: a call that creates an object must carry
If-None-Match. The parts of a multipart upload create none and are spared.`,
		})
	}
	return policy(append(statements, a.impostors(whole)...)...)
}

// mirrorPolicy keeps lanes out of a bucket that the operator alone writes.
func (a *account) mirrorPolicy(bucket string) document {
	whole := setOf(a.arn+":s3:::"+bucket, a.object(bucket, "*"))
	return policy(append(a.publicReading(bucket),
		statement{
			Sid: "PlatformLanesReadPublicOnly", Effect: deny, Principal: anybody,
			Action: values{"s3:*"}, NotResource: a.inBucket(bucket, publicFolders),
			Condition: conditions{null: {laneTagKey: {"false"}}},
			why: `Lanes upload to the primary bucket alone. Here and below a lane is whoever
carries the tag "lane".`,
		},
		statement{
			Sid: "PlatformLanesReadOnly", Effect: deny, Principal: anybody,
			NotAction: values{"s3:GetObject"}, Resource: whole,
			Condition: conditions{null: {laneTagKey: {"false"}}},
			why:       `In the public folders they read, as everybody does.`,
		},
		a.untagged(whole))...)
}

// publicReading says what the world may read, and over which connections.
func (a *account) publicReading(bucket string) []statement {
	strangers := conditions{stringNotEquals: {principalAccount: {a.cfg.AWS.AccountID}}}
	return []statement{
		{
			Sid: "PlatformLanesPublicRead", Effect: allow, Principal: anybody,
			Action: values{"s3:GetObject"}, Resource: a.inBucket(bucket, publicFolders),
			why: `Everybody reads the current version of what is published. Not listed, and so
not granted: listing the bucket, and old versions, which hold what was taken back.`,
		},
		{
			Sid: "PlatformLanesPrivateFolder", Effect: deny, Principal: anybody,
			Action: values{"s3:GetObject"}, Resource: values{a.object(bucket, layout.Private+"*")}, Condition: strangers,
			why: `The operator's records are nobody's outside the account, even if another
statement of this policy makes the whole bucket public. This includes the CDN.`,
		},
		{
			Sid: "PlatformLanesOldVersions", Effect: deny, Principal: anybody,
			Action: setOf("s3:GetObjectVersion", "s3:ListBucketVersions"), Condition: strangers,
			Resource: setOf(a.arn+":s3:::"+bucket, a.object(bucket, "*")),
			why: `A quarantined file is an old version under a delete marker. Nobody outside the
account gets at it with ?versionId=.`,
		},
		{
			Sid: "PlatformLanesEncryptedTransport", Effect: deny, Principal: anybody,
			Action: values{"s3:*"}, Resource: setOf(a.arn+":s3:::"+bucket, a.object(bucket, "*")),
			Condition: conditions{boolean: {secureTransport: {"false"}}, null: {principalARN: {"false"}}},
			why: `Signed requests come over TLS. Anonymous ones are left out: a CDN whose origin
is the bucket's website endpoint can only use plain HTTP.`,
		},
	}
}

// impostors are principals that look like a lane's and are not, or are a lane's
// and do not look like it.
func (a *account) impostors(whole values) []statement {
	return []statement{
		{
			Sid: "PlatformLanesReservedNames", Effect: deny, Principal: anybody, Action: values{"s3:*"}, Resource: whole,
			Condition: conditions{stringLike: {laneTagKey: a.reserved}},
			why: `A lane of one of these names would own folders that are PyTorch's, or that hold
other lanes.`,
		},
		a.untagged(whole),
		{
			Sid: "PlatformLanesMistagged", Effect: deny, Principal: anybody, Action: values{"s3:*"}, Resource: whole,
			Condition: conditions{
				arnLike:         {principalARN: setOf(a.below("role"), a.below("user"))},
				null:            {laneTagKey: {"false"}},
				stringNotEquals: {principalARN: {a.lanesOwn("role", laneTag)}},
			},
			why: `A principal below the lanes' path whose tag is not that of its name. Users with
access keys are included: they may assume their lane's role and nothing more.`,
		},
	}
}

// untagged closes what a missing tag would open: without it the statements above
// do not apply.
func (a *account) untagged(whole values) statement {
	return statement{
		Sid: "PlatformLanesUntagged", Effect: deny, Principal: anybody, Action: values{"s3:*"}, Resource: whole,
		Condition: conditions{
			arnLike: {principalARN: setOf(a.below("role"), a.below("user"))},
			null:    {laneTagKey: {"true"}},
		},
		why: `A principal below the lanes' path without the tag: the statements about lanes
would not hold it.`,
	}
}

func (a *account) inBucket(bucket string, patterns []string) values {
	arns := make([]string, len(patterns))
	for i, p := range patterns {
		arns[i] = a.object(bucket, p)
	}
	return setOf(arns...)
}
