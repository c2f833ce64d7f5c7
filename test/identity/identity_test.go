package identity

import (
	"bytes"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

const denied = "AccessDenied"

func TestWhoMayPublish(t *testing.T) {
	v := newVendor(t, "whospyre")
	v.wantIAM(v.sync())
	for name, c := range map[string]struct {
		change func(*sandbox.Claims)
		want   string
	}{
		"its own job":                  {func(*sandbox.Claims) {}, ""},
		"after a rename of the form":   {func(c *sandbox.Claims) { c.ImmutableSubject = true }, ""},
		"a tag that matches":           {func(c *sandbox.Claims) { c.Ref = "refs/tags/v2.9.0" }, ""},
		"a recycled name":              {func(c *sandbox.Claims) { c.RepositoryID = "1" }, denied},
		"a recycled owner":             {func(c *sandbox.Claims) { c.RepositoryOwnerID = "1" }, denied},
		"another repository":           {func(c *sandbox.Claims) { c.Repository = "evil/torch" }, denied},
		"a branch":                     {func(c *sandbox.Claims) { c.Ref = "refs/heads/main2" }, denied},
		"a tag that does not match":    {func(c *sandbox.Claims) { c.Ref = "refs/tags/2.9.0" }, denied},
		"not through the workflow":     {func(c *sandbox.Claims) { c.JobWorkflowRef = "" }, denied},
		"the workflow from a branch":   {func(c *sandbox.Claims) { c.JobWorkflowRef += "-mine" }, denied},
		"another environment":          {func(c *sandbox.Claims) { c.Environment = "dev" }, denied},
		"no environment":               {func(c *sandbox.Claims) { c.Environment = "" }, denied},
		"a forged subject":             {func(c *sandbox.Claims) { c.Subject = "repo:whospyre/torch:ref:refs/heads/main" }, denied},
		"another audience":             {func(c *sandbox.Claims) { c.Audience = "https://github.com/whospyre" }, denied},
		"a token without numeric id":   {func(c *sandbox.Claims) { c.Claims = map[string]any{"repository_id": nil} }, denied},
		"a token without ref":          {func(c *sandbox.Claims) { c.Claims = map[string]any{"ref": nil} }, denied},
		"a pull request":               {func(c *sandbox.Claims) { c.EventName, c.Environment, c.Ref = "pull_request", "", "refs/pull/7/merge" }, denied},
		"a fork's pull request":        {func(c *sandbox.Claims) { c.Repository, c.EventName, c.Environment = "fork/torch", "pull_request", "" }, denied},
		"a fork that kept the name":    {func(c *sandbox.Claims) { c.RepositoryID, c.RepositoryOwnerID = "3", "4" }, denied},
		"a literal star in the ref":    {func(c *sandbox.Claims) { c.Ref = "refs/heads/*" }, denied},
		"an expired token":             {func(c *sandbox.Claims) { c.LifetimeSeconds = -60 }, "ExpiredTokenException"},
		"a job of a reusable workflow": {func(c *sandbox.Claims) { c.Workflow = "anything" }, ""},
	} {
		job := v.job
		c.change(&job)
		if _, err := v.assume(job); code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestWhatMayBePublished(t *testing.T) {
	v, other := newVendor(t, "whatspyre"), newVendor(t, "whatother")
	v.sync()
	other.sync()
	mine, theirs := v.session(), other.session()
	const wheel = "-2.9.0+whatspyre-cp312-cp312-manylinux_2_28_x86_64.whl"
	for key, want := range map[string]string{
		"whl/whatspyre/torch" + wheel:                                                   "",
		"whl/nightly/whatspyre/torch" + wheel:                                           "",
		"whl/whatspyre/torch_tensorrt" + wheel:                                          "",
		"whl/whatspyre/torch-2.9.0+whatspyre.1-1-cp312-cp312-linux_x86_64.whl":          "",
		"libtorch/whatspyre/libtorch-shared-with-deps-2.9.0+whatspyre.zip":              "",
		"libtorch/nightly/whatspyre/libtorch-cxx11-abi-static-2.10.0+whatspyre.zip":     "",
		"whl/test/whatspyre/torch" + wheel:                                              denied, // no such channel
		"whl/whatother/torch" + wheel:                                                   denied,
		"whl/whatother/torch-2.9.0+whatother-cp312-cp312-linux_x86_64.whl":              denied,
		"whl/torch" + wheel:                                                             denied,
		"whl/nightly/torch" + wheel:                                                     denied,
		"whl/cpu/torch" + wheel:                                                         denied,
		"torch" + wheel:                                                                 denied,
		"whl/whatspyre/index.html":                                                      denied,
		"whl/whatspyre/torch/index.html":                                                denied,
		"whl/whatspyre/removals.json":                                                   denied,
		"_lanes/whatspyre/claim.json":                                                   denied,
		"_lanes/whatspyre/release/torch.json":                                           denied,
		"whl/whatspyre/torch-2.9.0-cp312-cp312-linux_x86_64.whl":                        denied, // no local version
		"whl/whatspyre/torch-2.9.0+cu128-cp312-cp312-linux_x86_64.whl":                  denied,
		"whl/whatspyre/torchvision" + wheel:                                             denied,
		"whl/whatspyre/torch" + wheel + ".metadata":                                     denied,
		"libtorch/whatspyre/libtorch-shared-with-deps-latest.zip":                       denied,
		"libtorch/libtorch-shared-with-deps-2.9.0+whatspyre.zip":                        denied,
		"WHL/whatspyre/torch" + wheel:                                                   denied,
		"whl/whatspyrex/torch" + wheel:                                                  denied,
		"whl/whatspyr/torch" + wheel:                                                    denied,
		"whl/whatspyre /torch" + wheel:                                                  denied,
		"whl/whatspyre/torch 2.9.0 whatspyre-cp312-cp312-manylinux_2_28_x86_64.whl":     denied,
		"whl/whatspyre/torch-2.9.0%2Bwhatspyre-cp312-cp312-manylinux_2_28_x86_64.whl":   denied,
		"whl/whatspyre/torch-2.9.0 whatspyre-cp312-cp312-manylinux_2_28_x86_64.whl":     denied,
		"libtorch/whatspyre/torch" + wheel:                                              denied,
		"whl/whatspyre/libtorch-shared-with-deps-2.9.0+whatspyre.zip":                   denied,
		"whl/whatspyre/torch-2.9.0+whatother-cp312-cp312-manylinux_2_28_x86_64.whl.sig": denied,
	} {
		if got := put(t, mine, key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	key := "whl/whatspyre/torch" + wheel
	plain := func(in *s3.PutObjectInput) { in.IfNoneMatch = nil }
	acl := func(acl s3types.ObjectCannedACL) func(*s3.PutObjectInput) {
		return func(in *s3.PutObjectInput) { in.ACL = acl }
	}
	if got := put(t, theirs, key); got != denied {
		t.Errorf("the other lane's session on our wheel: %q", got)
	}
	if got := put(t, mine, key); got != "PreconditionFailed" {
		t.Errorf("the same wheel again: %q", got)
	}
	if got := put(t, mine, key, plain); got != denied {
		t.Errorf("overwriting: %q", got)
	}
	if got := put(t, mine, "whl/whatspyre/torch-2.9.1+whatspyre-cp312-cp312-linux_x86_64.whl", acl(s3types.ObjectCannedACLPublicRead)); got != denied {
		t.Errorf("a public ACL: %q", got)
	}
	ctx, bucket := t.Context(), aws.String(stack.Bucket)
	_, err := mine.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key})
	if code(err) != denied {
		t.Errorf("deleting: %v", err)
	}
	_, err = mine.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: bucket, Key: &key, Tagging: &s3types.Tagging{TagSet: []s3types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
	if code(err) != denied {
		t.Errorf("tagging: %v", err)
	}
	_, err = mine.PutObjectAcl(ctx, &s3.PutObjectAclInput{Bucket: bucket, Key: &key, ACL: s3types.ObjectCannedACLPublicRead})
	if code(err) != denied {
		t.Errorf("changing the ACL: %v", err)
	}
	_, err = mine.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("whl/whatother/torch" + wheel), CopySource: aws.String(stack.Bucket + "/whl/whatspyre/x")})
	if code(err) != denied {
		t.Errorf("copying to the other lane: %v", err)
	}
	_, err = mine.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("whl/whatother/torch" + wheel)})
	if code(err) != denied {
		t.Errorf("a multipart upload to the other lane: %v", err)
	}
}

func TestMultipart(t *testing.T) {
	v := newVendor(t, "multispyre")
	v.sync()
	c, ctx := v.session(), t.Context()
	bucket, key := aws.String(stack.Bucket), aws.String("whl/multispyre/torch-2.9.0+multispyre-cp312-cp312-linux_x86_64.whl")
	begin := func() *string {
		up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
		if err != nil {
			t.Fatalf("create: %v", err)
		}
		return up.UploadId
	}
	part := func(id *string) []s3types.CompletedPart {
		out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: id, PartNumber: aws.Int32(1), Body: bytes.NewReader([]byte("part"))})
		if err != nil {
			t.Fatalf("upload a part: %v", err)
		}
		if _, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: id}); err != nil {
			t.Errorf("list the parts: %v", err)
		}
		return []s3types.CompletedPart{{PartNumber: aws.Int32(1), ETag: out.ETag}}
	}
	complete := func(id *string, parts []s3types.CompletedPart, ifNoneMatch *string) string {
		_, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: bucket, Key: key, UploadId: id, IfNoneMatch: ifNoneMatch, MultipartUpload: &s3types.CompletedMultipartUpload{Parts: parts},
		})
		return code(err)
	}
	id := begin()
	parts := part(id)
	if got := complete(id, parts, nil); got != denied {
		t.Errorf("complete without If-None-Match: %q", got)
	}
	if got := complete(id, parts, aws.String("*")); got != "" {
		t.Errorf("complete: %q", got)
	}
	id = begin()
	if got := complete(id, part(id), aws.String("*")); got != "PreconditionFailed" {
		t.Errorf("complete over what is there: %q", got)
	}
	if _, err := c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: key, UploadId: id}); err != nil {
		t.Errorf("abort: %v", err)
	}
}

// A suspension is one change, reaches live sessions, and outlives the resumption
// for those.
func TestSuspension(t *testing.T) {
	v := newVendor(t, "suspyre")
	v.sync()
	live := v.session()
	wheel := func(version string) string {
		return "whl/suspyre/torch-" + version + "+suspyre-cp312-cp312-linux_x86_64.whl"
	}
	if got := put(t, live, wheel("1")); got != "" {
		t.Fatalf("before: %q", got)
	}
	v.lane.Spec.Access = v1alpha1.AccessSuspended
	v.wantIAM(v.sync())
	if got := put(t, live, wheel("2")); got != denied {
		t.Errorf("suspended: %q", got)
	}
	time.Sleep(1100 * time.Millisecond) // sessions are dated in whole seconds
	now := time.Now()
	v.lane.Spec.Access, v.notBefore = v1alpha1.AccessActive, &now
	v.wantIAM(v.sync())
	if got := put(t, live, wheel("3")); got != denied {
		t.Errorf("a session from before, after the resumption: %q", got)
	}
	time.Sleep(1100 * time.Millisecond)
	if got := put(t, v.session(), wheel("4")); got != "" {
		t.Errorf("a new session: %q", got)
	}
}

// ACK is in the middle of a pass with the old documents when the lane is
// suspended; its report must not pass for one about the suspension.
func TestSyncedMeansTheLatestDocuments(t *testing.T) {
	v := newVendor(t, "slowspyre")
	v.sync()
	if err := stack.SetFault(t.Context(), "iam", sandbox.Fault{DelayMillis: 300}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stack.SetFault(t.Context(), "iam", sandbox.Fault{}); err != nil {
			t.Error(err)
		}
	}()
	for round := range 3 {
		v.lane.Spec.Packages = [][]string{{"torch"}, {"torch", "torchaudio"}}[round%2]
		v.lane.Spec.Access = v1alpha1.AccessActive
		if _, err := v.roles.Apply(t.Context(), v.lane, v.render()); err != nil { // ACK begins
			t.Fatal(err)
		}
		time.Sleep(700 * time.Millisecond)
		v.lane.Spec.Access = v1alpha1.AccessSuspended
		v.wantIAM(v.sync())
	}
}

// A steady role costs IAM nothing, and Kubernetes nothing.
func TestASteadyRoleCostsNothing(t *testing.T) {
	v := newVendor(t, "steadyspyre")
	role := v.sync()
	time.Sleep(time.Second)
	if err := stack.ResetCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if o, err := v.roles.Apply(t.Context(), v.lane, role); err != nil || o.State != ackrole.Synced {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	time.Sleep(time.Second)
	calls, err := stack.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(calls["iam"]) > 0 {
		t.Errorf("calls to IAM: %v", calls["iam"])
	}
}

func TestDeletionLeavesNothing(t *testing.T) {
	v := newVendor(t, "gonespyre")
	role := v.sync()
	live := v.session()
	gone := false
	for deadline := time.Now().Add(30 * time.Second); !gone && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if gone, err = v.roles.Delete(t.Context(), v.lane, role.Name); err != nil {
			t.Fatal(err)
		}
	}
	if !gone {
		t.Fatal("the role is still there")
	}
	if got := put(t, live, "whl/gonespyre/torch-1+gonespyre-cp312-cp312-linux_x86_64.whl"); got != denied {
		t.Errorf("a live session of the deleted role: %q", got)
	}
	if _, err := v.assume(v.job); code(err) != denied {
		t.Errorf("assuming the deleted role: %v", err)
	}
	v.sync() // and a lane of that name may come again
}
