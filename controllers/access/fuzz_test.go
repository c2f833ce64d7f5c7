package access

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// FuzzRender feeds manifests that admission never saw: what comes out is refused,
// or stays within the lane.
func FuzzRender(f *testing.F) {
	f.Add("spyre", "torch", "ibm/torch", "prod", "refs/heads/main", "https://gitlab.com", "project_path:a/b", "project_id", "77", int64(7), byte(0))
	f.Add("spyre", "libtorch", "ibm/torch", "", "refs/tags/v*", "https://gitlab.com", "project_path:a/b/*", "ref", "main", int64(7), byte(3))
	for _, v := range hostile {
		f.Add(v, v, v, v, v, v, v, v, v, int64(1), byte(1))
		f.Add("spyre", v, "a/"+v, v, "refs/heads/"+v, "https://"+v, "project_path:a/b/"+v, v, v, int64(1), byte(2))
	}
	f.Fuzz(func(t *testing.T, platform, pkg, repository, environment, ref, issuer, subject, key, value string, id int64, bits byte) {
		l := &v1alpha1.PlatformLane{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "lane"},
			Spec: v1alpha1.PlatformLaneSpec{
				Platform: platform, Packages: []string{pkg, "torch"}, Access: v1alpha1.AccessActive,
				Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}, {Name: v1alpha1.ChannelRelease}},
				Publishers: []v1alpha1.Publisher{
					{Name: "a", GitHubActions: v1alpha1.GitHubActionsPublisher{
						Repository: repository, RepositoryID: id, RepositoryOwnerID: id, Environment: environment, Refs: []string{ref},
					}},
					{Name: "b", OIDC: v1alpha1.OIDCPublisher{
						Issuer: issuer, Subjects: []string{subject}, Claims: []v1alpha1.ClaimRule{{Key: key, Values: []string{value}}},
					}},
				},
			},
		}
		if bits&1 != 0 {
			l.Spec.Access = v1alpha1.AccessSuspended
		}
		if bits&2 != 0 {
			l.Spec.Publishers[0].GitHubActions.Environment = ""
		}
		role, err := Render(l, settings(), nil)
		reasonOf(t, err)
		if role.Name == "" {
			if err == nil {
				t.Fatal("neither a role nor a problem")
			}
			return
		}
		checkDocuments(t, role, platform)
		if bits&1 != 0 {
			for _, st := range parse(t, role.InlinePolicy.Document).Statement {
				if st.Effect == "Allow" {
					t.Errorf("a suspended lane is allowed something: %+v", st)
				}
			}
		}
	})
}
