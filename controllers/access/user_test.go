package access

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

func withKeys() Settings {
	s := settings()
	s.AccessKeysEnabled = true
	return s
}

func TestUserGolden(t *testing.T) {
	for name, l := range map[string]*v1alpha1.PlatformLane{
		"user":           lane(publishers(gitHub("ci"), accessKey("k"))),
		"user-suspended": lane(publishers(accessKey("k")), suspended),
	} {
		t.Run(name, func(t *testing.T) {
			user, err := RenderUser(l, withKeys(), "release-engineering")
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(map[string]any{"user": user, "inlinePolicy": json.RawMessage(user.InlinePolicy.Document)}, "", "  ")
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
		})
	}
}

// The user's own document opens the lane's role and nothing else, and a suspended
// one opens nothing.
func TestAUserMayAssumeItsRoleOnly(t *testing.T) {
	l := lane(publishers(accessKey("k")))
	user, err := RenderUser(l, withKeys(), "c")
	if err != nil {
		t.Fatal(err)
	}
	role, err := Render(l, withKeys(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range parse(t, user.InlinePolicy.Document).Statement {
		if st.Effect == "Allow" && (!slices.Equal(st.Action, strs{"sts:AssumeRole"}) || !slices.Equal(st.Resource, strs{role.ARN}) || len(st.NotAction)+len(st.NotResource) > 0) {
			t.Errorf("the user is allowed %+v", st)
		}
	}
	if user.RoleARN != role.ARN || user.Path != role.Path || user.BoundaryARN != role.BoundaryARN || !strings.Contains(role.Trust, `"aws:PrincipalArn":"`+user.ARN+`"`) {
		t.Errorf("user %+v and role %+v do not belong together", user, role)
	}
	if decoded, err := url.QueryUnescape(user.InlinePolicy.Document); err != nil || decoded != user.InlinePolicy.Document || len(decoded) > 2048 {
		t.Errorf("document %s, %v", user.InlinePolicy.Document, err)
	}
	l.Spec.Access = v1alpha1.AccessSuspended
	if user, err = RenderUser(l, withKeys(), "c"); err != nil || !user.Suspended {
		t.Fatalf("suspended: %+v, %v", user, err)
	}
	for _, st := range parse(t, user.InlinePolicy.Document).Statement {
		if st.Effect == "Allow" {
			t.Errorf("a suspended user is allowed %+v", st)
		}
	}
}

// A user that another lane of the same platform left behind has the name of this
// lane's, and other tags: its key opens nothing here.
func TestAPredecessorsUserStaysOut(t *testing.T) {
	mine, theirs := lane(publishers(accessKey("k"))), lane(publishers(accessKey("k")))
	theirs.Namespace = "vendor-before"
	left := UserOf(theirs, withKeys(), "c")
	if left.ARN != UserOf(mine, withKeys(), "c").ARN {
		t.Fatal("the two lanes have users of different names")
	}
	role, err := Render(mine, withKeys(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range parse(t, role.Trust).Statement {
		if got := st.Condition["StringEquals"]["aws:PrincipalTag/"+TagLaneResource]; !slices.Equal(got, strs{"vendor-spyre/spyre"}) {
			t.Errorf("the role trusts a user with the tag %q, and the predecessor's has %+v", got, left.Tags)
		}
	}
}

func TestNoUserWithoutWhatItTakes(t *testing.T) {
	noAccount, longPath := withKeys(), withKeys()
	noAccount.AccountID = ""
	longPath.RolePath = "/" + strings.Repeat("a", 510) + "/"
	longPath.RolePrefix = strings.Repeat("p", 58)
	evil := lane(publishers(accessKey("k")))
	evil.Spec.Platform = "spy*re"
	for name, c := range map[string]struct {
		lane     *v1alpha1.PlatformLane
		settings Settings
		cluster  string
		reason   string
		says     string
	}{
		"disabled":            {lane(publishers(accessKey("k"))), settings(), "c", v1alpha1.ReasonAccessKeysDisabled, "accessKeys.mode"},
		"no account":          {lane(publishers(accessKey("k"))), noAccount, "c", v1alpha1.ReasonUnsafeValue, "aws.accountID"},
		"hostile lane":        {evil, withKeys(), "c", v1alpha1.ReasonUnsafeValue, "spec.platform"},
		"no cluster":          {lane(publishers(accessKey("k"))), withKeys(), "", v1alpha1.ReasonUnsafeValue, "clusterID"},
		"hostile cluster":     {lane(publishers(accessKey("k"))), withKeys(), "a,b", v1alpha1.ReasonUnsafeValue, "clusterID"},
		"disabled, suspended": {lane(publishers(accessKey("k")), suspended), settings(), "c", v1alpha1.ReasonAccessKeysDisabled, "gitHubActions"},
	} {
		user, err := RenderUser(c.lane, c.settings, c.cluster)
		if reason := reasonOf(t, err); reason != c.reason || user.Name != "" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v", name, user, err)
		}
	}
	// The longest path and names that the settings allow still fit.
	if _, err := RenderUser(lane(publishers(accessKey("k"))), longPath, strings.Repeat("c", 256)); err != nil {
		t.Error(err)
	}
}

func TestWhoseAUserIs(t *testing.T) {
	user := UserOf(lane(publishers(accessKey("k"))), withKeys(), "c1")
	moved := slices.Clone(user.Tags)
	for name, c := range map[string]struct {
		live []Tag
		want bool
	}{
		"its own":                 {user.Tags, true},
		"with more tags":          {append(moved, Tag{"cost-centre", "7"}), true},
		"without the others":      {[]Tag{{TagLaneResource, "vendor-spyre/spyre"}, {TagCluster, "c1"}}, true},
		"made by hand":            {nil, false},
		"another lane's":          {[]Tag{{TagLaneResource, "vendor-spyre/other"}, {TagCluster, "c1"}}, false},
		"of another cluster":      {[]Tag{{TagLaneResource, "vendor-spyre/spyre"}, {TagCluster, "c2"}}, false},
		"from before the cluster": {[]Tag{{TagLaneResource, "vendor-spyre/spyre"}}, false},
	} {
		if got := user.Owns(c.live); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	if (User{}).Owns(user.Tags) {
		t.Error("a user without tags owns another")
	}
}

func TestTheFirstAccessKeyPublisherCounts(t *testing.T) {
	if KeyPublisher(lane().Spec) != nil {
		t.Error("a lane without one has one")
	}
	late, early := accessKey("z"), accessKey("b")
	early.AccessKey.RotationDays = 7
	if got := KeyPublisher(lane(publishers(late, gitHub("a"), early)).Spec); got == nil || got.RotationDays != 7 {
		t.Errorf("got %+v", got)
	}
}
