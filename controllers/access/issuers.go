package access

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// issuer is what is known of a CI service that issues tokens to its users' jobs.
//
// AWS evaluates in a trust policy, beside sub and aud, only the claims that it
// lists for an issuer under "Available keys for AWS OIDC federation" of the IAM
// user guide. A condition on any other claim never holds: the publisher would be
// locked out for ever, by something that its author takes for a protection.
type issuer struct {
	// name of the service.
	name string
	// claims that AWS evaluates, beside sub and aud.
	claims []string
	// subject says whether a subject names a tenant of the service, so that a *
	// behind it lets in nobody else.
	subject func(subject string) bool
	// form is how such a subject reads, for messages.
	form string
	// anchors are the claims with an id that stays a project's, or its owner's, when
	// a name is given up and taken by somebody else. None if the subject holds ids.
	anchors []string
}

var (
	gitLabSubjectRE    = regexp.MustCompile(`^project_path:[A-Za-z0-9_.][A-Za-z0-9_.-]*/`)
	buildkiteSubjectRE = regexp.MustCompile(`^(?:organization:[A-Za-z0-9-]+:(?:pipeline:.|\*$)|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$)`)
)

// issuerOf is what is known of an issuer by its URL, and false if that is
// nothing: a self-hosted service, or one that this list lacks.
func issuerOf(issuerURL string) (issuer, bool) {
	u, err := url.Parse(issuerURL)
	if err != nil || !issuerRE.MatchString(issuerURL) {
		return issuer{}, false
	}
	org, ofCircleCI := strings.CutPrefix(strings.TrimSuffix(u.Host+u.Path, "/"), "oidc.circleci.com/org/")
	switch {
	case u.Host == "gitlab.com":
		return issuer{
			name: "GitLab",
			claims: []string{
				"namespace_id", "pipeline_source", "project_id", "ref_protected", "runner_environment",
				"user_access_level", "user_email", "user_id", "user_login",
			},
			subject: gitLabSubjectRE.MatchString,
			form:    "project_path:GROUP/PROJECT:ref_type:branch:ref:BRANCH",
			anchors: []string{"project_id", "namespace_id"},
		}, true
	case u.Host == "agent.buildkite.com":
		return issuer{
			name: "Buildkite",
			claims: []string{
				"build_branch", "cluster_id", "cluster_name", "organization_id", "organization_slug", "pipeline_id", "pipeline_slug",
			},
			subject: buildkiteSubjectRE.MatchString, // or one id, which the job may ask for
			form:    "organization:ORGANIZATION:pipeline:PIPELINE:*",
			anchors: []string{"pipeline_id", "organization_id"},
		}, true
	case ofCircleCI:
		return issuer{
			name:   "CircleCI",
			claims: []string{"oidc.circleci.com/project-id"},
			// A CircleCI organization has an issuer of its own.
			subject: func(subject string) bool {
				rest, own := strings.CutPrefix(subject, "org/"+org+"/")
				return own && (rest == "*" || strings.HasPrefix(rest, "project/") && rest != "project/")
			},
			form: "org/" + org + "/project/PROJECT-ID/user/*",
		}, true
	}
	return issuer{}, false
}

// ofGitHub says whether an issuer is GitHub's, whichever the operator's own is.
func ofGitHub(issuerURL string, s Settings) bool {
	if strings.TrimSuffix(issuerURL, "/") == strings.TrimSuffix(s.GitHubIssuer, "/") {
		return true
	}
	u, err := url.Parse(issuerURL)
	return err == nil && (u.Host == "token.actions.githubusercontent.com" ||
		strings.HasPrefix(u.Host, "token.actions.") && strings.HasSuffix(u.Host, ".ghe.com"))
}

// subjectOf demands that a subject names a tenant of its issuer. Of an issuer
// that nothing is known of, only a subject with a wildcard can be judged.
func (c *checker) subjectOf(field, subject, issuerURL string) {
	known, ok := issuerOf(issuerURL)
	switch {
	case !ok:
		c.wildcardSubject(field, subject)
	case known.subject(subject):
	case strings.HasSuffix(subject, "*"):
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field,
			"%s would let in others who use this issuer; name at least the organisation before the *, as in %s", quote(subject), known.form))
	default:
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field, "%s is no subject of a job of %s; write it like %s", quote(subject), known.name, known.form))
	}
}

// claimOf demands that AWS evaluates a claim of an issuer.
func (c *checker) claimOf(field, claim, issuerURL string, provider Provider) {
	known, _ := issuerOf(issuerURL)
	allowed := slices.Concat(known.claims, provider.Claims)
	switch {
	case slices.Contains(allowed, claim):
	case len(allowed) == 0:
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field,
			"AWS evaluates no claim of %s but sub and aud, so that a condition on %s would lock this publisher out; remove it, and say all with the subject", quote(issuerURL), quote(claim)))
	default:
		slices.Sort(allowed)
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field,
			"AWS does not evaluate the claim %s of %s, so that a condition on it would lock this publisher out; use %s, or the subject", quote(claim), quote(issuerURL), strings.Join(slices.Compact(allowed), ", ")))
	}
}
