package access

import (
	"encoding/json"
	"errors"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func settings() Settings {
	return Settings{
		AccountID: "123456789012", Bucket: "pytorch", RolePath: "/lanes/", RolePrefix: "lane-",
		PermissionsBoundaryARN: "arn:aws:iam::123456789012:policy/lane-boundary",
		Providers: []Provider{
			{Issuer: DefaultGitHubIssuer, ARN: "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"},
			{Issuer: "https://gitlab.com", ARN: "arn:aws:iam::123456789012:oidc-provider/gitlab.com"},
			{Issuer: "http://127.0.0.1:4180/ci/", ARN: "arn:aws:iam::123456789012:oidc-provider/127.0.0.1:4180/ci"},
		},
	}
}

func gitHub(name string) v1alpha1.Publisher {
	return v1alpha1.Publisher{Name: name, GitHubActions: v1alpha1.GitHubActionsPublisher{
		Repository: "ibm-aiu/torch-spyre", RepositoryID: 4711, RepositoryOwnerID: 42,
		Environment: "pytorchbot-env", Refs: []string{"refs/heads/main"},
		WorkflowRefs: []string{"pytorch/test-infra/.github/workflows/_binary_upload.yml@refs/heads/main"},
	}}
}

func gitLab(name string) v1alpha1.Publisher {
	return v1alpha1.Publisher{Name: name, OIDC: v1alpha1.OIDCPublisher{
		Issuer: "https://gitlab.com", Audience: "https://gitlab.com",
		Subjects: []string{"project_path:spyre/torch:ref_type:branch:ref:main"},
		Claims:   []v1alpha1.ClaimRule{{Key: "project_id", Values: []string{"77", "76", "77"}}, {Key: "ref_protected", Values: []string{"true"}}},
	}}
}

func accessKey(name string) v1alpha1.Publisher {
	return v1alpha1.Publisher{Name: name, AccessKey: &v1alpha1.AccessKeyPublisher{RotationDays: 30}}
}

func lane(edit ...func(*v1alpha1.PlatformLaneSpec)) *v1alpha1.PlatformLane {
	l := &v1alpha1.PlatformLane{
		ObjectMeta: metav1.ObjectMeta{Namespace: "vendor-spyre", Name: "spyre"},
		Spec: v1alpha1.PlatformLaneSpec{
			Platform: "spyre", Packages: []string{"torch"}, Access: v1alpha1.AccessActive,
			Channels:   []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}},
			Publishers: []v1alpha1.Publisher{gitHub("ci")},
		},
	}
	for _, e := range edit {
		e(&l.Spec)
	}
	return l
}

func channels(names ...v1alpha1.ChannelName) func(*v1alpha1.PlatformLaneSpec) {
	return func(s *v1alpha1.PlatformLaneSpec) {
		s.Channels = nil
		for _, n := range names {
			s.Channels = append(s.Channels, v1alpha1.Channel{Name: n})
		}
	}
}

func packages(names ...string) func(*v1alpha1.PlatformLaneSpec) {
	return func(s *v1alpha1.PlatformLaneSpec) { s.Packages = names }
}

func publishers(ps ...v1alpha1.Publisher) func(*v1alpha1.PlatformLaneSpec) {
	return func(s *v1alpha1.PlatformLaneSpec) { s.Publishers = ps }
}

func suspended(s *v1alpha1.PlatformLaneSpec) { s.Access = v1alpha1.AccessSuspended }

func TestGolden(t *testing.T) {
	resumed := time.Date(2026, 11, 23, 12, 0, 0, 1, time.UTC)
	branches := gitHub("branches")
	branches.GitHubActions.Environment = ""
	branches.GitHubActions.Refs = []string{"refs/tags/v*", "refs/heads/main"}
	branches.GitHubActions.WorkflowRefs = nil
	wildcard := v1alpha1.Publisher{Name: "local", OIDC: v1alpha1.OIDCPublisher{
		Issuer: "http://127.0.0.1:4180/ci", Subjects: []string{"organization:spyre:pipeline:torch:*", "organization:spyre:pipeline:a+b:ref:x"},
	}}
	immutable := settings()
	immutable.ImmutableUploads = ImmutableUploadsEnforced
	for _, c := range []struct {
		name      string
		lane      *v1alpha1.PlatformLane
		settings  Settings
		notBefore *time.Time
		reason    string
	}{
		{name: "github", lane: lane(), settings: settings()},
		{name: "github-refs", lane: lane(publishers(branches)), settings: settings()},
		{name: "oidc", lane: lane(publishers(gitLab("gitlab"))), settings: settings()},
		{name: "oidc-wildcard", lane: lane(publishers(wildcard)), settings: settings()},
		{name: "several-publishers", lane: lane(publishers(gitLab("z"), accessKey("k"), gitHub("a"))), settings: withKeys()},
		{name: "access-key-only", lane: lane(publishers(accessKey("k"))), settings: withKeys()},
		{name: "access-keys-disabled", lane: lane(publishers(accessKey("k"))), settings: settings(), reason: v1alpha1.ReasonAccessKeysDisabled},
		{name: "no-publishers", lane: lane(publishers()), settings: settings(), reason: v1alpha1.ReasonNoPublishers},
		{name: "all-channels", lane: lane(channels("release", "test", "nightly"), packages("torch", "libtorch", "torch-tensorrt")), settings: settings()},
		{name: "release-only", lane: lane(channels("release")), settings: settings()},
		{name: "libtorch-only", lane: lane(channels("release"), packages("libtorch")), settings: settings()},
		{name: "immutable", lane: lane(), settings: immutable},
		{name: "suspended", lane: lane(suspended), settings: settings(), notBefore: &resumed},
		{name: "resumed", lane: lane(), settings: settings(), notBefore: &resumed},
	} {
		t.Run(c.name, func(t *testing.T) {
			role, err := Render(c.lane, c.settings, c.notBefore)
			if reason := reasonOf(t, err); reason != c.reason {
				t.Fatalf("Render: %v (reason %q), want reason %q", err, reason, c.reason)
			}
			checkDocuments(t, role, "spyre")
			golden(t, c.name, role)
		})
	}
}

// golden compares a role with its file; the documents are indented for readers.
func golden(t *testing.T, name string, role Role) {
	t.Helper()
	readable := map[string]any{
		"role": role, "trust": json.RawMessage(role.Trust), "inlinePolicy": json.RawMessage(role.InlinePolicy.Document),
	}
	got, err := json.MarshalIndent(readable, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs; look at the difference, then run go test -update:\n%s", file, got)
	}
}

// reasonOf is empty without an error.
func reasonOf(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("%v is not Problems", err)
	}
	for _, p := range problems {
		if p.Field == "" || p.Message == "" {
			t.Errorf("problem without field or message: %+v", p)
		}
		for _, r := range p.Error() {
			if r < 0x20 && r != '…' || r == 0x7f {
				t.Errorf("message holds a control character: %q", p.Error())
			}
		}
	}
	return problems.Reason()
}

// checkDocuments holds for every role that Render may return.
func checkDocuments(t *testing.T, role Role, platform string) {
	t.Helper()
	for what, text := range map[string]string{"trust": role.Trust, "inline policy": role.InlinePolicy.Document} {
		if decoded, err := url.QueryUnescape(text); err != nil || decoded != text {
			t.Errorf("%s does not survive URL decoding: %v\n%s", what, err, text)
		}
		if strings.Contains(text, "${") {
			t.Errorf("%s holds a policy variable: %s", what, text)
		}
		for i := range len(text) {
			if text[i] < 0x20 || text[i] > 0x7e {
				t.Errorf("%s holds the byte %#x", what, text[i])
			}
		}
	}
	for _, st := range parse(t, role.Trust).Statement {
		if st.Effect == "Allow" {
			checkTrustStatement(t, st, role, platform)
		}
	}
	for _, st := range parse(t, role.InlinePolicy.Document).Statement {
		if st.Effect != "Allow" {
			continue
		}
		for _, resource := range st.Resource {
			if !ownPattern(resource, platform) {
				t.Errorf("the lane %s may write %s", platform, resource)
			}
		}
		if len(st.NotAction)+len(st.NotResource) > 0 || slices.ContainsFunc(st.Action, func(a string) bool { return strings.Contains(a, "*") }) {
			t.Errorf("an Allow is open-ended: %+v", st)
		}
	}
}

func checkTrustStatement(t *testing.T, st parsedStatement, role Role, platform string) {
	t.Helper()
	if slices.Equal(st.Action, strs{"sts:AssumeRole"}) {
		onlyTheUser := map[string]map[string]strs{"StringEquals": {
			"aws:PrincipalArn":                    {"arn:aws:iam::123456789012:user/lanes/lane-" + platform},
			"aws:PrincipalTag/" + TagLaneResource: {role.Tags[1].Value},
		}}
		if !reflect.DeepEqual(st.Condition, onlyTheUser) {
			t.Errorf("the role may be assumed by %v", st.Condition)
		}
		return
	}
	demanded := map[string]bool{}
	for op, tests := range st.Condition {
		if op != "StringEquals" && op != "StringLike" {
			t.Errorf("trust is granted by the operator %s", op)
		}
		for key, values := range tests {
			claim := key[strings.LastIndex(key, ":")+1:]
			demanded[claim] = true
			if len(values) == 0 {
				t.Errorf("%s is compared with nothing", key)
			}
			for _, v := range values {
				inner := strings.TrimSuffix(v, "*")
				if strings.ContainsAny(inner, "*?$") || inner != v && op != "StringLike" {
					t.Errorf("%s %s: %q holds a wildcard", op, key, v)
				}
			}
		}
	}
	if !demanded["sub"] || !demanded["aud"] {
		t.Errorf("trust without subject and audience: %v", st.Condition)
	}
}

// ownPattern says whether an ARN pattern can only match names of the lane below
// its own folders.
func ownPattern(resource, platform string) bool {
	key, ok := strings.CutPrefix(resource, "arn:aws:s3:::pytorch/")
	if !ok || strings.ContainsAny(key, "?$") {
		return false
	}
	folder, name := key[:strings.LastIndex(key, "/")+1], key[strings.LastIndex(key, "/")+1:]
	for _, top := range []string{"whl/", "libtorch/"} {
		for _, channel := range []string{"", "nightly/", "test/"} {
			if folder != top+channel+platform+"/" {
				continue
			}
			if name == "*+"+platform+"*-*.whl.provenance" {
				return top == "whl/"
			}
			before, after, found := strings.Cut(name, "-*+"+platform+"*")
			return found && !strings.Contains(before, "*") && before != "" &&
				(top == "whl/" && after == "-*.whl" || top == "libtorch/" && (after == ".zip" || after == ".zip.provenance") && before == "libtorch")
		}
	}
	return false
}

type parsedStatement struct {
	Effect                                   string
	Action, NotAction, Resource, NotResource strs
	Condition                                map[string]map[string]strs
}

type strs []string

func (s *strs) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*s = strs{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(s))
}

func parse(t *testing.T, text string) (doc struct{ Statement []parsedStatement }) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return doc
}
