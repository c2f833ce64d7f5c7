package roles

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

const (
	// resync is how often ACK compares a role with IAM, in the tests of drift. In
	// production it is hours.
	resync = 3 * time.Second
	// mended bounds how long a repair may take once somebody has noticed.
	mended = 30 * time.Second

	boundary = "arn:aws:iam::" + sandbox.AccountID + ":policy/platform-lane-boundary"
	wideOpen = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	anybody  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
)

func withBoundary(c *operatorconfig.Config) { c.Roles.PermissionsBoundaryARN = boundary }

// control is IAM with every right, as somebody has it who goes behind ACK's back.
func (w *world) control() *iam.Client {
	return iam.New(iam.Options{
		Region: w.stack.Region, BaseEndpoint: aws.String(w.stack.IAMEndpoint),
		Credentials: credentials.NewStaticCredentialsProvider(w.stack.RootAccessKeyID, w.stack.RootSecretAccessKey, ""),
	})
}

// inIAM is everything that IAM holds about a role, by what it is.
func (w *world) inIAM(name string) (map[string]string, error) {
	c, ctx, out := w.control(), w.Context(), map[string]string{}
	got, err := c.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
	if err != nil {
		return nil, err
	}
	role := got.Role
	out["description"], out["path"], out["session"] = aws.ToString(role.Description), *role.Path, fmt.Sprint(aws.ToInt32(role.MaxSessionDuration))
	if out["trust"], err = sorted(*role.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	if role.PermissionsBoundary != nil {
		out["boundary"] = aws.ToString(role.PermissionsBoundary.PermissionsBoundaryArn)
	}
	policies, err := c.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &name})
	if err != nil {
		return nil, err
	}
	for _, policy := range policies.PolicyNames {
		p, err := c.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &policy})
		if err != nil {
			return nil, err
		}
		if out["policy "+policy], err = sorted(*p.PolicyDocument); err != nil {
			return nil, err
		}
	}
	tags, err := c.ListRoleTags(ctx, &iam.ListRoleTagsInput{RoleName: &name})
	if err != nil {
		return nil, err
	}
	for _, tag := range tags.Tags {
		out["tag "+*tag.Key] = *tag.Value
	}
	return out, nil
}

// sorted is a document, decoded, in an order that does not depend on who wrote it.
func sorted(escaped string) (string, error) {
	text, err := url.PathUnescape(escaped)
	if err != nil {
		return "", err
	}
	var document any
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		return "", err
	}
	raw, err := json.Marshal(document)
	return string(raw), err
}

// roleOf is the lane's Role resource.
func (w *world) roleOf(lane *v1alpha1.PlatformLane) (*unstructured.Unstructured, error) {
	role := &unstructured.Unstructured{}
	role.SetGroupVersionKind(schema.GroupVersionKind{Group: "iam.services.k8s.aws", Version: "v1alpha1", Kind: "Role"})
	err := w.client.Get(w.Context(), types.NamespacedName{Namespace: lane.Namespace, Name: lane.Status.Role.Name}, role)
	return role, err
}

// specOf is a Role's spec. An empty list of managed policies is none.
func specOf(role *unstructured.Unstructured) map[string]any {
	spec, _ := role.DeepCopy().Object["spec"].(map[string]any)
	if policies, ok := spec["policies"].([]any); ok && len(policies) == 0 {
		delete(spec, "policies")
	}
	return spec
}

// eventually fails unless check has no error in time.
func eventually(t *testing.T, within time.Duration, check func() error) time.Duration {
	t.Helper()
	started := time.Now()
	for {
		err := check()
		if err == nil {
			return time.Since(started).Round(time.Millisecond)
		}
		if time.Since(started) > within {
			t.Fatalf("after %s: %v", within, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// readyLane adds a lane and waits until it is ready.
func (w *world) readyLane(i int) *v1alpha1.PlatformLane {
	w.Helper()
	lane := w.add(i)
	eventually(w.T, time.Minute, func() error {
		if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(lane), lane); err != nil || ready(lane) {
			return err
		}
		return fmt.Errorf("%s is not ready: %+v", lane.Name, lane.Status.Conditions)
	})
	return lane
}

// Whatever is done to a role in IAM, ACK undoes it at its next resync.
func TestDriftInIAMIsMended(t *testing.T) {
	t.Parallel() // Most of it is waiting, each on a stack of its own.
	w := open(t, withBoundary, "--reconcile-default-resync-seconds", fmt.Sprint(int(resync.Seconds())))
	lane := w.readyLane(1)
	name := &lane.Status.Role.Name
	lanePolicy := aws.String("lane")
	c := w.control()
	want, err := w.inIAM(*name)
	if err != nil {
		t.Fatal(err)
	}
	if want["boundary"] != boundary || want["tag lane"] != lane.Spec.Platform || want["policy lane"] == "" {
		t.Fatalf("the role is not what the lane asks for: %v", want)
	}
	tag := func(key, value string) error {
		_, err := c.TagRole(t.Context(), &iam.TagRoleInput{RoleName: name, Tags: []iamtypes.Tag{{Key: &key, Value: &value}}})
		return err
	}
	put := func(policy, document string) error {
		_, err := c.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: &policy, PolicyDocument: &document})
		return err
	}
	remove := func(ctx context.Context) error {
		_, err := c.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: lanePolicy})
		return err
	}
	for _, drift := range []struct {
		what string
		do   func(ctx context.Context) error
	}{
		{"the inline policy is opened", func(context.Context) error { return put("lane", wideOpen) }},
		{"the inline policy is deleted", remove},
		{"another inline policy is added", func(context.Context) error { return put("extra", wideOpen) }},
		{"the trust is opened", func(ctx context.Context) error {
			_, err := c.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(anybody)})
			return err
		}},
		{"the boundary is removed", func(ctx context.Context) error {
			_, err := c.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: name})
			return err
		}},
		{"the boundary is another one", func(ctx context.Context) error {
			_, err := c.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: aws.String("arn:aws:iam::aws:policy/AdministratorAccess")})
			return err
		}},
		{"the lane's tag is another lane's", func(context.Context) error { return tag("lane", "spyre") }},
		{"the lane's tag is removed", func(ctx context.Context) error {
			_, err := c.UntagRole(ctx, &iam.UntagRoleInput{RoleName: name, TagKeys: []string{"lane"}})
			return err
		}},
		{"a tag is added", func(context.Context) error { return tag("admin", "yes") }},
		{"sessions may last longer", func(ctx context.Context) error {
			_, err := c.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: name, MaxSessionDuration: aws.Int32(43200)})
			return err
		}},
		{"the role is deleted", func(ctx context.Context) error {
			if err := remove(ctx); err != nil {
				return err
			}
			_, err := c.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: name})
			return err
		}},
	} {
		t.Run(drift.what, func(t *testing.T) {
			if err := drift.do(t.Context()); err != nil {
				t.Fatal(err)
			}
			took := eventually(t, resync+mended, func() error {
				got, err := w.inIAM(*name)
				if err == nil && !maps.Equal(got, want) {
					err = fmt.Errorf("IAM holds %v, want %v", got, want)
				}
				return err
			})
			t.Logf("mended after %s", took)
		})
	}
	eventually(t, mended, func() error { return w.says(lane, v1alpha1.ReasonRoleSynced) })
}

// says is nil if the lane's CredentialsReady has a reason.
func (w *world) says(lane *v1alpha1.PlatformLane, reason string) error {
	if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(lane), lane); err != nil {
		return err
	}
	got := meta.FindStatusCondition(lane.Status.Conditions, v1alpha1.CredentialsReadyCondition)
	switch {
	case got == nil || got.Reason != reason:
		return fmt.Errorf("CredentialsReady is %+v, want the reason %s", got, reason)
	case got.Message == "":
		return errors.New("CredentialsReady says nothing")
	}
	return nil
}

// Whatever is done to a Role resource, the operator undoes it at once, long before
// ACK's next resync.
func TestDriftOfTheResourceIsMended(t *testing.T) {
	t.Parallel() // Most of it is waiting, each on a stack of its own.
	w := open(t, withBoundary)
	lane := w.readyLane(1)
	name := lane.Status.Role.Name
	before, err := w.roleOf(lane)
	if err != nil {
		t.Fatal(err)
	}
	want, err := w.inIAM(name)
	if err != nil {
		t.Fatal(err)
	}
	patch := func(text string) func() error {
		return func() error {
			role, err := w.roleOf(lane)
			if err != nil {
				return err
			}
			return w.client.Patch(t.Context(), role, client.RawPatch(types.MergePatchType, []byte(text)), client.FieldOwner("somebody"))
		}
	}
	quoted := func(document string) string {
		raw, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	for _, drift := range []struct {
		what string
		do   func() error
	}{
		{"the inline policy is opened", patch(`{"spec":{"inlinePolicies":{"lane":` + quoted(wideOpen) + `}}}`)},
		{"the inline policy is removed", patch(`{"spec":{"inlinePolicies":null}}`)},
		{"another inline policy is added", patch(`{"spec":{"inlinePolicies":{"extra":` + quoted(wideOpen) + `}}}`)},
		{"a managed policy is attached", patch(`{"spec":{"policies":["arn:aws:iam::aws:policy/AdministratorAccess"]}}`)},
		{"the trust is opened", patch(`{"spec":{"assumeRolePolicyDocument":` + quoted(anybody) + `}}`)},
		{"the boundary is removed", patch(`{"spec":{"permissionsBoundary":null}}`)},
		{"tags are other ones", patch(`{"spec":{"tags":[{"key":"lane","value":"spyre"}]}}`)},
		{"sessions may last longer", patch(`{"spec":{"maxSessionDuration":43200}}`)},
		{"the role would outlive its lane", patch(`{"metadata":{"annotations":{"services.k8s.aws/deletion-policy":"retain"}}}`)},
		{"ACK may only read", patch(`{"metadata":{"annotations":{"services.k8s.aws/read-only":"true"}}}`)},
		{"it is deleted", func() error {
			role, err := w.roleOf(lane)
			if err != nil {
				return err
			}
			return w.client.Delete(t.Context(), role)
		}},
	} {
		t.Run(drift.what, func(t *testing.T) {
			if err := drift.do(); err != nil {
				t.Fatal(err)
			}
			took := eventually(t, mended, func() error {
				role, err := w.roleOf(lane)
				if err != nil {
					return err
				}
				if got, want := specOf(role), specOf(before); !reflect.DeepEqual(got, want) {
					return fmt.Errorf("the Role's spec is %v, want %v", got, want)
				}
				for _, key := range []string{"services.k8s.aws/deletion-policy", "services.k8s.aws/read-only"} {
					if role.GetAnnotations()[key] != before.GetAnnotations()[key] {
						return fmt.Errorf("the annotation %s is %q", key, role.GetAnnotations()[key])
					}
				}
				if role.GetDeletionTimestamp() != nil {
					return errors.New("the Role is being deleted")
				}
				got, err := w.inIAM(name)
				if err == nil && !maps.Equal(got, want) {
					err = fmt.Errorf("IAM holds %v, want %v", got, want)
				}
				return err
			})
			t.Logf("mended after %s", took)
			eventually(t, mended, func() error { return w.says(lane, v1alpha1.ReasonRoleSynced) })
		})
	}
	time.Sleep(resync) // What ACK still had of an edit it has carried out by now.
	if got, err := w.inIAM(name); err != nil || !maps.Equal(got, want) {
		t.Errorf("in the end IAM holds %v (%v), want %v", got, err, want)
	}
}

// What ACK reports is told apart, and each is over once its cause is.
func TestWhatACKReportsIsToldApart(t *testing.T) {
	t.Parallel() // Most of it is waiting, each on a stack of its own.
	w := open(t, nil)
	fault := func(f sandbox.Fault) {
		t.Helper()
		if err := w.stack.SetFault(t.Context(), "iam", f); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("a role of that name that is somebody else's", func(t *testing.T) {
		c, name := w.control(), aws.String("platform-lane-vendor0007")
		if _, err := c.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: name, Path: aws.String("/platform-lanes/"), AssumeRolePolicyDocument: aws.String(anybody)}); err != nil {
			t.Fatal(err)
		}
		lane := w.add(7)
		eventually(t, mended, func() error { return w.says(lane, v1alpha1.ReasonRoleConflict) })
		if _, err := c.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: name}); err != nil {
			t.Fatal(err)
		}
	})

	lane := w.readyLane(1)
	packages := func(names ...string) {
		t.Helper()
		lane.Spec.Packages = names
		if err := w.client.Update(t.Context(), lane); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("an error that passes", func(t *testing.T) {
		fault(sandbox.Fault{Status: 503, Operations: []string{"PutRolePolicy"}})
		packages("torch", "torchvision")
		eventually(t, mended, func() error { return w.says(lane, v1alpha1.ReasonRoleRecoverable) })
		fault(sandbox.Fault{})
		eventually(t, time.Minute, func() error { return w.says(lane, v1alpha1.ReasonRoleSynced) })
	})
	t.Run("a role that is being deleted", func(t *testing.T) {
		fault(sandbox.Fault{Status: 503, Operations: []string{"DeleteRole"}})
		role, err := w.roleOf(lane)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.client.Delete(t.Context(), role); err != nil {
			t.Fatal(err)
		}
		eventually(t, mended, func() error { return w.says(lane, v1alpha1.ReasonRoleDeleting) })
		fault(sandbox.Fault{})
		eventually(t, time.Minute, func() error { return w.says(lane, v1alpha1.ReasonRoleSynced) })
	})
	t.Run("an ACK that is not there", func(t *testing.T) {
		if err := w.stack.Kill(sandbox.ACK); err != nil {
			t.Fatal(err)
		}
		packages("torch")
		eventually(t, mended, func() error { return w.says(lane, v1alpha1.ReasonRoleSyncing) })
		if err := w.stack.Restart(t.Context(), sandbox.ACK); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, func() error { return w.says(lane, v1alpha1.ReasonRoleSynced) })
	})
}
