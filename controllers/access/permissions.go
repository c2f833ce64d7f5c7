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
var uploadActions = setOf("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")

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
		doc.Statement = append(doc.Statement, statement{
			Sid: "DenySessionsFromBeforeResumption", Effect: deny, Action: values{"*"}, Resource: values{"*"},
			Condition: map[operator]keyTest{dateLessThan: {"aws:TokenIssueTime": {wholeSecond(*sessionsNotBefore)}}},
		})
	}
	var folders []string
	for _, channel := range layout.Channels() {
		if !slices.ContainsFunc(spec.Channels, func(c v1alpha1.Channel) bool { return c.Name == channel }) {
			continue
		}
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
			NotAction: setOf(append(slices.Clone(uploadActions), "s3:GetObject")...), Resource: values{"*"},
		},
		statement{
			Sid: "DenyUploadingElsewhere", Effect: deny,
			Action: uploadActions, NotResource: setOf(folders...),
		},
		// A canned ACL can make an object public or hide it from the bucket's
		// owner. StringNotEquals alone would also hit requests without the header.
		statement{
			Sid: "DenyForeignACLs", Effect: deny, Action: values{"s3:PutObject"}, Resource: values{"*"},
			Condition: map[operator]keyTest{
				null:            {"s3:x-amz-acl": {"false"}},
				stringNotEquals: {"s3:x-amz-acl": setOf("bucket-owner-full-control", "private")},
			},
		})
	if s.ImmutableUploads == ImmutableUploadsEnforced {
		doc.Statement = append(doc.Statement, immutability())
	}
	return doc
}

// immutability denies a call that creates an object without If-None-Match. The
// parts of a multipart upload create none and are spared. A call of which the
// store does not say whether it creates an object is denied too: that shows at
// the first upload, whereas a hole would not show at all.
func immutability() statement {
	return statement{
		Sid: "DenyOverwriting", Effect: deny, Action: values{"s3:PutObject"}, Resource: values{"*"},
		Condition: map[operator]keyTest{
			null:         {"s3:if-none-match": {"true"}},
			boolIfExists: {"s3:ObjectCreationOperation": {"true"}},
		},
	}
}

// suspension is the document of a suspended lane. A Deny in the role's own policy
// reaches sessions that are already live. It replaces the grant, so that a lane
// can be suspended whatever else is wrong with it.
func suspension() document {
	return document{Version: policyVersion, Statement: []statement{
		{Sid: "Suspended", Effect: deny, Action: values{"*"}, Resource: values{"*"}},
	}}
}

// writePatterns are the object ARNs that a lane may write in a channel.
func writePatterns(spec v1alpha1.PlatformLaneSpec, channel v1alpha1.ChannelName, s Settings) values {
	bucket := "arn:" + s.Partition + ":s3:::" + s.Bucket + "/"
	var patterns []string
	for _, name := range packagesOf(spec) {
		if name == v1alpha1.LibtorchPackage {
			// libtorch-shared-with-deps-2.9.0+spyre.zip
			patterns = append(patterns, bucket+layout.LibtorchPrefix(spec.Platform, channel)+"libtorch-*+"+spec.Platform+"*.zip")
			continue
		}
		// torch_tensorrt-2.9.0+spyre-cp312-cp312-linux_x86_64.whl: a hyphen of the
		// name is an underscore in a wheel's.
		wheel := strings.ReplaceAll(name, "-", "_")
		patterns = append(patterns, bucket+layout.WheelPrefix(spec.Platform, channel)+wheel+"-*+"+spec.Platform+"*-*.whl")
	}
	return setOf(patterns...)
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
