package identity

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

// A cluster is lost and built anew: the Role resources are gone, the roles in IAM
// are not, and somebody has tampered with one meanwhile.
func TestARebuiltClusterTakesItsRoleBack(t *testing.T) {
	v := newVendor(t, "adoptspyre")
	role := v.sync()
	v.loseRoleResource(role.Name)
	account := administrator()
	_, err := account.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{
		RoleName: &role.Name, PolicyName: aws.String("backdoor"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = account.UpdateAssumeRolePolicy(t.Context(), &iam.UpdateAssumeRolePolicyInput{
		RoleName:       &role.Name,
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`),
	})
	if err != nil {
		t.Fatal(err)
	}

	// The same lane, from the same manifest; to the new cluster it is another one.
	v.lane.UID = types.UID("again-" + v.lane.Namespace)
	o := v.until(ackrole.Conflict)
	if got := inlinePolicies(t, role.Name); !slices.Equal(got, []string{"backdoor", "lane"}) {
		t.Errorf("a role that is not the lane's was touched: it has %q (%+v)", got, o)
	}

	v.lane.Spec.Adopt = v1alpha1.AdoptExisting
	v.wantIAM(v.sync())
	if got := inlinePolicies(t, role.Name); !slices.Equal(got, []string{"lane"}) {
		t.Errorf("the role has the inline policies %q", got)
	}
	if got := put(t, v.session(), "whl/adoptspyre/torch-1+adoptspyre-cp312-cp312-linux_x86_64.whl"); got != "" {
		t.Errorf("publishing with the role that was taken over: %q", got)
	}
	tags, err := account.ListRoleTags(t.Context(), &iam.ListRoleTagsInput{RoleName: &role.Name})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range role.Tags {
		if !slices.ContainsFunc(tags.Tags, func(tag iamtypes.Tag) bool { return *tag.Key == want.Key && *tag.Value == want.Value }) {
			t.Errorf("the tag %s=%s is missing from %d tags", want.Key, want.Value, len(tags.Tags))
		}
	}

	// It is a role like any other now: deleted behind our back, it comes back.
	for _, name := range inlinePolicies(t, role.Name) {
		if _, err := account.DeleteRolePolicy(t.Context(), &iam.DeleteRolePolicyInput{RoleName: &role.Name, PolicyName: &name}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := account.DeleteRole(t.Context(), &iam.DeleteRoleInput{RoleName: &role.Name}); err != nil {
		t.Fatal(err)
	}
	v.lane.Spec.Packages = []string{"torch"} // ACK looks when something changes, or after its resync
	v.wantIAM(v.sync())
}

// A lane that says it would adopt gets a new role where there is none.
func TestAdoptionOfNothingCreates(t *testing.T) {
	v := newVendor(t, "freshspyre")
	v.lane.Spec.Adopt = v1alpha1.AdoptExisting
	v.wantIAM(v.sync())
	if got := put(t, v.session(), "whl/freshspyre/torch-1+freshspyre-cp312-cp312-linux_x86_64.whl"); got != "" {
		t.Errorf("publishing: %q", got)
	}
}

// until applies the lane's role until it is in a state.
func (v *vendor) until(state ackrole.State) ackrole.Observation {
	v.t.Helper()
	role := v.render()
	var o ackrole.Observation
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if o, err = v.roles.Apply(v.t.Context(), v.lane, role); err != nil {
			v.t.Fatal(err)
		}
		if o.State == state {
			return o
		}
	}
	v.t.Fatalf("%+v, want %s", o, state)
	return o
}

// loseRoleResource removes the Role resource and leaves the role in IAM.
func (v *vendor) loseRoleResource(name string) {
	v.t.Helper()
	config, err := stack.RESTConfig()
	if err != nil {
		v.t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := ackrole.AddToScheme(scheme); err != nil {
		v.t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		v.t.Fatal(err)
	}
	object := ackrole.Kind()
	object.SetNamespace(v.lane.Namespace)
	object.SetName(name)
	retain := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"services.k8s.aws/deletion-policy":"retain"}}}`))
	if err := c.Patch(v.t.Context(), object, retain); err != nil {
		v.t.Fatal(err)
	}
	if err := c.Delete(v.t.Context(), object); err != nil {
		v.t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := c.Get(v.t.Context(), client.ObjectKeyFromObject(object), object); apierrors.IsNotFound(err) {
			return
		}
	}
	v.t.Fatal("the Role resource is still there")
}

func inlinePolicies(t *testing.T, role string) []string {
	t.Helper()
	out, err := administrator().ListRolePolicies(t.Context(), &iam.ListRolePoliciesInput{RoleName: &role})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out.PolicyNames)
	return out.PolicyNames
}

// administrator may do everything in IAM.
func administrator() *iam.Client {
	return iam.New(iam.Options{
		Region: stack.Region, BaseEndpoint: aws.String(stack.IAMEndpoint),
		Credentials: credentials.NewStaticCredentialsProvider(stack.RootAccessKeyID, stack.RootSecretAccessKey, ""),
	})
}
