package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// hostile are values that would widen a policy, or that a reader could take for
// something else.
var hostile = []string{
	"*", "?", "torch*", "to?ch", "${aws:username}", "a${*}", `a"b`, `a\b`, "a'b", "a`b", "a\nb", "a\x00b", "a\x7fb",
	"tоrch", "torch\u212a", "a%2Bb", "a%b", "../torch", "a/../b", " ", "", "a\u202eb", strings.Repeat("a", 600), "-a", "a<b>", "a&b", "arn:aws:s3:::*",
}

func TestHostileValuesAreRefused(t *testing.T) {
	gh := func(edit func(*v1alpha1.GitHubActionsPublisher, string)) func(*v1alpha1.PlatformLane, string) {
		return func(l *v1alpha1.PlatformLane, v string) { edit(&l.Spec.Publishers[0].GitHubActions, v) }
	}
	oidc := func(edit func(*v1alpha1.OIDCPublisher, string)) func(*v1alpha1.PlatformLane, string) {
		return func(l *v1alpha1.PlatformLane, v string) {
			l.Spec.Publishers = []v1alpha1.Publisher{gitLab("gitlab")}
			edit(&l.Spec.Publishers[0].OIDC, v)
		}
	}
	for field, set := range map[string]func(*v1alpha1.PlatformLane, string){
		"spec.platform":                 func(l *v1alpha1.PlatformLane, v string) { l.Spec.Platform = v },
		"spec.packages[0]":              func(l *v1alpha1.PlatformLane, v string) { l.Spec.Packages = []string{v} },
		"spec.channels[0].name":         func(l *v1alpha1.PlatformLane, v string) { l.Spec.Channels[0].Name = v1alpha1.ChannelName(v) },
		"metadata.namespace":            func(l *v1alpha1.PlatformLane, v string) { l.Namespace = v },
		"metadata.name":                 func(l *v1alpha1.PlatformLane, v string) { l.Name = v },
		"gitHubActions.repository":      gh(func(g *v1alpha1.GitHubActionsPublisher, v string) { g.Repository = v }),
		"gitHubActions.repository ":     gh(func(g *v1alpha1.GitHubActionsPublisher, v string) { g.Repository = "owner/" + v + "/x" }),
		"gitHubActions.environment":     gh(func(g *v1alpha1.GitHubActionsPublisher, v string) { g.Environment = v + "\t" }),
		"gitHubActions.refs[0]":         gh(func(g *v1alpha1.GitHubActionsPublisher, v string) { g.Refs = []string{v} }),
		"gitHubActions.refs[0] ":        gh(func(g *v1alpha1.GitHubActionsPublisher, v string) { g.Refs = []string{"refs/heads/" + v + "*x"} }),
		"gitHubActions.workflowRefs[0]": gh(func(g *v1alpha1.GitHubActionsPublisher, v string) { g.WorkflowRefs = []string{v} }),
		"oidc.issuer":                   oidc(func(o *v1alpha1.OIDCPublisher, v string) { o.Issuer = v }),
		"oidc.audience":                 oidc(func(o *v1alpha1.OIDCPublisher, v string) { o.Audience = v + "*" }),
		"oidc.subjects[0]":              oidc(func(o *v1alpha1.OIDCPublisher, v string) { o.Subjects = []string{v + "?"} }),
		"oidc.claims[0].key":            oidc(func(o *v1alpha1.OIDCPublisher, v string) { o.Claims[0].Key = v + "}" }),
		"oidc.claims[0].values[0]":      oidc(func(o *v1alpha1.OIDCPublisher, v string) { o.Claims[0].Values = []string{v + "*"} }),
	} {
		for _, value := range hostile {
			t.Run(fmt.Sprintf("%s=%.20q", field, value), func(t *testing.T) {
				l := lane()
				set(l, value)
				role, err := Render(l, settings(), nil)
				if reason := reasonOf(t, err); reason != v1alpha1.ReasonUnsafeValue {
					t.Fatalf("Render: %v (reason %q), want UnsafeValue", err, reason)
				}
				if !strings.Contains(err.Error(), strings.TrimSpace(field)) {
					t.Errorf("the message does not name %s: %v", field, err)
				}
				if strings.HasPrefix(field, "spec.") || strings.HasPrefix(field, "metadata.") {
					if role.Name != "" {
						t.Errorf("a role was rendered: %+v", role)
					}
					return
				}
				if !strings.Contains(role.Trust, "NoPublishers") {
					t.Errorf("a refused publisher got in: %s", role.Trust)
				}
			})
		}
	}
}

func TestRefusals(t *testing.T) {
	bare := gitHub("ci")
	bare.GitHubActions.RepositoryID = 0
	open := gitHub("ci")
	open.GitHubActions.Environment, open.GitHubActions.Refs = "", nil
	disguised := gitLab("x")
	disguised.OIDC.Issuer = DefaultGitHubIssuer + "/"
	both := gitHub("ci")
	both.OIDC = gitLab("ci").OIDC
	unknown := gitLab("x")
	unknown.OIDC.Issuer = "https://gitlab.example.org"
	for name, c := range map[string]struct {
		edit    func(*v1alpha1.PlatformLaneSpec)
		reason  string
		message string
	}{
		"no numeric id":            {publishers(bare), v1alpha1.ReasonUnsafeValue, "repositoryID"},
		"every branch":             {publishers(open), v1alpha1.ReasonUnsafeValue, "neither environment nor refs"},
		"GitHub by another name":   {publishers(disguised), v1alpha1.ReasonUnsafeValue, "write this publisher as gitHubActions"},
		"two kinds":                {publishers(both), v1alpha1.ReasonUnsupportedPublisher, "sets 2 kinds"},
		"no kind":                  {publishers(v1alpha1.Publisher{Name: "x"}), v1alpha1.ReasonUnsupportedPublisher, "sets 0 kinds"},
		"unknown issuer":           {publishers(unknown), v1alpha1.ReasonUnknownIssuer, `"https://gitlab.example.org" is not registered`},
		"wildcard, whole issuer":   {subject("project_path:*"), v1alpha1.ReasonUnsafeValue, "others who use this issuer"},
		"wildcard, part of group":  {subject("project_path:spy*"), v1alpha1.ReasonUnsafeValue, "others who use this issuer"},
		"wildcard, no separator":   {subject("spyre*"), v1alpha1.ReasonUnsafeValue, "others who use this issuer"},
		"platform of a channel":    {func(s *v1alpha1.PlatformLaneSpec) { s.Platform = "nightly" }, v1alpha1.ReasonUnsafeValue, "name of a channel"},
		"subject claim by rule":    {claim("sub", "x"), v1alpha1.ReasonUnsafeValue, "a field of its own"},
		"claim without values":     {claim("project_id"), v1alpha1.ReasonUnsafeValue, "demand nothing"},
		"no subjects":              {publishers(v1alpha1.Publisher{Name: "x", OIDC: v1alpha1.OIDCPublisher{Issuer: "https://gitlab.com"}}), v1alpha1.ReasonUnsafeValue, "name the project"},
		"admitted only":            {channels(), v1alpha1.ReasonUnsafeValue, "admitted only"},
		"gravest problem is first": {func(s *v1alpha1.PlatformLaneSpec) { s.Packages = []string{"*"}; s.Publishers = nil }, v1alpha1.ReasonUnsafeValue, "spec.publishers"},
	} {
		t.Run(name, func(t *testing.T) {
			role, err := Render(lane(c.edit), settings(), nil)
			if reason := reasonOf(t, err); reason != c.reason || !strings.Contains(err.Error(), c.message) {
				t.Errorf("Render: %v (reason %q), want %q with %q", err, reason, c.reason, c.message)
			}
			if role.Name != "" && !strings.Contains(role.Trust, "NoPublishers") {
				t.Errorf("somebody got in: %s", role.Trust)
			}
		})
	}
	for _, ok := range []string{"project_path:spyre/*", "project_path:spyre/torch:ref_type:branch:ref:release-*"} {
		if _, err := Render(lane(subject(ok)), settings(), nil); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
}

func subject(s string) func(*v1alpha1.PlatformLaneSpec) {
	p := gitLab("x")
	p.OIDC.Subjects = []string{s}
	return publishers(p)
}

func claim(key string, values ...string) func(*v1alpha1.PlatformLaneSpec) {
	p := gitLab("x")
	p.OIDC.Claims = []v1alpha1.ClaimRule{{Key: key, Values: values}}
	return publishers(p)
}

// What is made of harmless characters alone may still be too long.
func TestLongValuesAreRefused(t *testing.T) {
	for length, ok := range map[int]bool{maxValue - len("refs/heads/"): true, maxValue - len("refs/heads/") + 1: false} {
		p := gitHub("ci")
		p.GitHubActions.Refs = []string{"refs/heads/" + strings.Repeat("a", length)}
		if _, err := Render(lane(publishers(p)), settings(), nil); (err == nil) != ok {
			t.Errorf("a ref of %d characters: %v", length, err)
		}
	}
}

// One bad publisher costs the others nothing.
func TestOtherPublishersGoOn(t *testing.T) {
	bad := gitHub("bad")
	bad.GitHubActions.Repository = "*/*"
	role, err := Render(lane(publishers(bad, gitHub("good"))), settings(), nil)
	alone, aloneErr := Render(lane(publishers(gitHub("good"))), settings(), nil)
	if err == nil || aloneErr != nil || role.Trust != alone.Trust {
		t.Errorf("got %v\n%s\nwant the trust of the good publisher alone\n%s", err, role.Trust, alone.Trust)
	}
}

func TestBadSettings(t *testing.T) {
	for field, edit := range map[string]func(*Settings){
		"account id":           func(s *Settings) { s.AccountID = "1234" },
		"partition":            func(s *Settings) { s.Partition = "azure" },
		"bucket":               func(s *Settings) { s.Bucket = "*" },
		"role path":            func(s *Settings) { s.RolePath = "lanes" },
		"role prefix":          func(s *Settings) { s.RolePrefix = "Lane_" },
		"permissions boundary": func(s *Settings) { s.PermissionsBoundaryARN = "boundary" },
		"session seconds":      func(s *Settings) { s.SessionSeconds = 60 },
		"immutable uploads":    func(s *Settings) { s.ImmutableUploads = "yes" },
		"OIDC provider":        func(s *Settings) { s.Providers[0].Issuer = "https://x/?*" },
		"OIDC provider of":     func(s *Settings) { s.Providers[0].ARN = "*" },
	} {
		s := settings()
		edit(&s)
		role, err := Render(lane(), s, nil)
		if err == nil || !strings.Contains(err.Error(), "operator configuration: "+field) || role.Name != "" {
			t.Errorf("%s: %v, role %q", field, err, role.Name)
		}
	}
	s := settings()
	s.RolePrefix = strings.Repeat("a", 60)
	if role, err := Render(lane(), s, nil); err == nil || !strings.Contains(err.Error(), "1 more than IAM allows") || role.Name != "" {
		t.Errorf("a role name of 65 characters: %v", err)
	}
}

func TestDocumentTooLarge(t *testing.T) {
	var many []string
	for i := range 32 {
		many = append(many, fmt.Sprintf("package-with-a-rather-long-name-as-vendors-like-them-%02d", i))
	}
	large := lane(packages(many...), channels("nightly", "test", "release"))
	role, err := Render(large, settings(), nil)
	if reasonOf(t, err) != v1alpha1.ReasonDocumentTooLarge || role.Name != "" || !strings.Contains(err.Error(), "too many") {
		t.Fatalf("%v, role %q", err, role.Name)
	}
	s := settings()
	s.InlinePolicyQuota = 1 << 20
	role, err = Render(large, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.InlinePolicyQuota = len(role.InlinePolicy.Document)
	if _, err := Render(large, s, nil); err != nil {
		t.Errorf("a document that just fits: %v", err)
	}
	s.InlinePolicyQuota--
	if _, err := Render(large, s, nil); err == nil || !strings.Contains(err.Error(), ": 1 too many") {
		t.Errorf("a document that is too large by one: %v", err)
	}

	// The longest of everything: 32 names of 64 characters on three channels.
	for i := range many {
		many[i] = strings.Repeat(string(rune('a'+i%26)), 62) + fmt.Sprintf("%02d", i)
	}
	longest := lane(packages(many...), channels("nightly", "test", "release"), func(s *v1alpha1.PlatformLaneSpec) { s.Platform = strings.Repeat("a", 31) })
	if _, err = Render(longest, settings(), nil); err == nil || !strings.Contains(err.Error(), "has 18") || !strings.Contains(err.Error(), "IAM allows 10240: 8") {
		t.Errorf("the longest of everything: %v", err)
	}

	var crowd []v1alpha1.Publisher
	for i := range 8 {
		crowd = append(crowd, gitHub(fmt.Sprintf("p%d", i)))
	}
	role, err = Render(lane(publishers(crowd...)), settings(), nil)
	if reasonOf(t, err) != v1alpha1.ReasonDocumentTooLarge || role.Name != "" || !strings.Contains(err.Error(), "spec.publishers") {
		t.Errorf("%v, role %q", err, role.Name)
	}
}

// How many packages fit into a lane with all three channels, by the length of
// their names. The schema allows 32; the quota cannot be raised.
func TestHowManyPackagesFit(t *testing.T) {
	s := settings()
	s.ImmutableUploads = ImmutableUploadsEnforced
	resumed := time.Now()
	for _, c := range []struct{ platform, name, fit int }{
		{5, 5, 32},
		{5, 16, 32},
		{5, 32, 31},
		{12, 16, 31},
		{31, 64, 15},
	} {
		fit := 0
		for n := 1; n <= 32; n++ {
			var names []string
			for i := range n {
				names = append(names, fmt.Sprintf("%02d%s", i, strings.Repeat("a", c.name-2)))
			}
			_, err := Render(lane(packages(names...), channels("nightly", "test", "release"), func(spec *v1alpha1.PlatformLaneSpec) {
				spec.Platform = strings.Repeat("a", c.platform)
			}), s, &resumed)
			if err == nil {
				fit = n
			}
		}
		if fit != c.fit {
			t.Errorf("a platform of %d characters may have %d packages of %d, want %d", c.platform, fit, c.name, c.fit)
		}
	}
}

// A lane can be suspended whatever else is wrong with it.
func TestSuspensionAlwaysWorks(t *testing.T) {
	want, err := Render(lane(suspended), settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var crowd []v1alpha1.Publisher
	for i := range 8 {
		crowd = append(crowd, gitHub(fmt.Sprintf("p%d", i)))
	}
	bad := gitHub("bad")
	bad.GitHubActions.Repository = "*"
	for name, edit := range map[string]func(*v1alpha1.PlatformLaneSpec){
		"hostile packages":    packages("*"),
		"no channels":         channels(),
		"too many publishers": publishers(crowd...),
		"hostile publisher":   publishers(bad),
		"no publishers":       publishers(),
	} {
		role, err := Render(lane(edit, suspended), settings(), nil)
		if role.Name != want.Name || role.InlinePolicy != want.InlinePolicy {
			t.Errorf("%s: not suspended: %v %+v", name, err, role)
		}
		if strings.Contains(role.Trust, `"Allow"`) && name != "hostile packages" && name != "no channels" {
			t.Errorf("%s: the trust policy lets somebody in: %s", name, role.Trust)
		}
	}
}

// Dropping a channel changes its own statement only, and what a manifest lists
// in another order is the same role.
func TestCanonical(t *testing.T) {
	both, err := Render(lane(channels("nightly", "release"), packages("torch", "torchvision"), publishers(gitHub("a"), gitLab("b"))), settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := Render(lane(channels("release", "nightly"), packages("torchvision", "torch"), publishers(gitLab("b"), gitHub("a"))), settings(), nil)
		if err != nil || again.Trust != both.Trust || again.InlinePolicy != both.InlinePolicy {
			t.Fatalf("%v\n%+v\n%+v", err, again, both)
		}
	}
	nightly, err := Render(lane(channels("nightly"), packages("torch", "torchvision")), settings(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(nightly.InlinePolicy.Document, "/whl/spyre/") || nightly.Name != both.Name || !slices.Equal(nightly.Tags, both.Tags) {
		t.Errorf("dropping release left: %s", nightly.InlinePolicy.Document)
	}
	allowOf := func(role Role) string { return fmt.Sprint(parse(t, role.InlinePolicy.Document).Statement[0]) }
	if allowOf(nightly) != allowOf(both) {
		t.Errorf("dropping release changed nightly: %s, was %s", allowOf(nightly), allowOf(both))
	}
}

func TestWholeSecond(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for offset, want := range map[time.Duration]string{0: "2026-01-02T02:04:05Z", 1: "2026-01-02T02:04:06Z", time.Second - 1: "2026-01-02T02:04:06Z"} {
		if got := wholeSecond(at.Add(offset)); got != want {
			t.Errorf("wholeSecond(+%v) = %s, want %s", offset, got, want)
		}
	}
}
