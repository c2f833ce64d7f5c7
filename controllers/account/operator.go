package account

import (
	"iter"
	"path"
	"slices"
	"strconv"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// The operator's folders, as patterns. A * also stands for slashes.
var (
	// filesFolders hold what lanes publish.
	filesFolders = []string{"libtorch/*", "whl/*"}
	// quarantined is where bytes go in a bucket that keeps no versions.
	quarantined = layout.Private + "quarantine/*"
	// pages are what the operator writes beside the lanes' files: pages, the feed
	// of removals, METADATA files. No pattern matches a wheel or an archive.
	pages = []string{
		"libtorch/*/" + layout.HTMLPage, "libtorch/*/" + layout.JSONPage,
		"whl/*/" + layout.HTMLPage, "whl/*/" + layout.JSONPage,
		"whl/*/" + path.Base(layout.RemovalsKey("x")), "whl/*.whl" + layout.MetadataSuffix,
	}
)

// operator is what the operator calls, and no more. controllers/objectstore/s3 is
// the only place of S3 calls, controllers/cdn/cloudfront of CloudFront's,
// controllers/events/sqs of SQS's.
func (a *account) operator() document {
	var buckets []string
	for _, name := range a.buckets() {
		buckets = append(buckets, a.arn+":s3:::"+name)
	}
	statements := []statement{
		{
			Sid: "ListBuckets", Effect: allow, Resource: setOf(buckets...),
			Action: setOf("s3:GetBucketVersioning", "s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"),
			why: `Listing is how the operator learns of files. It has no condition on the prefix:
without the plain right to list, S3 answers 403 instead of 404 for every object
that is not there.`,
		},
		{
			Sid: "ReadFiles", Effect: allow, Action: setOf("s3:GetObject", "s3:GetObjectVersion"),
			Resource: a.objects(append([]string{layout.Private + "*"}, filesFolders...)...),
			why: `Files are judged and hashed, pages and records read back; a restore compares old
versions.`,
		},
		{
			Sid: "WriteIndex", Effect: allow, Action: values{"s3:PutObject"},
			Resource: a.objects(append([]string{layout.Private + "*"}, pages...)...),
			why: `Pages, METADATA files and the operator's records. Wheels and archives are not
among them: the operator can take a file back and cannot publish one.`,
		},
		{
			Sid: "TakeBackFiles", Effect: allow,
			Action:   setOf("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectVersionTagging"),
			Resource: a.objects(append([]string{quarantined}, filesFolders...)...),
			why: `Quarantine (a tag and a delete marker), destruction of every version, retention,
the end of a lane, unfinished uploads. Catalogs and records are left out: the
operator cannot destroy its own evidence, and an overwritten record keeps its
old version.`,
		},
		{
			Sid: "GiveUpClaims", Effect: allow, Action: values{"s3:DeleteObjectVersion"},
			Resource: a.objects(layout.ClaimKey("*")),
			why:      `The end of a lane frees its name.`,
		},
	}
	return policy(append(statements, a.services()...)...)
}

// services are what the operator calls beside S3.
func (a *account) services() []statement {
	var statements []statement
	if id := a.cfg.CDN.CloudFrontDistributionID; id != "" {
		statements = append(statements, statement{
			Sid: "EmptyCaches", Effect: allow, Action: setOf("cloudfront:CreateInvalidation", "cloudfront:GetInvalidation"),
			Resource: values{a.arn + ":cloudfront::" + a.cfg.AWS.AccountID + ":distribution/" + id},
			why:      `A page that changed and a file that was taken back leave the CDN's caches.`,
		})
	}
	if a.queue != "" {
		statements = append(statements, statement{
			Sid: "ReadEvents", Effect: allow, Action: setOf("sqs:DeleteMessage", "sqs:ReceiveMessage"), Resource: values{a.queue},
			why: `The queue that the bucket reports its changes to.`,
		})
	}
	return statements
}

// operatorAccessKeys is what the operator calls to keep the users of lanes.
func (a *account) operatorAccessKeys() document {
	users := values{a.lanesOwn("user", "*")}
	give := setOf("iam:CreateUser", "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy")
	manage := setOf("iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:DeleteUser", "iam:DeleteUserPolicy", "iam:DetachUserPolicy",
		"iam:TagUser", "iam:UpdateAccessKey")
	return policy(
		statement{
			Sid: "GiveUsersPermissionsWithinTheBoundary", Effect: allow, Action: give, Resource: users,
			Condition: conditions{stringEquals: {boundaryKey: {a.boundary}}},
			why:       `A user of a lane is made, and given permissions, only with the boundary on it.`,
		},
		statement{
			Sid: "ManageUsers", Effect: allow, Action: manage, Resource: users,
			why: `Keys and their rotation, tags, policies that somebody added, the user's end. A
user of yours below this path could be given a key: keep all others out of it.`,
		},
		statement{
			Sid: "ReadUsers", Effect: allow, Resource: users,
			Action: setOf("iam:GetUserPolicy", "iam:ListAccessKeys", "iam:ListAttachedUserPolicies", "iam:ListUserPolicies"),
			why:    `What is compared with what should be.`,
		},
		statement{
			Sid: "LookForUsers", Effect: allow, Action: values{"iam:GetUser"},
			Resource: setOf(a.lanesOwn("user", "*"), a.iam("user", "/"+a.cfg.Roles.Prefix+"*")),
			why: `The operator asks for a user before it makes it. One that does not exist has no
path yet, so IAM can only compare its name: hence the second pattern.`,
		},
		statement{
			Sid: "DenyUsersWithoutTheBoundary", Effect: deny, Action: give, Resource: values{"*"},
			Condition: conditions{stringNotEquals: {boundaryKey: {a.boundary}}},
			why: `The same from the other side, against a wider policy that somebody attaches
later.`,
		},
		statement{
			Sid: "DenyUsersElsewhere", Effect: deny, Action: setOf(slices.Concat(give, manage)...), NotResource: users,
			why: `No user but those of lanes.`,
		},
		statement{
			Sid: "DenyWhatNoUserNeeds", Effect: deny, Resource: values{"*"},
			Action: setOf("iam:AddUserToGroup", "iam:AttachUserPolicy", "iam:CreateLoginProfile", "iam:DeleteUserPermissionsBoundary"),
			why:    `No managed policies, no groups, no console, and the boundary stays.`,
		},
	)
}

// maxFences bounds the fence: a role takes ten managed policies, and two are taken.
const maxFences = 8

// operatorFences keep the operator out of folders that hold no lane. The list is
// cut into as many policies as it needs.
func (a *account) operatorFences() []named {
	var keys []string
	for _, top := range []string{"whl/", "whl/nightly/", "whl/test/", "libtorch/", "libtorch/nightly/", "libtorch/test/"} {
		keys = append(keys, top+layout.HTMLPage, top+layout.JSONPage)
	}
	var fences []named
	for piece := range pieces(a.objects(append(keys, a.ownFolders()...)...), managedPolicyQuota-fenceFrame) {
		name := OperatorFence
		if len(fences) > 0 {
			name += "-" + strconv.Itoa(len(fences)+1)
		}
		fences = append(fences, named{name, "What the operator may not do, whatever else is granted to it: touch PyTorch's own builds. For the operator's role, beside the policy " + Operator + ".",
			policy(fence(piece)), managedPolicyQuota, fewerNames})
	}
	return fences
}

// fenceFrame is what a fence takes beside its resources, in characters.
const fenceFrame = 270

func fence(resources values) statement {
	return statement{
		Sid: "NotPyTorchsOwnBuilds", Effect: deny, Resource: resources,
		Action: setOf("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObject",
			"s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
		why: `The root pages, the accelerators' folders, the folders of PyTorch's own projects,
and what reservedPlatforms lists. IAM cannot tell the folder of any other project
of the root index from that of a lane; the operator keeps out of those by itself.`,
	}
}

// pieces cuts a set into runs that take at most so many characters in a document.
func pieces(set values, most int) iter.Seq[values] {
	return func(yield func(values) bool) {
		first, used := 0, 0
		for i, member := range set {
			need := len(member) + len(`"",`)
			if used+need > most {
				if !yield(set[first:i]) {
					return
				}
				first, used = i, 0
			}
			used += need
		}
		if first < len(set) {
			yield(set[first:])
		}
	}
}
