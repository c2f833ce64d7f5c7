package sandbox_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// What the operator may and may not do, asked of S3 itself.
func TestTheOperatorsCredentialIsLimited(t *testing.T) {
	stack := sharedStack(t)
	operator, root := operatorS3(&stack.Info), rootS3(&stack.Info)
	bucket := aws.String(sandbox.Bucket)
	write := func(key string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := operator.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key})
			return err
		}
	}
	// existing writes an object for the operator to work on, and returns its version.
	existing := func(key string) *string {
		out, err := put(t, root, sandbox.Bucket, key, "bytes")
		if err != nil {
			t.Fatal(err)
		}
		return out.VersionId
	}
	remove := func(key string) func(context.Context) error {
		existing(key)
		return func(ctx context.Context) error {
			_, err := operator.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key})
			return err
		}
	}
	destroy := func(key string) func(context.Context) error {
		version := existing(key)
		return func(ctx context.Context) error {
			_, err := operator.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key, VersionId: version})
			return err
		}
	}
	tag := func(key string) func(context.Context) error {
		version := existing(key)
		return func(ctx context.Context) error {
			_, err := operator.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: bucket, Key: &key, VersionId: version,
				Tagging: &s3types.Tagging{TagSet: []s3types.Tag{{Key: aws.String("quarantined-by"), Value: aws.String("x")}}}})
			return err
		}
	}
	const wheel = "torch-1.0+limits-cp312-cp312-linux_x86_64.whl"
	for _, c := range []struct {
		name    string
		allowed bool
		do      func(context.Context) error
	}{
		{"a page of a lane", true, write("whl/nightly/limits/torch/index.html")},
		{"a METADATA file", true, write("whl/limits/" + wheel + ".metadata")},
		{"the feed of removals", true, write("whl/limits/removals.json")},
		{"a record", true, write("_lanes/limits/yanks/x.json")},
		{"tagging a file", true, tag("whl/limits/tagged-" + wheel)},
		{"hiding a file", true, remove("whl/limits/hidden-" + wheel)},
		{"destroying a file", true, destroy("libtorch/nightly/limits/destroyed.zip")},
		{"giving up a claim", true, destroy("_lanes/limits/claim.json")},

		{"publishing a wheel", false, write("whl/limits/new-" + wheel)},
		{"publishing an archive", false, write("libtorch/limits/new.zip")},
		{"the root page of a channel", false, write("whl/nightly/index.html")},
		{"a page of PyTorch's own", false, write("whl/cu128/torch/index.html")},
		{"a page of a project of PyTorch's own", false, write("whl/torchvision/index.html")},
		{"hiding a file of PyTorch's own", false, remove("whl/nightly/cpu/torch-1.0+cpu.whl")},
		{"destroying a file of PyTorch's own", false, destroy("libtorch/rocm6.4/libtorch.zip")},
		{"tagging a file of PyTorch's own", false, tag("whl/test/xpu/torch-1.0+xpu.whl")},
		{"hiding a record", false, remove("_lanes/limits/yanks/hidden.json")},
		{"destroying a record", false, destroy("_lanes/limits/yanks/destroyed.json")},
		{"destroying a catalog", false, destroy("_lanes/limits/release/torch.json")},
		{"another folder of the bucket", false, write("models/x")},
		{"hiding something elsewhere", false, remove("models/y")},
		{"the bucket's policy", false, func(ctx context.Context) error {
			_, err := operator.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: bucket})
			return err
		}},
		{"another bucket", false, func(ctx context.Context) error {
			_, err := operator.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("another")})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) { judged(t, c.allowed, c.do(t.Context())) })
	}
	versioning, err := operator.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: aws.String(sandbox.UnversionedBucket)})
	if err != nil || versioning.Status != "" {
		t.Errorf("the unversioned bucket: %v, %v", versioning, err)
	}
}

// What ACK's iam-controller may and may not do, asked of IAM itself.
func TestTheIAMControllersCredentialIsLimited(t *testing.T) {
	stack := sharedStack(t)
	raw, err := os.ReadFile(filepath.Join(stack.Dir, "settings.json"))
	if err != nil {
		t.Fatal(err)
	}
	var settings struct {
		Users map[string]struct{ ID, Secret string }
	}
	if err := json.Unmarshal(raw, &settings); err != nil {
		t.Fatal(err)
	}
	client := func(id, secret string) *iam.Client {
		return iam.New(iam.Options{
			Region: stack.Region, BaseEndpoint: aws.String(stack.IAMEndpoint), RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(id, secret, ""),
		})
	}
	key := settings.Users["ack-iam-controller"]
	ack, root := client(key.ID, key.Secret), client(stack.RootAccessKeyID, stack.RootSecretAccessKey)
	trust := policyDocument(t, object{"Effect": "Deny", "Principal": object{"AWS": "*"}, "Action": "sts:AssumeRole"})
	create := func(c *iam.Client, path, name string) error {
		_, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{
			RoleName: &name, Path: &path, AssumeRolePolicyDocument: &trust,
			PermissionsBoundary: aws.String("arn:aws:iam::" + stack.AccountID + ":policy/platform-lane-boundary"),
			Tags:                []iamtypes.Tag{{Key: aws.String("lane"), Value: aws.String("limits")}},
		})
		return err
	}
	const lanes, mine, foreign = "/platform-lanes/", "platform-lane-limits", "administrator"
	if err := create(root, "/", foreign); err != nil {
		t.Fatal(err)
	}
	judged(t, true, create(ack, lanes, mine))
	for name, err := range map[string]error{
		"a role elsewhere":                create(ack, "/", "platform-lane-elsewhere"),
		"another role below the path":     create(ack, lanes, "administrators"),
		"a role below a path of its own":  create(ack, "/other/", "platform-lane-other"),
		"a role whose path looks similar": create(ack, "/platform-lanes2/", "platform-lane-similar"),
	} {
		t.Run(name, func(t *testing.T) { judged(t, false, err) })
	}
	for _, c := range []struct {
		role    string
		allowed bool
	}{{mine, true}, {foreign, false}} {
		t.Run(c.role, func(t *testing.T) {
			_, err := ack.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &c.role, PolicyName: aws.String("lane"),
				PolicyDocument: aws.String(policyDocument(t, uploads()[0]))})
			judged(t, c.allowed, err)
			_, err = ack.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{RoleName: &c.role, PolicyDocument: &trust})
			judged(t, c.allowed, err)
			_, err = ack.ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: &c.role})
			judged(t, c.allowed, err)
			_, err = ack.UntagRole(t.Context(), &iam.UntagRoleInput{RoleName: &c.role, TagKeys: []string{"foreign"}})
			judged(t, c.allowed, err)
			_, err = ack.AttachRolePolicy(t.Context(), &iam.AttachRolePolicyInput{RoleName: &c.role,
				PolicyArn: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
			judged(t, false, err)
			_, err = ack.DeleteRolePermissionsBoundary(t.Context(), &iam.DeleteRolePermissionsBoundaryInput{RoleName: &c.role})
			judged(t, false, err)
		})
	}
	_, err = ack.ListRoles(t.Context(), &iam.ListRolesInput{})
	judged(t, false, err)
	_, err = ack.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("backdoor")})
	judged(t, false, err)
	_, err = ack.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: aws.String(mine), PolicyName: aws.String("lane")})
	judged(t, true, err)
	_, err = ack.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: aws.String(mine)})
	judged(t, true, err)
}

// judged demands that a call was let through or refused for want of a permission,
// and for nothing else.
func judged(t *testing.T, allowed bool, err error) {
	t.Helper()
	switch {
	case allowed && err != nil:
		t.Errorf("refused: %v", err)
	case !allowed && err == nil:
		t.Error("let through")
	case !allowed && code(err) != "AccessDenied":
		t.Errorf("refused for another reason: %v", err)
	}
}
