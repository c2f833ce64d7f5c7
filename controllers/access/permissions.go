package access

import (
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// uploadActions are what a plain and a multipart upload need, and nothing more:
// creating, filling and completing a multipart upload are s3:PutObject too.
// Listing and reading are public and need no permission.
var uploadActions = SetOf("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")

// UploadActions are what a lane uploads with: those that the fences around it have
// to let through.
func UploadActions() Values { return slices.Clone(uploadActions) }

// grant is the document of an active lane.
//
// Its Allow statements are all that the lane needs. The Deny statements repeat
// from the other side what IAM denies anyway, because there they also hold
// against what is added later: a managed policy attached by hand, a bucket policy
// that is too generous, another role's trust. What they let through is uploading
// to the lane's folders and reading.
func grant(spec v1alpha1.PlatformLaneSpec, s Settings, sessionsNotBefore *time.Time) document {
	doc := document{Version: policyVersion}
	if sessionsNotBefore != nil {
		doc.Statement = append(doc.Statement, sessionsFrom(*sessionsNotBefore))
	}
	var folders []string
	for _, channel := range channelsOf(spec) {
		patterns := writePatterns(spec, channel, s)
		for _, p := range patterns {
			folders = append(folders, p[:strings.LastIndex(p, "/")+1]+"*")
		}
		doc.Statement = append(doc.Statement, statement{
			Sid: "Publish" + strings.ToUpper(string(channel[:1])) + string(channel[1:]), Effect: allow,
			Action: uploadActions, Resource: patterns,
		})
	}
	doc.Statement = append(doc.Statement,
		statement{
			Sid: "DenyAllButUploading", Effect: deny,
			NotAction: SetOf(append(slices.Clone(uploadActions), "s3:GetObject")...), Resource: Values{"*"},
			means: "deleting, restoring, tagging or hiding a file, listing the bucket, changing an ACL or a policy, or any call to another service: these credentials upload, and read what is public, and nothing else",
		},
		statement{
			Sid: "DenyUploadingElsewhere", Effect: deny,
			Action: uploadActions, NotResource: SetOf(folders...),
			means: "writing outside these folders: not to another lane, not to a channel that spec.channels does not list, not to the operator's own records",
		},
		// A canned ACL can make an object public or hide it from the bucket's
		// owner. StringNotEquals alone would also hit requests without the header.
		// Grants by header, tags, retention and legal holds need permissions of
		// their own, which no statement gives.
		statement{
			Sid: "DenyForeignACLs", Effect: deny, Action: Values{"s3:PutObject"}, Resource: Values{"*"},
			Condition: map[operator]keyTest{
				null:            {"s3:x-amz-acl": {"false"}},
				stringNotEquals: {"s3:x-amz-acl": SetOf("bucket-owner-full-control", "private")},
			},
			means: "uploading with an ACL that opens a file to others or hides it from the bucket's owner",
		},
		// A website endpoint answers for such an object with a redirect, which pip
		// keeps for ever.
		statement{
			Sid: "DenyRedirects", Effect: deny, Action: Values{"s3:PutObject"}, Resource: Values{"*"},
			Condition: map[operator]keyTest{null: {"s3:x-amz-website-redirect-location": {"false"}}},
			means:     "uploading a redirect to another address in place of a file",
		})
	if s.ImmutableUploads == ImmutableUploadsEnforced {
		doc.Statement = append(doc.Statement, immutability())
	}
	return doc
}

// sessionsFrom keeps sessions dead that were issued before a time.
func sessionsFrom(notBefore time.Time) statement {
	when := wholeSecond(notBefore)
	return statement{
		Sid: "DenySessionsFromBeforeResumption", Effect: deny, Action: Values{"*"}, Resource: Values{"*"},
		Condition: map[operator]keyTest{dateLessThan: {"aws:TokenIssueTime": {when}}},
		means:     "using a session that was issued before " + when + ", when access was last resumed or the role taken over",
	}
}

// immutability denies a call that creates an object without If-None-Match. The
// parts of a multipart upload create none and are spared. A call of which the
// store does not say whether it creates an object is denied too: that shows at
// the first upload, whereas a hole would not show at all.
func immutability() statement {
	return statement{
		Sid: "DenyOverwriting", Effect: deny, Action: Values{"s3:PutObject"}, Resource: Values{"*"},
		Condition: map[operator]keyTest{
			null:         {"s3:if-none-match": {"true"}},
			boolIfExists: {"s3:ObjectCreationOperation": {"true"}},
		},
		means: "overwriting a file: an upload must carry If-None-Match: *, with which it creates a name once or fails",
	}
}

// suspension is the document of a suspended lane. A Deny in the role's own policy
// reaches sessions that are already live. It replaces the grant, so that a lane
// can be suspended whatever else is wrong with it.
func suspension() document {
	return document{Version: policyVersion, Statement: []statement{
		{Sid: "Suspended", Effect: deny, Action: Values{"*"}, Resource: Values{"*"}},
	}}
}

// channelsOf are the channels that a lane publishes to, in the order of the
// layout.
func channelsOf(spec v1alpha1.PlatformLaneSpec) []v1alpha1.ChannelName {
	var listed []v1alpha1.ChannelName
	for _, channel := range layout.Channels() {
		if slices.ContainsFunc(spec.Channels, func(c v1alpha1.Channel) bool { return c.Name == channel }) {
			listed = append(listed, channel)
		}
	}
	return listed
}

// upload is a kind of name that a lane may write below a folder.
type upload struct {
	// pkg is the entry of spec.packages that it belongs to; empty for all.
	pkg string
	// folder of the bucket, with a slash at its end.
	folder string
	// names is a pattern in which * stands for anything; example is one of them.
	names, example string
}

// uploadsOf are the names that a lane may write in a channel. Everything that
// says what a lane may write, in a document or in words, is made from them.
func uploadsOf(spec v1alpha1.PlatformLaneSpec, channel v1alpha1.ChannelName) []upload {
	label, wheels := "+"+spec.Platform, layout.WheelPrefix(spec.Platform, channel)
	const tags = "-cp312-cp312-manylinux_2_28_x86_64.whl"
	var uploads []upload
	attested := ""
	for _, name := range packagesOf(spec) {
		if name == v1alpha1.LibtorchPackage {
			archive := upload{
				pkg: name, folder: layout.LibtorchPrefix(spec.Platform, channel),
				names: "libtorch-*" + label + "*.zip", example: "libtorch-shared-with-deps-2.9.0" + label + ".zip",
			}
			sidecar := archive
			sidecar.names += layout.ProvenanceSuffix
			sidecar.example += layout.ProvenanceSuffix
			uploads = append(uploads, archive, sidecar)
			continue
		}
		// A hyphen of the name is an underscore in a wheel's.
		wheel := strings.ReplaceAll(name, "-", "_") + "-"
		uploads = append(uploads, upload{pkg: name, folder: wheels, names: wheel + "*" + label + "*-*.whl", example: wheel + "2.9.0" + label + tags})
		if attested == "" {
			attested = wheel + "2.9.0" + label + tags + layout.ProvenanceSuffix
		}
	}
	if attested != "" {
		// One pattern for the attestations of all packages keeps the document
		// small. One without its wheel means nothing and is never listed.
		uploads = append(uploads, upload{folder: wheels, names: "*" + label + "*-*.whl" + layout.ProvenanceSuffix, example: attested})
	}
	return uploads
}

// writePatterns are the object ARNs that a lane may write in a channel.
func writePatterns(spec v1alpha1.PlatformLaneSpec, channel v1alpha1.ChannelName, s Settings) Values {
	var patterns []string
	for _, u := range uploadsOf(spec, channel) {
		patterns = append(patterns, "arn:"+s.Partition+":s3:::"+s.Bucket+"/"+u.folder+u.names)
	}
	return SetOf(patterns...)
}

// packagesOf are the packages of a lane, with the schema's default.
func packagesOf(spec v1alpha1.PlatformLaneSpec) []string {
	if len(spec.Packages) == 0 {
		return []string{"torch"}
	}
	return spec.Packages
}

// wholeSecond writes a time as IAM compares it. A part of a second is rounded up:
// a session issued in the same second as the resumption may be from before it.
func wholeSecond(t time.Time) string {
	if whole := t.Truncate(time.Second); !whole.Equal(t) {
		t = whole.Add(time.Second)
	}
	return t.UTC().Format(time.RFC3339)
}
