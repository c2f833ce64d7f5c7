package access

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

func TestExplain(t *testing.T) {
	resumed := time.Date(2026, 11, 23, 12, 0, 0, 1, time.UTC)
	immutable := settings()
	immutable.ImmutableUploads = ImmutableUploadsEnforced
	bad := gitHub("bad")
	bad.GitHubActions.Repository = "*/\x1b[31m"
	stopped := lane(suspended)
	stopped.Status.AccessChange = v1alpha1.AccessChange{
		Access: v1alpha1.AccessSuspended, By: "oidc:alice", Reason: "key leaked\x1b[2J", Time: &metav1.Time{Time: resumed},
	}
	keys := settings()
	keys.AccessKeysEnabled = true
	for _, c := range []struct {
		name      string
		lane      *v1alpha1.PlatformLane
		settings  Settings
		notBefore *time.Time
	}{
		{name: "active", lane: lane(channels("release", "nightly"), packages("torch", "torch-tensorrt", "libtorch"), publishers(gitHub("ci"), gitLab("gitlab"), bad)), settings: immutable, notBefore: &resumed},
		{name: "suspended", lane: stopped, settings: settings()},
		{name: "access-key", lane: lane(publishers(accessKey("jenkins"))), settings: keys},
		{name: "admitted", lane: lane(channels()), settings: settings()},
		{name: "refused", lane: lane(packages("*")), settings: settings()},
		{name: "nobody", lane: lane(publishers()), settings: settings()},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := Explain(c.lane, c.settings, c.notBefore)
			goldenText(t, "explain-"+c.name+".txt", e.Text())
			var b strings.Builder
			if n, err := e.WriteTo(&b); err != nil || b.String() != e.Text() || n != int64(b.Len()) {
				t.Errorf("WriteTo: %d, %v", n, err)
			}
			if raw, err := json.Marshal(e); err != nil || strings.Contains(e.Text()+string(raw), "\x1b") {
				t.Errorf("%v, or a control character in %s", err, raw)
			}
		})
	}
}

// What is said is what is granted, no more and no less.
func TestExplainAgreesWithTheDocuments(t *testing.T) {
	l := lane(channels("release", "nightly", "test"), packages("torch", "torch-tensorrt", "libtorch", "a"))
	e := Explain(l, settings(), nil)
	role, err := Render(l, settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	granted := map[string]bool{}
	denials := 0
	for _, st := range parse(t, role.InlinePolicy.Document).Statement {
		if st.Effect == "Deny" {
			denials++
			continue
		}
		for _, r := range st.Resource {
			granted[r] = true
		}
	}
	for _, u := range e.Uploads {
		arn := "arn:aws:s3:::pytorch/" + u.Folder + u.Pattern
		if !granted[arn] {
			t.Errorf("%s is explained and not granted", arn)
		}
		delete(granted, arn)
		if !globMatches(u.Pattern, u.Example) {
			t.Errorf("%s is no example of %s", u.Example, u.Pattern)
		}
	}
	if len(granted) > 0 {
		t.Errorf("granted and not explained: %v", granted)
	}
	if len(e.Never) != denials+1 {
		t.Errorf("%d statements deny, %d are explained: %q", denials, len(e.Never)-1, e.Never)
	}
	for _, said := range e.Never {
		if said == "" {
			t.Error("a Deny has no explanation")
		}
	}
}

// globMatches is a plain matcher of * and ?.
func globMatches(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		pattern = "*" + strings.TrimLeft(pattern, "*")
		return globMatches(pattern[1:], s) || s != "" && globMatches(pattern, s[1:])
	default:
		return s != "" && (pattern[0] == '?' || pattern[0] == s[0]) && globMatches(pattern[1:], s[1:])
	}
}

func goldenText(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs; look at the difference, then run go test -update:\n%s", file, got)
	}
}
