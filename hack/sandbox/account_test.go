package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// uploads lets a lane write its own wheels, each name once.
func uploads() []object {
	return []object{
		{
			"Sid": "Upload", "Effect": "Allow", "Action": []string{"s3:PutObject", "s3:AbortMultipartUpload"},
			"Resource": "arn:aws:s3:::" + sandbox.Bucket + "/whl/spyre/torch-*+spyre-*.whl",
		},
		{
			"Sid": "NoOverwrite", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*",
			"Condition": object{
				"Null": object{"s3:if-none-match": "true"},
				"Bool": object{"s3:ObjectCreationOperation": "true"},
			},
		},
	}
}

// The account, end to end: a role made by ACK, a session from a job's token, what
// it may and may not write, suspension, and the end of the role.
func TestALaneOnTheRealParts(t *testing.T) {
	stack := sharedStack(t)
	c := kube(t, stack)
	role := newRole(t, &stack.Info, "platform-lane-spyre", uploads()...)
	created := time.Now()
	if err := c.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	synced(t, c, role, created)

	live, err := assume(t, &stack.Info, "platform-lane-spyre", job)
	if err != nil {
		t.Fatalf("the right job: %v", err)
	}
	t.Run("wrong jobs are refused", func(t *testing.T) { wrongJobs(t, &stack.Info) })
	t.Run("uploads", func(t *testing.T) { uploadRules(t, live) })
	t.Run("multipart", func(t *testing.T) { multipart(t, live) })

	t.Run("a changed role converges", func(t *testing.T) { convergence(t, stack, c, role) })
	t.Run("sessions from before a suspension stay out", func(t *testing.T) { suspension(t, stack, c, live) })
	t.Run("deletion", func(t *testing.T) {
		if err := c.Delete(t.Context(), role); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the role to be gone", func() error {
			err := c.Get(t.Context(), client.ObjectKeyFromObject(role), role)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("still there: %w", err)
		})
		if _, err := put(t, live, sandbox.Bucket, wheel("9.9"), "x"); code(err) != "AccessDenied" {
			t.Errorf("a session of the deleted role: %v", err)
		}
		if _, err := assume(t, &stack.Info, "platform-lane-spyre", job); code(err) != "AccessDenied" {
			t.Errorf("assuming the deleted role: %v", err)
		}
	})
}

func wheel(version string) string {
	return "whl/spyre/torch-" + version + "+spyre-cp312-cp312-linux_x86_64.whl"
}

func wrongJobs(t *testing.T, i *sandbox.Info) {
	for name, change := range map[string]func(*sandbox.Claims){
		"recycled repository": func(c *sandbox.Claims) { c.RepositoryID = "43" },
		"another repository":  func(c *sandbox.Claims) { c.Repository = "evil/torch-spyre" },
		"another audience":    func(c *sandbox.Claims) { c.Audience = "elsewhere" },
	} {
		claims := job
		change(&claims)
		if _, err := assume(t, i, "platform-lane-spyre", claims); code(err) != "AccessDenied" {
			t.Errorf("%s: %v, want AccessDenied", name, err)
		}
	}
	moved := job
	moved.ImmutableSubject = true
	if _, err := assume(t, i, "platform-lane-spyre", moved); err != nil {
		t.Errorf("the same job with the new form of subject: %v", err)
	}
}

func uploadRules(t *testing.T, lane *s3.Client) {
	if _, err := put(t, lane, sandbox.Bucket, wheel("2.9.0"), "bytes"); err != nil {
		t.Fatalf("its own wheel: %v", err)
	}
	if _, err := put(t, lane, sandbox.Bucket, wheel("2.9.0"), "other"); code(err) != "PreconditionFailed" {
		t.Errorf("its own wheel again: %v", err)
	}
	overwrite := func(in *s3.PutObjectInput) { in.IfNoneMatch = nil }
	if _, err := put(t, lane, sandbox.Bucket, wheel("2.9.0"), "other", overwrite); code(err) != "AccessDenied" {
		t.Errorf("overwriting without a condition: %v", err)
	}
	for _, key := range []string{
		"whl/other/torch-2.9.0+spyre-x.whl", "whl/torch-2.9.0+spyre-x.whl", "whl/spyre/torch/index.html",
		"whl/spyre/torch-2.9.0-x.whl", "_lanes/spyre/nightly/torch.json",
	} {
		if _, err := put(t, lane, sandbox.Bucket, key, "x"); code(err) != "AccessDenied" {
			t.Errorf("%s: %v, want AccessDenied", key, err)
		}
	}
	if _, err := put(t, lane, sandbox.MirrorBucket, wheel("2.9.0"), "x"); code(err) != "AccessDenied" {
		t.Errorf("the mirror: %v", err)
	}
	if _, err := lane.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(sandbox.Bucket), Key: aws.String(wheel("2.9.0"))}); code(err) != "AccessDenied" {
		t.Errorf("deleting its own wheel: %v", err)
	}
}

func multipart(t *testing.T, lane *s3.Client) {
	bucket, key := aws.String(sandbox.Bucket), aws.String(wheel("2.9.1"))
	upload, err := lane.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	var parts []s3types.CompletedPart
	for n := range int32(2) {
		part, err := lane.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: bucket, Key: key, UploadId: upload.UploadId, PartNumber: aws.Int32(n + 1),
			Body: bytes.NewReader(make([]byte, 5<<20)),
		})
		if err != nil {
			t.Fatalf("part %d: %v", n+1, err)
		}
		parts = append(parts, s3types.CompletedPart{ETag: part.ETag, PartNumber: aws.Int32(n + 1)})
	}
	complete := &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: upload.UploadId, MultipartUpload: &s3types.CompletedMultipartUpload{Parts: parts},
	}
	if _, err := lane.CompleteMultipartUpload(t.Context(), complete); code(err) != "AccessDenied" {
		t.Errorf("complete without a condition: %v", err)
	}
	complete.IfNoneMatch = aws.String("*")
	if _, err := lane.CompleteMultipartUpload(t.Context(), complete); err != nil {
		t.Errorf("complete: %v", err)
	}
	if _, err := lane.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("whl/other/x.whl")}); code(err) != "AccessDenied" {
		t.Errorf("create elsewhere: %v", err)
	}
}

// convergence checks that ACK reads back what it wrote: one update, and none when
// it looks again.
func convergence(t *testing.T, stack *sandbox.Stack, c client.Client, role client.Object) {
	updates := func() int {
		counts, err := stack.Calls(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return counts["iam"]["UpdateRole"]
	}
	if err := stack.ResetCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	edit(t, c, role, func(spec object) { spec["maxSessionDuration"], spec["description"] = int64(7200), "changed" })
	eventually(t, "the update", func() error {
		if n := updates(); n != 1 {
			return fmt.Errorf("%d calls of UpdateRole", n)
		}
		return nil
	})
	if err := stack.Restart(t.Context(), sandbox.ACK); err != nil { // it looks at every role anew
		t.Fatal(err)
	}
	eventually(t, "ACK to look again", func() error {
		counts, err := stack.Calls(t.Context())
		if err == nil && counts["iam"]["GetRolePolicy"] < 2 {
			return fmt.Errorf("%v", counts["iam"])
		}
		return err
	})
	time.Sleep(300 * time.Millisecond)
	if n := updates(); n != 1 {
		t.Errorf("UpdateRole was called %d times for one change: ACK does not read back what it wrote", n)
	}
}

// suspension checks a Deny in the role's policy, and a resumption that leaves
// earlier sessions out.
func suspension(t *testing.T, stack *sandbox.Stack, c client.Client, live *s3.Client) {
	role := newRole(t, &stack.Info, "platform-lane-spyre")
	setPolicy := func(statements ...object) {
		document := policyDocument(t, append(uploads(), statements...)...)
		changed := edit(t, c, role, func(spec object) { spec["inlinePolicies"] = object{"lane": document} })
		eventually(t, "the policy to reach IAM", func() error {
			counts, err := stack.Calls(t.Context())
			if err == nil && counts["iam"]["PutRolePolicy"] == 0 {
				return errors.New("ACK has not written it yet")
			}
			return err
		})
		synced(t, c, role, changed)
		if err := stack.ResetCalls(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := stack.ResetCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, live, sandbox.Bucket, wheel("3.0"), "x"); err != nil {
		t.Fatalf("before: %v", err)
	}
	setPolicy(object{"Sid": "Suspended", "Effect": "Deny", "Action": "*", "Resource": "*"})
	if _, err := put(t, live, sandbox.Bucket, wheel("3.1"), "x"); code(err) != "AccessDenied" {
		t.Errorf("suspended: %v", err)
	}
	time.Sleep(1100 * time.Millisecond) // issue times have seconds
	setPolicy(object{
		"Sid": "Resumed", "Effect": "Deny", "Action": "*", "Resource": "*",
		"Condition": object{"DateLessThan": object{"aws:TokenIssueTime": time.Now().UTC().Format(time.RFC3339)}},
	})
	if _, err := put(t, live, sandbox.Bucket, wheel("3.2"), "x"); code(err) != "AccessDenied" {
		t.Errorf("a session from before the suspension: %v", err)
	}
	fresh, err := assume(t, &stack.Info, "platform-lane-spyre", job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := put(t, fresh, sandbox.Bucket, wheel("3.3"), "x"); err != nil {
		t.Errorf("a session from after it: %v", err)
	}
}

func TestTheTrustOfASharedIssuerMustNameASubject(t *testing.T) {
	stack := sharedStack(t)
	c := kube(t, stack)
	role := newRole(t, &stack.Info, "platform-lane-open", uploads()...)
	specOf(t, role)["assumeRolePolicyDocument"] = policyDocument(t, object{
		"Effect": "Allow", "Principal": object{"Federated": stack.OIDCProviderARN}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": object{"StringEquals": object{stack.OIDCIssuerHost + ":aud": sandbox.Audience}},
	})
	if err := c.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ACK to give the role up", func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(role), role); err != nil {
			return err
		}
		if s := fmt.Sprint(role.Object["status"]); !strings.Contains(s, "ACK.Terminal") || !strings.Contains(s, "MalformedPolicyDocument") {
			return errors.New(s)
		}
		return nil
	})
	if err := c.Delete(t.Context(), role); err != nil {
		t.Fatal(err)
	}
}

func specOf(t *testing.T, role *unstructured.Unstructured) object {
	t.Helper()
	spec, ok := role.Object["spec"].(object)
	if !ok {
		t.Fatalf("role %s has no spec", role.GetName())
	}
	return spec
}

// edit changes a role's spec and returns when that was.
func edit(t *testing.T, c client.Client, role client.Object, change func(spec object)) time.Time {
	t.Helper()
	current := newRole(t, &sandbox.Info{}, role.GetName())
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(role), current); err != nil {
		t.Fatal(err)
	}
	before := current.DeepCopy()
	change(specOf(t, current))
	at := time.Now()
	if err := c.Patch(t.Context(), current, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	return at
}

// What the public may read, at each of the three addresses.
func TestPublicReading(t *testing.T) {
	stack := sharedStack(t)
	operator, root := operatorS3(&stack.Info), rootS3(&stack.Info)
	key := "whl/public/torch-1.0+public-x.whl"
	cached := func(in *s3.PutObjectInput) {
		in.CacheControl = aws.String("max-age=300, s-maxage=31536000, must-revalidate")
	}
	out, err := put(t, root, sandbox.Bucket, key, "bytes", cached)
	if err != nil {
		t.Fatal(err)
	}
	for bucket, key := range map[string]string{sandbox.MirrorBucket: key, sandbox.Bucket: "_lanes/public/x.json"} {
		if _, err := put(t, root, bucket, key, "bytes"); err != nil {
			t.Fatal(err)
		}
	}
	encoded, raw := "/"+strings.ReplaceAll(key, "+", "%2B"), "/"+key
	direct := stack.S3Endpoint + "/" + sandbox.Bucket
	version := "?versionId=" + url.QueryEscape(*out.VersionId)
	for _, c := range []struct {
		url  string
		want int
	}{
		{stack.CDNURL + encoded, 200}, {stack.MirrorURL + encoded, 200}, {direct + encoded, 200},
		// S3 reads a raw plus as a space.
		{stack.CDNURL + raw, 404}, {stack.MirrorURL + raw, 404}, {direct + raw, 404},
		// Private, and no listing.
		{stack.CDNURL + "/_lanes/public/x.json", 403}, {direct + "/_lanes/public/x.json", 403},
		{direct + "/?list-type=2", 403}, {direct + "/?versions", 403},
		// Versions take another permission than objects.
		{direct + encoded + version, 403},
	} {
		if got, body := get(t, c.url); got != c.want {
			t.Errorf("%s: %d, want %d: %.200s", c.url, got, c.want, body)
		}
	}

	if _, err := operator.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(sandbox.Bucket), Key: &key}); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, direct+encoded); got != 404 {
		t.Errorf("behind a delete marker: %d", got)
	}
	if got, _ := get(t, direct+encoded+version); got != 403 {
		t.Errorf("the version behind a delete marker: %d", got)
	}
	if got, _ := get(t, stack.CDNURL+encoded); got != 200 {
		t.Errorf("the CDN still has its copy: %d", got)
	}
	if err := stack.FlushCDN(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, stack.CDNURL+encoded); got != 404 {
		t.Errorf("after a flush: %d", got)
	}
	if _, err := operator.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(sandbox.Bucket), Key: &key, VersionId: out.VersionId}); err != nil {
		t.Errorf("the operator reads the version: %v", err)
	}
}
