package identity

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// seedVariable names the environment variable that makes another run of the
// generators, or the same one again.
const seedVariable = "IDENTITY_SEED"

// newRandom is the source of everything that a test generates. The same seed gives
// the same lanes, requests and tokens.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(55)
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("generated with %s=%d", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// some are n to all of the values, in their order.
func some[T any](r *rand.Rand, n int, of ...T) []T {
	n += r.IntN(len(of) - n + 1)
	chosen := r.Perm(len(of))[:n]
	slices.Sort(chosen)
	out := make([]T, n)
	for i, j := range chosen {
		out[i] = of[j]
	}
	return out
}

// lookAlikes are platforms that a careless pattern takes for one another: each
// other's beginnings and ends, folders of the bucket, packages.
var lookAlikes = []string{
	"spyre", "spyrex", "spy", "sp", "spyre2", "xspyre", "pyre", "spyrespyre", "whl", "lanes",
	"releases", "nightlyspyre", "testspyre", "libtorchspyre", "whlspyre", "re", "spyrewhl",
}

const laneLetters = "abcdefghijklmnopqrstuvwxyz0123456789"

// platforms are n different ones: the look-alikes, then others, half of them made
// from one that is there by a letter more or less.
func platforms(r *rand.Rand, n int) []string {
	out := slices.Clone(lookAlikes)
	for len(out) < n {
		var p string
		switch near := one(r, out...); r.IntN(4) {
		case 0:
			p = near + string(laneLetters[r.IntN(len(laneLetters))])
		case 1:
			p = near[:len(near)-1]
		default:
			var b strings.Builder
			b.WriteByte(laneLetters[r.IntN(26)])
			for range 1 + r.IntN(14) {
				b.WriteByte(laneLetters[r.IntN(len(laneLetters))])
			}
			p = b.String()
		}
		if len(p) >= 2 && len(p) <= 31 && p != "nightly" && p != "test" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out[:n]
}

// issuers of other CI, and what a subject of each looks like.
var issuers = []struct {
	url     string
	subject func(r *rand.Rand, org, project string) string
	claims  []string
}{
	{"https://gitlab.com", func(_ *rand.Rand, org, project string) string {
		return "project_path:" + org + "/" + project + ":ref_type:branch:ref:main"
	}, []string{"project_id", "namespace_id", "ref_protected"}},
	{"https://agent.buildkite.com", func(r *rand.Rand, org, project string) string {
		return fmt.Sprintf("organization:%s:pipeline:%s:ref:refs/heads/main:commit:%08x:step:upload", org, project, r.Uint32())
	}, []string{"pipeline_id", "organization_id", "build_branch"}},
	{"https://oidc.circleci.com/org/8fd7f1f1-0000-4000-8000-00000000cafe", func(_ *rand.Rand, org, _ string) string {
		return "org/8fd7f1f1-0000-4000-8000-00000000cafe/project/" + org + "/user/7"
	}, nil},
}

// generateLane is a lane as admission would let it in.
func generateLane(r *rand.Rand, platform string, id int64) *v1alpha1.PlatformLane {
	lane := &v1alpha1.PlatformLane{
		ObjectMeta: metav1.ObjectMeta{Namespace: "vendor-" + platform, Name: platform, UID: types.UID("uid-" + platform)},
		Spec:       v1alpha1.PlatformLaneSpec{Platform: platform, Access: v1alpha1.AccessActive},
	}
	for _, name := range some(r, 1, v1alpha1.ChannelNightly, v1alpha1.ChannelTest, v1alpha1.ChannelRelease) {
		lane.Spec.Channels = append(lane.Spec.Channels, v1alpha1.Channel{Name: name})
	}
	lane.Spec.Packages = some(r, 1, "torch", "torch-tensorrt", "torchvision", "to", "libtorch", "functorch")
	if r.IntN(12) == 0 {
		lane.Spec.Access = v1alpha1.AccessSuspended
	}
	// The first one is always GitHub's, so that the stack can issue its tokens.
	lane.Spec.Publishers = append(lane.Spec.Publishers, v1alpha1.Publisher{Name: "ci", GitHubActions: gitHubPublisher(r, platform, id)})
	switch r.IntN(4) {
	case 0:
		lane.Spec.Publishers = append(lane.Spec.Publishers, v1alpha1.Publisher{Name: "also", GitHubActions: gitHubPublisher(r, platform, id+2)})
	case 1:
		lane.Spec.Publishers = append(lane.Spec.Publishers, v1alpha1.Publisher{Name: "other", OIDC: oidcPublisher(r, platform, id)})
	case 2:
		lane.Spec.Publishers = append(lane.Spec.Publishers, v1alpha1.Publisher{Name: "key", AccessKey: &v1alpha1.AccessKeyPublisher{RotationDays: 30}})
	}
	return lane
}

func gitHubPublisher(r *rand.Rand, platform string, id int64) v1alpha1.GitHubActionsPublisher {
	p := v1alpha1.GitHubActionsPublisher{
		Repository: platform + "/" + one(r, "torch", "torch-"+platform, "pytorch.fork"), RepositoryID: id, RepositoryOwnerID: id + 1,
	}
	if r.IntN(3) > 0 {
		p.Environment = one(r, "pytorchbot-env", "prod", "release 2")
	}
	if p.Environment == "" || r.IntN(2) == 0 {
		p.Refs = some(r, 1, "refs/heads/main", "refs/heads/release/*", "refs/tags/v*")
	}
	if r.IntN(2) == 0 {
		p.WorkflowRefs = some(r, 1,
			"pytorch/test-infra/.github/workflows/_binary_upload.yml@refs/heads/main",
			platform+"/ci/.github/workflows/publish.yaml@refs/tags/v1")
	}
	return p
}

func oidcPublisher(r *rand.Rand, platform string, id int64) v1alpha1.OIDCPublisher {
	issuer := one(r, issuers...)
	p := v1alpha1.OIDCPublisher{Issuer: issuer.url, Audience: one(r, "sts.amazonaws.com", "https://"+platform+".example.com")}
	subject := issuer.subject(r, platform, "torch")
	if r.IntN(2) == 0 {
		subject = subject[:strings.LastIndexAny(subject, ":/")+1] + "*"
	}
	p.Subjects = []string{subject}
	for _, key := range issuer.claims[:r.IntN(len(issuer.claims)+1)] {
		p.Claims = append(p.Claims, v1alpha1.ClaimRule{Key: key, Values: []string{fmt.Sprint(id), fmt.Sprint(id + 7)}})
	}
	return p
}

// fill is a ref that a publisher's pattern lets in.
func fill(r *rand.Rand, pattern string) string {
	prefix, wild := strings.CutSuffix(pattern, "*")
	if !wild {
		return pattern
	}
	return prefix + one(r, "", "2.9.0", "2.9/rc1", "é*?")
}

// jobOf is a job that a publisher of GitHub Actions lets in.
func jobOf(r *rand.Rand, p v1alpha1.GitHubActionsPublisher) sandbox.Claims {
	job := sandbox.Claims{
		Repository: p.Repository, RepositoryID: fmt.Sprint(p.RepositoryID), RepositoryOwnerID: fmt.Sprint(p.RepositoryOwnerID),
		Environment: p.Environment, Ref: "refs/heads/anything", JobWorkflowRef: "somebody/else/.github/workflows/x.yml@refs/heads/main",
		ImmutableSubject: r.IntN(2) == 0,
	}
	if len(p.Refs) > 0 {
		job.Ref = fill(r, one(r, p.Refs...))
	}
	if len(p.WorkflowRefs) > 0 {
		job.JobWorkflowRef = one(r, p.WorkflowRefs...)
	}
	return job
}
