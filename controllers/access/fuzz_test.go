package access

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// FuzzRender feeds manifests that admission never saw: what comes out is refused,
// or stays within the lane.
func FuzzRender(f *testing.F) {
	const gitLabURL, gitLabSub = "https://gitlab.com", "project_path:a/b"
	f.Add("ns", "lane", "spyre", "torch", "ibm/torch", "prod", "refs/heads/main", "a/b/.github/workflows/c.yml@refs/heads/main", gitLabURL, "sts.amazonaws.com", gitLabSub, "project_id", "77", int64(7), byte(0))
	f.Add("ns", "lane", "spyre", "libtorch", "ibm/torch", "", "refs/tags/v*", "a/b/.github/workflows/c.yml@refs/heads/main", gitLabURL, gitLabURL, gitLabSub+"/*", "ref_protected", "true", int64(7), byte(3))
	f.Add("ns", "lane", "spyre", "torch", "ibm/torch", "", "refs/tags/v*", "", "https://agent.buildkite.com", "aud", "organization:acme:pipeline:torch:*", "pipeline_id", "1", int64(7), byte(2))
	f.Add("ns", "lane", "spyre", "torch", "ibm/torch", "", "refs/tags/v*", "", circleIssuer, circleOrg, "org/"+circleOrg+"/*", "oidc.circleci.com/project-id", "1", int64(7), byte(4))
	f.Add("ns", "lane", "spyre", "torch", "ibm/torch", "", "refs/tags/v*", "", "https://ci.example.com", "aud", "tenant:acme:*", "tenant", "1", int64(7), byte(8))
	for _, v := range hostile {
		f.Add(v, v, v, v, v, v, v, v, v, v, v, v, v, int64(1), byte(1))
		f.Add("ns", "lane", "spyre", v, "a/"+v, v, "refs/heads/"+v, "a/b/.github/workflows/"+v+".yml@refs/heads/main", "https://"+v, v, "project_path:a/b/"+v, v, v, int64(1), byte(2))
		f.Add(v, "lane", v+"spyre", "torch-"+v, v+"/torch", "prod"+v, v, v, gitLabURL+v, gitLabURL+v, v+":a/b/*", "project_id"+v, "7"+v, int64(1), byte(16))
	}
	f.Fuzz(func(t *testing.T, namespace, name, platform, pkg, repository, environment, ref, workflow, issuer, audience, subject, key, value string, id int64, bits byte) {
		l := &v1alpha1.PlatformLane{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: v1alpha1.PlatformLaneSpec{
				Platform: platform, Packages: []string{pkg, "torch"}, Access: v1alpha1.AccessActive,
				Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}, {Name: v1alpha1.ChannelRelease}},
				Publishers: []v1alpha1.Publisher{
					{Name: "a", GitHubActions: v1alpha1.GitHubActionsPublisher{
						Repository: repository, RepositoryID: id, RepositoryOwnerID: id, Environment: environment, Refs: []string{ref},
					}},
					{Name: "b", OIDC: v1alpha1.OIDCPublisher{
						Issuer: issuer, Audience: audience, Subjects: []string{subject}, Claims: []v1alpha1.ClaimRule{{Key: key, Values: []string{value}}},
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
		if bits&4 != 0 {
			l.Spec.Publishers[0].GitHubActions.WorkflowRefs = []string{workflow}
		}
		if bits&8 != 0 {
			l.Spec.Publishers[1].OIDC.Claims = nil
		}
		if bits&16 != 0 {
			l.Spec.Publishers[1].Name, l.Spec.Publishers = name, l.Spec.Publishers[1:]
		}
		if bits&32 != 0 {
			l.Spec.Channels = append(l.Spec.Channels, v1alpha1.Channel{Name: v1alpha1.ChannelName(name)})
		}
		s := federated()
		role, err := Render(l, s, nil)
		reasonOf(t, err)
		explanation := Explain(l, s, nil)
		checkExplanation(t, explanation)
		if role.Name == "" {
			if err == nil || WritePatterns(l, s) != nil && bits&1 == 0 && reasonOf(t, err) == v1alpha1.ReasonUnsafeValue {
				t.Fatalf("neither a role nor a problem, or no role and patterns all the same: %v %q", err, WritePatterns(l, s))
			}
			return
		}
		checkHarmless(t, role, l, s)
		again, _ := Render(l.DeepCopy(), s, nil)
		if again.Trust != role.Trust || again.InlinePolicy != role.InlinePolicy {
			t.Errorf("rendered again it is another:\n%+v\n%+v", role, again)
		}
	})
}

var properPlatform = regexp.MustCompile(`\A[a-z][a-z0-9]{1,30}\z`)

// checkHarmless proves of a role's documents, as they are sent, that they give
// the lane its own folders and names and nothing else.
func checkHarmless(t *testing.T, role Role, l *v1alpha1.PlatformLane, s Settings) {
	t.Helper()
	platform := l.Spec.Platform
	if !properPlatform.MatchString(platform) {
		t.Fatalf("a role for the platform %q", platform)
	}
	checkDocuments(t, role, platform)
	trust, inline := parse(t, role.Trust), parse(t, role.InlinePolicy.Document)
	for _, st := range trust.Statement {
		for _, tests := range st.Condition {
			for key, values := range tests {
				checkKey(t, key)
				for _, v := range values {
					checkPlain(t, strings.TrimSuffix(v, "*"))
					if strings.HasSuffix(v, "*") && !scoped(key, v) {
						t.Errorf("%s may be %s: that lets others in", key, v)
					}
				}
			}
		}
	}
	granted := map[string]bool{}
	for _, st := range inline.Statement {
		for _, folder := range st.NotResource {
			checkPlain(t, strings.TrimSuffix(strings.Replace(folder, "/"+platform+"/*", "/", 1), "/"))
			if !strings.HasSuffix(folder, "/"+platform+"/*") || st.Effect != "Deny" {
				t.Errorf("%s spares %s", st.Effect, folder)
			}
		}
		for key, tests := range st.Condition {
			for condition, values := range tests {
				checkKey(t, condition)
				for _, v := range values {
					checkPlain(t, key+v)
				}
			}
		}
		if st.Effect == "Allow" {
			for _, r := range st.Resource {
				granted[r] = true // Each is checked by checkDocuments.
			}
		}
	}
	if l.Spec.Access == v1alpha1.AccessSuspended {
		if len(granted) > 0 {
			t.Errorf("a suspended lane is allowed %v", granted)
		}
		return
	}
	patterns := WritePatterns(l, s)
	for _, p := range patterns {
		if !granted[p] {
			t.Errorf("WritePatterns has %s, which the document lacks", p)
		}
	}
	if len(patterns) != len(granted) {
		t.Errorf("WritePatterns has %d of %d", len(patterns), len(granted))
	}
	checkApart(t, l, s)
}

// checkApart proves that lanes of other platforms share no key with the lane: an
// ordinary one, and those whose names look most like its own.
func checkApart(t *testing.T, l *v1alpha1.PlatformLane, s Settings) {
	t.Helper()
	for _, platform := range []string{"ordinary", l.Spec.Platform + "x", l.Spec.Platform[1:], l.Spec.Platform[:len(l.Spec.Platform)-1], "x" + l.Spec.Platform} {
		if platform == l.Spec.Platform {
			continue
		}
		other := lane(channels("nightly", "test", "release"), packages("torch", "libtorch"))
		other.Spec.Platform = platform
		if found, overlap := Overlap(l, []*v1alpha1.PlatformLane{other}, s); overlap {
			t.Errorf("%s and %s may both write a key of %s and %s", l.Spec.Platform, platform, found.Mine, found.Theirs)
		}
	}
}

// checkPlain fails for whatever IAM, or a reader, takes for more than itself.
func checkPlain(t *testing.T, value string) {
	t.Helper()
	if strings.ContainsAny(value, "*?${}\"'`\\%<>&") {
		t.Errorf("the value %q", value)
	}
}

var properKey = regexp.MustCompile(`\A(?:s3|aws|[A-Za-z0-9.:/_~-]+):[A-Za-z0-9_.:/-]+\z`)

func checkKey(t *testing.T, key string) {
	t.Helper()
	if !properKey.MatchString(key) {
		t.Errorf("the condition key %q", key)
	}
}

// scoped says whether a value that ends in * names a tenant, or a kind of ref.
func scoped(key, value string) bool {
	for _, form := range []string{`:ref \Arefs/(heads|tags)/[^*]`, `:sub \A(repo:)?[^:/*]+[:/][^:/*]+[:/][^*]*\*\z`} {
		claim, want, _ := strings.Cut(form, " ")
		if strings.HasSuffix(key, claim) && regexp.MustCompile(want).MatchString(value) {
			return true
		}
	}
	return false
}

// checkExplanation proves that nothing of a manifest reaches a terminal as
// anything but text.
func checkExplanation(t *testing.T, e Explanation) {
	t.Helper()
	text := e.Text()
	for _, r := range text {
		if r != '\n' && r != '…' && (r < 0x20 || r > 0x7e) {
			t.Fatalf("the explanation holds %q:\n%s", r, text)
		}
	}
	if _, err := json.Marshal(e); err != nil {
		t.Error(err)
	}
	for _, u := range e.Uploads {
		if !globMatches(u.Pattern, u.Example) {
			t.Errorf("%s is no example of %s", u.Example, u.Pattern)
		}
	}
}
