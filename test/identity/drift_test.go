package identity

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

// What somebody changes in IAM behind everybody's back is mended by the next pass
// of the ACK controller: after its resync, or here, when the lane changes.
func TestWhatIsChangedInIAMIsMended(t *testing.T) {
	v := newVendor(t, "driftspyre")
	role := v.sync()
	account := administrator()
	everything := aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	for round, change := range []struct {
		name string
		make func(context.Context) error
	}{
		{"the inline policy", func(ctx context.Context) error {
			_, err := account.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role.Name, PolicyName: &role.InlinePolicy.Name, PolicyDocument: everything})
			return err
		}},
		{"another inline policy", func(ctx context.Context) error {
			_, err := account.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &role.Name, PolicyName: aws.String("more"), PolicyDocument: everything})
			return err
		}},
		{"no inline policy", func(ctx context.Context) error {
			_, err := account.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &role.Name, PolicyName: &role.InlinePolicy.Name})
			return err
		}},
		{"the trust policy", func(ctx context.Context) error {
			_, err := account.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{
				RoleName:       &role.Name,
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`),
			})
			return err
		}},
		{"a tag that is gone", func(ctx context.Context) error {
			_, err := account.UntagRole(ctx, &iam.UntagRoleInput{RoleName: &role.Name, TagKeys: []string{"lane"}})
			return err
		}},
		{"a tag that is foreign", func(ctx context.Context) error {
			_, err := account.TagRole(ctx, &iam.TagRoleInput{RoleName: &role.Name, Tags: []iamtypes.Tag{{Key: aws.String("lane2"), Value: aws.String("other")}}})
			return err
		}},
		{"the role", func(ctx context.Context) error {
			names, err := account.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: &role.Name})
			if err != nil {
				return err
			}
			for _, name := range names.PolicyNames {
				if _, err := account.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &role.Name, PolicyName: &name}); err != nil {
					return err
				}
			}
			_, err = account.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &role.Name})
			return err
		}},
	} {
		t.Run(change.name, func(t *testing.T) {
			v.t = t
			if err := change.make(t.Context()); err != nil {
				t.Fatal(err)
			}
			v.lane.Spec.Packages = [][]string{{"torch"}, {"torch", "torchaudio"}}[round%2]
			v.until(ackrole.Syncing)
			role = v.sync()
			v.wantIAM(role)
			if got := inlinePolicies(t, role.Name); !slices.Equal(got, []string{"lane"}) {
				t.Errorf("inline policies %q", got)
			}
			live, err := account.ListRoleTags(t.Context(), &iam.ListRoleTagsInput{RoleName: &role.Name})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range role.Tags {
				if !slices.ContainsFunc(live.Tags, func(tag iamtypes.Tag) bool { return *tag.Key == want.Key && *tag.Value == want.Value }) {
					t.Errorf("the tag %s=%s is missing", want.Key, want.Value)
				}
			}
			if slices.ContainsFunc(live.Tags, func(tag iamtypes.Tag) bool { return *tag.Key == "lane2" }) {
				t.Error("the foreign tag is still there")
			}
		})
	}
}
