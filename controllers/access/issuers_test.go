package access

import (
	"slices"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

const (
	circleOrg     = "0193abcd-1234-5678-abcd-ef0123456789"
	circleIssuer  = "https://oidc.circleci.com/org/" + circleOrg
	circleProject = "4f0e6f1c-0a2b-4c3d-8e4f-5a6b7c8d9e0f"
)

// federated are settings that know every issuer of the tests.
func federated() Settings {
	s := settings()
	for _, host := range []string{"agent.buildkite.com", "oidc.circleci.com/org/" + circleOrg, "ci.example.com", "token.actions.acme.ghe.com"} {
		s.Providers = append(s.Providers, Provider{Issuer: "https://" + host, ARN: "arn:aws:iam::123456789012:oidc-provider/" + host})
	}
	s.Providers = append(s.Providers, Provider{
		Issuer: "https://extended.example.com", ARN: "arn:aws:iam::123456789012:oidc-provider/extended.example.com", Claims: []string{"tenant_id"},
	})
	return s
}

func oidc(issuer, subject string, claims ...string) func(*v1alpha1.PlatformLaneSpec) {
	p := v1alpha1.Publisher{Name: "ci", OIDC: v1alpha1.OIDCPublisher{Issuer: issuer, Subjects: []string{subject}}}
	for _, key := range claims {
		p.OIDC.Claims = append(p.OIDC.Claims, v1alpha1.ClaimRule{Key: key, Values: []string{"v"}})
	}
	return publishers(p)
}

// A claim that AWS does not evaluate would deny everybody, and be taken for a
// protection.
func TestClaimsByIssuer(t *testing.T) {
	const (
		gitLabSub    = "project_path:acme/torch:ref_type:branch:ref:main"
		buildkiteSub = "organization:acme:pipeline:torch:*"
		circleSub    = "org/" + circleOrg + "/project/" + circleProject + "/user/*"
		otherSub     = "tenant:acme:project:torch"
	)
	for _, c := range []struct {
		issuer, subject string
		good, bad       []string
		known           string
	}{
		{
			"https://gitlab.com", gitLabSub,
			[]string{"namespace_id", "pipeline_source", "project_id", "ref_protected", "runner_environment", "user_access_level", "user_email", "user_id", "user_login"},
			[]string{"project_path", "ref", "ref_type", "environment", "job_id", "namespace_path", "repository_id"}, "namespace_id, pipeline_source, project_id, ref_protected",
		},
		{
			"https://agent.buildkite.com", buildkiteSub,
			[]string{"build_branch", "cluster_id", "cluster_name", "organization_id", "organization_slug", "pipeline_id", "pipeline_slug"},
			[]string{"build_commit", "step_key", "project_id", "runner_environment"}, "build_branch, cluster_id",
		},
		{
			circleIssuer, circleSub, []string{"oidc.circleci.com/project-id"},
			[]string{"oidc.circleci.com/org-id", "oidc.circleci.com/vcs-ref", "project-id", "project_id"}, "use oidc.circleci.com/project-id, or",
		},
		{"https://ci.example.com", otherSub, nil, []string{"project_id", "tenant_id"}, "no claim of"},
		{"https://extended.example.com", otherSub, []string{"tenant_id"}, []string{"project_id"}, "use tenant_id, or"},
	} {
		if role, err := Render(lane(oidc(c.issuer, c.subject, c.good...)), federated(), nil); err != nil {
			t.Errorf("%s: %v", c.issuer, err)
		} else {
			for _, key := range c.good {
				host := strings.TrimPrefix(c.issuer, "https://")
				if !strings.Contains(role.Trust, `"`+host+":"+key+`":"v"`) {
					t.Errorf("%s is not demanded: %s", key, role.Trust)
				}
			}
		}
		for _, key := range c.bad {
			role, err := Render(lane(oidc(c.issuer, c.subject, key)), federated(), nil)
			if reasonOf(t, err) != v1alpha1.ReasonUnsafeValue || !strings.Contains(err.Error(), c.known) || !strings.Contains(role.Trust, "NoPublishers") {
				t.Errorf("%s: the claim %s: %v", c.issuer, key, err)
			}
		}
	}
}

func TestSubjectsByIssuer(t *testing.T) {
	for _, c := range []struct {
		issuer    string
		good, bad []string
	}{
		{
			"https://gitlab.com",
			[]string{"project_path:acme/torch:ref_type:branch:ref:main", "project_path:acme/torch:*", "project_path:acme/*", "project_path:acme/sub/torch:ref_type:tag:ref:v*"},
			[]string{"project_path:*", "project_path:acme*", "project_path:acme:*", "organization:acme:pipeline:torch:*", "ref_type:branch:ref/x/*", "acme/torch:*", "PROJECT_PATH:acme/torch:*"},
		},
		{
			"https://agent.buildkite.com",
			[]string{"organization:acme:pipeline:torch:ref:refs/heads/main:commit:abc:step:upload", "organization:acme:pipeline:torch:*", "organization:acme:*", "0193abcd-1234-5678-abcd-ef0123456789"},
			[]string{"organization:*", "organization:acme*", "organization:acme/pipeline:*", "pipeline:torch:organization:acme", "0193abcd-1234-5678-abcd-*", "project_path:acme/torch:*", "organization:acme:"},
		},
		{
			circleIssuer,
			[]string{"org/" + circleOrg + "/project/" + circleProject + "/user/*", "org/" + circleOrg + "/*", "org/" + circleOrg + "/project/" + circleProject + "/user/u/vcs-origin/github.com/acme/torch/vcs-ref/refs/heads/main"},
			[]string{"org/*", "org/0193*", "org/00000000-1234-5678-abcd-ef0123456789/project/" + circleProject + "/user/*", "org/" + circleOrg + "*", "org/" + circleOrg + "/project/", "project/" + circleProject + "/*"},
		},
		{
			"https://ci.example.com",
			[]string{"tenant:acme:project:torch", "tenant:acme:*", "service-account-7"},
			[]string{"tenant:*", "tenant*", "tenant:ac*"},
		},
	} {
		for _, subject := range c.good {
			if _, err := Render(lane(oidc(c.issuer, subject)), federated(), nil); err != nil {
				t.Errorf("%s: %v", c.issuer, err)
			}
		}
		for _, subject := range c.bad {
			role, err := Render(lane(oidc(c.issuer, subject)), federated(), nil)
			if reasonOf(t, err) != v1alpha1.ReasonUnsafeValue || !strings.Contains(err.Error(), "subjects[0]") || !strings.Contains(role.Trust, "NoPublishers") {
				t.Errorf("%s: the subject %s: %v", c.issuer, subject, err)
			}
		}
	}
}

// GitHub by any of its names: no subject of it is anchored by numeric ids here.
func TestGitHubIsNoOtherIssuer(t *testing.T) {
	s := federated()
	s.GitHubIssuer = "http://127.0.0.1:4180/ci"
	for _, issuer := range []string{DefaultGitHubIssuer, DefaultGitHubIssuer + "/acme", "https://token.actions.acme.ghe.com", "http://127.0.0.1:4180/ci/"} {
		_, err := Render(lane(oidc(issuer, "repo:acme/torch:ref:refs/heads/main")), s, nil)
		if reasonOf(t, err) != v1alpha1.ReasonUnsafeValue || !strings.Contains(err.Error(), "as gitHubActions") {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	if !slices.ContainsFunc(s.Providers, func(p Provider) bool { return p.Issuer == DefaultGitHubIssuer }) {
		t.Error("it is not registered, and would be refused for that")
	}
}

func TestRecycledNamesAreToldOf(t *testing.T) {
	for _, c := range []struct {
		edit func(*v1alpha1.PlatformLaneSpec)
		told bool
	}{
		{oidc("https://gitlab.com", "project_path:acme/torch:*"), true},
		{oidc("https://gitlab.com", "project_path:acme/torch:*", "ref_protected"), true},
		{oidc("https://gitlab.com", "project_path:acme/torch:*", "project_id"), false},
		{oidc("https://agent.buildkite.com", "organization:acme:pipeline:torch:*"), true},
		{oidc("https://agent.buildkite.com", "organization:acme:pipeline:torch:*", "organization_id"), false},
		{oidc(circleIssuer, "org/"+circleOrg+"/*"), false},
		{publishers(gitHub("ci")), false},
	} {
		s := federated()
		s.ImmutableUploads = ImmutableUploadsEnforced
		if e := Explain(lane(c.edit), s, nil); len(e.LeftOut) > 0 || len(e.Caveats) > 0 != c.told {
			t.Errorf("%q, left out %v, want told %v", e.Caveats, e.LeftOut, c.told)
		}
	}
}
