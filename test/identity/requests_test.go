package identity

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// action is what S3 asks IAM about a request.
type action struct {
	name, arn string
	context   map[string]string
}

// request is one call to S3.
type request struct {
	// kind is the call as the API reference names it, with what makes it special.
	kind, bucket, key string
	// actions are those that AWS documents for the call; all must be allowed.
	actions []action
	send    func(context.Context, *s3.Client) error
	want    verdict
}

func (r request) String() string { return r.kind + " " + r.bucket + "/" + r.key }

// target is what a request is made about.
type target struct {
	bucket, key string
	// source is the object to copy from, upload an unfinished multipart upload,
	// version one of the object's.
	source, upload, version string
}

// kind makes requests of one kind. verdict says what the table says about the
// kind, given what it says about the key and the source.
type kind struct {
	name    string
	verdict func(key, source verdict) verdict
	actions func(target) []action
	send    func(context.Context, *s3.Client, target) error
}

func (k kind) request(t table, to target) request {
	return request{
		kind: k.name, bucket: to.bucket, key: to.key, actions: k.actions(to),
		want: k.verdict(t.own(to.bucket, to.key), t.readable(to.source)),
		send: func(ctx context.Context, c *s3.Client) error { return k.send(ctx, c, to) },
	}
}

func never(verdict, verdict) verdict { return refused }

func asTheKey(key, _ verdict) verdict { return key }

func harmlessly(key, _ verdict) verdict { return both(key, harmless) }

const (
	creates  = "s3:ObjectCreationOperation"
	ifAbsent = "s3:if-none-match"
	aclKey   = "s3:x-amz-acl"
)

// onObject asks about the object and gives the condition keys as pairs.
func onObject(names string, pairs ...string) func(target) []action {
	keys := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		keys[pairs[i]] = pairs[i+1]
	}
	return func(to target) []action {
		var out []action
		for _, name := range strings.Fields(names) {
			out = append(out, action{"s3:" + name, "arn:aws:s3:::" + to.bucket + "/" + to.key, map[string]string{}})
		}
		out[0].context = keys // The others know none of them.
		return out
	}
}

// onCopy asks about the object as onObject does, and about the source.
func onCopy(names string, pairs ...string) func(target) []action {
	ask := onObject(names, pairs...)
	return func(to target) []action {
		source, _ := strings.CutPrefix(to.source, "/")
		return append(ask(to), action{"s3:GetObject", "arn:aws:s3:::" + to.bucket + "/" + source, map[string]string{}})
	}
}

// putting makes a PutObject with something special about it.
func putting(special string, verdict func(key, source verdict) verdict, ask func(target) []action, edit func(*s3.PutObjectInput)) kind {
	name := "PutObject"
	if special != "" {
		name += " " + special
	}
	return kind{name, verdict, ask, func(ctx context.Context, c *s3.Client, to target) error {
		in := &s3.PutObjectInput{Bucket: &to.bucket, Key: &to.key, Body: strings.NewReader("bytes of " + to.key), IfNoneMatch: aws.String("*")}
		edit(in)
		_, err := c.PutObject(ctx, in)
		return err
	}}
}

func withACL(acl s3types.ObjectCannedACL, verdict func(key, source verdict) verdict) kind {
	return putting("with the ACL "+string(acl), verdict,
		onObject("PutObject PutObjectAcl", creates, "true", ifAbsent, "*", aclKey, string(acl)),
		func(in *s3.PutObjectInput) { in.ACL = acl })
}

var publicTags = &s3types.Tagging{TagSet: []s3types.Tag{{Key: aws.String("public"), Value: aws.String("yes")}}}

// uploading are the ways to create an object.
var uploading = []kind{
	putting("", asTheKey, onObject("PutObject", creates, "true", ifAbsent, "*"), func(*s3.PutObjectInput) {}),
	putting("without If-None-Match", never, onObject("PutObject", creates, "true"), func(in *s3.PutObjectInput) { in.IfNoneMatch = nil }),
	putting("with If-Match", never, onObject("PutObject", creates, "true", "s3:if-match", anyETag),
		func(in *s3.PutObjectInput) {
			in.IfNoneMatch, in.IfMatch = nil, aws.String(anyETag)
		}),
	withACL(s3types.ObjectCannedACLPublicRead, never),
	withACL(s3types.ObjectCannedACLPublicReadWrite, never),
	withACL(s3types.ObjectCannedACLAuthenticatedRead, never),
	withACL(s3types.ObjectCannedACLPrivate, harmlessly),
	withACL(s3types.ObjectCannedACLBucketOwnerFullControl, harmlessly),
	putting("with tags", never, onObject("PutObject PutObjectTagging", creates, "true", ifAbsent, "*"),
		func(in *s3.PutObjectInput) { in.Tagging = aws.String("public=yes") }),
	{"CopyObject", both, onCopy("PutObject", creates, "true", ifAbsent, "*"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &to.bucket, Key: &to.key, CopySource: copySource(to), IfNoneMatch: aws.String("*")})
		return err
	}},
	{"CopyObject without If-None-Match", never, onCopy("PutObject", creates, "true"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &to.bucket, Key: &to.key, CopySource: copySource(to)})
		return err
	}},
	{"CreateMultipartUpload", asTheKey, onObject("PutObject", creates, "false"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &to.bucket, Key: &to.key})
		return err
	}},
	{"UploadPart", asTheKey, onObject("PutObject", creates, "false"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &to.bucket, Key: &to.key, UploadId: &to.upload, PartNumber: aws.Int32(2), Body: bytes.NewReader([]byte("part"))})
		return err
	}},
	{"UploadPartCopy", both, onCopy("PutObject", creates, "false"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: &to.bucket, Key: &to.key, UploadId: &to.upload, PartNumber: aws.Int32(3), CopySource: copySource(to)})
		return err
	}},
	{"ListParts", asTheKey, onObject("ListMultipartUploadParts"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: &to.bucket, Key: &to.key, UploadId: &to.upload})
		return err
	}},
	{"CompleteMultipartUpload", asTheKey, onObject("PutObject", creates, "true", ifAbsent, "*"), func(ctx context.Context, c *s3.Client, to target) error {
		return complete(ctx, c, to, anyETag, aws.String("*"))
	}},
	{"CompleteMultipartUpload without If-None-Match", never, onObject("PutObject", creates, "true"), func(ctx context.Context, c *s3.Client, to target) error {
		return complete(ctx, c, to, anyETag, nil)
	}},
	{"AbortMultipartUpload", asTheKey, onObject("AbortMultipartUpload"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &to.bucket, Key: &to.key, UploadId: &to.upload})
		return err
	}},
}

func copySource(to target) *string {
	return aws.String(url.PathEscape(to.bucket) + "/" + strings.ReplaceAll(url.QueryEscape(to.source), "+", "%20"))
}

// anyETag is a well-formed one.
const anyETag = `"5d41402abc4b2a76b9719d911017c592"`

func complete(ctx context.Context, c *s3.Client, to target, etag string, ifNoneMatch *string) error {
	parts := []s3types.CompletedPart{{PartNumber: aws.Int32(1), ETag: &etag}}
	_, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &to.bucket, Key: &to.key, UploadId: &to.upload, IfNoneMatch: ifNoneMatch,
		MultipartUpload: &s3types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}

// changing are the ways to change or remove an object that is there.
var changing = []kind{
	{"DeleteObject", never, onObject("DeleteObject"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &to.bucket, Key: &to.key})
		return err
	}},
	{"DeleteObject of a version", never, onObject("DeleteObjectVersion"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &to.bucket, Key: &to.key, VersionId: &to.version})
		return err
	}},
	{"DeleteObjects", never, onObject("DeleteObject DeleteObjectVersion"), func(ctx context.Context, c *s3.Client, to target) error {
		out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &to.bucket, Delete: &s3types.Delete{Objects: []s3types.ObjectIdentifier{
			{Key: &to.key}, {Key: &to.key, VersionId: &to.version},
		}}})
		if err == nil && len(out.Errors) > 0 {
			err = &smithy.GenericAPIError{Code: aws.ToString(out.Errors[0].Code)}
		}
		if err != nil || len(out.Deleted) == 0 {
			return err
		}
		return nil // Something was deleted.
	}},
	{"PutObjectTagging", never, onObject("PutObjectTagging"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &to.bucket, Key: &to.key, Tagging: publicTags})
		return err
	}},
	{"DeleteObjectTagging", never, onObject("DeleteObjectTagging"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: &to.bucket, Key: &to.key})
		return err
	}},
	{"PutObjectAcl", never, onObject("PutObjectAcl", aclKey, "public-read"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.PutObjectAcl(ctx, &s3.PutObjectAclInput{Bucket: &to.bucket, Key: &to.key, ACL: s3types.ObjectCannedACLPublicRead})
		return err
	}},
	{"PutObjectRetention", never, onObject("PutObjectRetention"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &to.bucket, Key: &to.key, Retention: &s3types.ObjectLockRetention{
			Mode: s3types.ObjectLockRetentionModeCompliance, RetainUntilDate: &retainUntil,
		}})
		return err
	}},
	{"PutObjectLegalHold", never, onObject("PutObjectLegalHold"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{Bucket: &to.bucket, Key: &to.key, LegalHold: &s3types.ObjectLockLegalHold{Status: s3types.ObjectLockLegalHoldStatusOn}})
		return err
	}},
	{"RestoreObject", never, onObject("RestoreObject"), func(ctx context.Context, c *s3.Client, to target) error {
		_, err := c.RestoreObject(ctx, &s3.RestoreObjectInput{Bucket: &to.bucket, Key: &to.key, RestoreRequest: &s3types.RestoreRequest{Days: aws.Int32(1)}})
		return err
	}},
}

const wheelTags = "-cp312-cp312-manylinux_2_28_x86_64.whl"

// names makes up names of files.
type names struct {
	r *rand.Rand
	n int
}

func (n *names) version() string {
	n.n++
	return fmt.Sprintf("2.%d.%d%s", n.n, n.r.IntN(3), one(n.r, "", "", "rc1", ".dev20260914"))
}

// proper is a name that the lane may write.
func (n *names) proper(spec v1alpha1.PlatformLaneSpec) string {
	channel, pkg, label := one(n.r, spec.Channels...).Name, one(n.r, spec.Packages...), "+"+spec.Platform+one(n.r, "", "", ".1", ".rocm6.4")
	folder := string(channel) + "/" + spec.Platform + "/"
	if channel == v1alpha1.ChannelRelease {
		folder = spec.Platform + "/"
	}
	attestation := ""
	if n.r.IntN(8) == 0 {
		attestation = ".provenance"
	}
	if pkg == v1alpha1.LibtorchPackage {
		return "libtorch/" + folder + "libtorch-" + one(n.r, "shared-with-deps", "cxx11-abi-static") + "-" + n.version() + label + ".zip" + attestation
	}
	return "whl/" + folder + strings.ReplaceAll(pkg, "-", "_") + "-" + n.version() + label + one(n.r, "", "-1") + wheelTags + attestation
}

// twisted is a proper name with something wrong about it, or nearly so; other is
// another lane's platform.
func (n *names) twisted(spec v1alpha1.PlatformLaneSpec, other string) string {
	key, p := n.proper(spec), spec.Platform
	folder, file := key[:strings.LastIndex(key, "/")+1], key[strings.LastIndex(key, "/")+1:]
	return one(n.r,
		strings.Replace(key, "/"+p+"/", "/"+other+"/", 1),
		strings.Replace(key, "/"+p+"/", "/"+p+"x/", 1),
		strings.Replace(key, "/"+p+"/", "/"+p[:len(p)-1]+"/", 1),
		strings.Replace(key, "/"+p+"/", "/"+strings.ToUpper(p)+"/", 1),
		strings.Replace(key, "/"+p+"/", "/"+p+" /", 1),
		strings.Replace(key, "/"+p+"/", "/x/"+p+"/", 1),
		strings.Replace(key, "+"+p, "+"+other, 1),
		strings.Replace(key, "+"+p, "", 1),
		strings.Replace(key, "+"+p, " "+p, 1),
		strings.Replace(key, "+"+p, "%2B"+p, 1),
		strings.Replace(key, "+"+p, "+x"+p, 1),
		strings.Replace(key, "+"+p, "+"+p+other, 1),
		folder+one(n.r, "index.html", "index.v1_json", "removals.json", "torch/index.html", "", "x", "index.html?x=+"+p+"-.whl"),
		folder+strings.ToUpper(file[:1])+file[1:],
		folder+"sub/"+file,
		folder+strings.TrimSuffix(strings.TrimSuffix(file, ".whl"), ".zip")+".exe",
		folder+file+one(n.r, ".metadata", ".provenance", ".asc", ".whl", "/x"),
		folder+"numpy-1.0+"+p+wheelTags,
		folder+"torchx-1.0+"+p+wheelTags,
		folder+"torch-1.0\u2215+"+p+wheelTags,
		"whl/"+one(n.r, "", "nightly/", "test/", "cpu/", "release/", "stable/")+p+"/"+file,
		"libtorch/"+one(n.r, "", "nightly/", "test/")+p+"/"+file,
		"whl/"+file, "whl/nightly/"+file, file, "_lanes/"+p+"/release/torch.json", "_lanes/"+p+"/claim.json", "_lanes/"+file,
		"platforms/"+p+".json", "WHL/"+p+"/"+file, "index.html", "whl/index.html",
		key+strings.Repeat("x", max(0, 900-len(key))),
	)
}
