package access

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

const assumeRoleWithWebIdentity = "sts:AssumeRoleWithWebIdentity"

// gitHubAudience is what aws-actions/configure-aws-credentials asks GitHub for.
const gitHubAudience = "sts.amazonaws.com"

// trust is the document that says who may obtain the lane's credentials: one
// statement for each publisher, in the order of their names. A publisher with a
// problem is left out; with none left the document lets nobody in.
func trust(lane *v1alpha1.PlatformLane, s Settings) (document, Problems) {
	trusted, problems := trusteesOf(lane, s)
	if len(trusted) == 0 {
		return closedTrust(), problems
	}
	doc := document{Version: policyVersion}
	for _, t := range trusted {
		doc.Statement = append(doc.Statement, t.statement)
	}
	return doc, problems
}

// trustee is a publisher without a problem, and what lets it in.
type trustee struct {
	publisher v1alpha1.Publisher
	statement statement
}

// trusteesOf are the publishers that the trust policy lets in, in the order of
// their names, and what keeps the others out.
func trusteesOf(lane *v1alpha1.PlatformLane, s Settings) ([]trustee, Problems) {
	var trusted []trustee
	var problems Problems
	sorted := slices.Clone(lane.Spec.Publishers)
	slices.SortStableFunc(sorted, func(a, b v1alpha1.Publisher) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range sorted {
		st, found := publisherStatement(p, lane, s)
		if len(found) > 0 {
			problems = append(problems, found...)
			continue
		}
		trusted = append(trusted, trustee{p, st})
	}
	return trusted, problems
}

// closedTrust lets nobody in. IAM has no empty trust policy.
func closedTrust() document {
	return document{Version: policyVersion, Statement: []statement{{
		Sid: "NoPublishers", Effect: deny, Principal: &principal{AWS: "*"},
		Action: SetOf("sts:AssumeRole", assumeRoleWithWebIdentity),
	}}}
}

func publisherStatement(p v1alpha1.Publisher, lane *v1alpha1.PlatformLane, s Settings) (statement, Problems) {
	field := "spec.publishers[" + showable(p.Name) + "]"
	kinds := 0
	for _, set := range []bool{isSet(p.GitHubActions), isSet(p.OIDC), p.AccessKey != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return statement{}, Problems{problemf(v1alpha1.ReasonUnsupportedPublisher, field,
			"sets %d kinds of publisher; a publisher is exactly one of gitHubActions, oidc and accessKey", kinds)}
	case p.AccessKey != nil:
		return userStatement(field+".accessKey", lane, s)
	case isSet(p.GitHubActions):
		return gitHubStatement(field+".gitHubActions", p.GitHubActions, s)
	default:
		return oidcStatement(field+".oidc", p.OIDC, s)
	}
}

// gitHubStatement lets jobs of one repository in. The numeric ids make sure that
// it is that repository and not another that took its name.
func gitHubStatement(field string, g v1alpha1.GitHubActionsPublisher, s Settings) (statement, Problems) {
	c := &checker{}
	c.value(field+".repository", g.Repository, repositoryRE, "a repository like owner/name")
	if g.RepositoryID < 1 || g.RepositoryOwnerID < 1 {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field,
			"repositoryID and repositoryOwnerID must both be set: without them, whoever registers the name %s next could publish", quote(g.Repository)))
	}
	if g.Environment != "" {
		c.value(field+".environment", g.Environment, environmentRE, "the name of an environment")
	} else if len(g.Refs) == 0 {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field,
			"neither environment nor refs is set, so that every branch and pull request could publish; set one of them"))
	}
	for i, ref := range g.Refs {
		c.value(fmt.Sprintf("%s.refs[%d]", field, i), ref, refRE, "a full ref like refs/heads/main or refs/tags/v*")
	}
	for i, ref := range g.WorkflowRefs {
		c.value(fmt.Sprintf("%s.workflowRefs[%d]", field, i), ref, workflowRefRE, "a workflow like owner/repo/.github/workflows/upload.yml@refs/heads/main")
	}
	provider, known := s.provider(s.GitHubIssuer)
	if !known {
		c.add(unknownIssuer(field, s.GitHubIssuer))
	}
	if len(c.problems) > 0 {
		return statement{}, c.problems
	}
	claims := newClaims(provider)
	claims.exactly("aud", gitHubAudience)
	claims.like("sub", gitHubSubjects(g)...)
	claims.exactly("repository_id", strconv.FormatInt(g.RepositoryID, 10))
	claims.exactly("repository_owner_id", strconv.FormatInt(g.RepositoryOwnerID, 10))
	claims.exactly("environment", g.Environment)
	claims.like("ref", g.Refs...)
	claims.exactly("job_workflow_ref", g.WorkflowRefs...)
	return claims.statement(), nil
}

// gitHubSubjects are the subjects of a publisher's jobs in both forms: by name,
// and by name and id for repositories created, renamed or transferred after
// 2026-07-15. A job in an environment has that environment in its subject, any
// other job its ref.
func gitHubSubjects(g v1alpha1.GitHubActionsPublisher) []string {
	owner, name, _ := strings.Cut(g.Repository, "/")
	contexts := []string{"environment:" + g.Environment}
	if g.Environment == "" {
		contexts = nil
		for _, ref := range g.Refs {
			contexts = append(contexts, "ref:"+ref)
		}
	}
	var subjects []string
	for _, context := range contexts {
		subjects = append(subjects,
			fmt.Sprintf("repo:%s/%s:%s", owner, name, context),
			fmt.Sprintf("repo:%s@%d/%s@%d:%s", owner, g.RepositoryOwnerID, name, g.RepositoryID, context))
	}
	return subjects
}

// oidcStatement lets jobs of any other registered issuer in.
func oidcStatement(field string, o v1alpha1.OIDCPublisher, s Settings) (statement, Problems) {
	c := &checker{}
	c.value(field+".issuer", o.Issuer, issuerRE, "an issuer's URL")
	if ofGitHub(o.Issuer, s) {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field+".issuer",
			"tokens of GitHub Actions are trusted by the repository's numeric ids only; write this publisher as gitHubActions"))
	}
	audience := o.Audience
	if audience == "" {
		audience = gitHubAudience
	}
	c.value(field+".audience", audience, audienceRE, "an audience")
	if len(o.Subjects) == 0 {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field+".subjects", "is empty, so that everybody who uses this issuer could publish; name the project"))
	}
	for i, subject := range o.Subjects {
		at := fmt.Sprintf("%s.subjects[%d]", field, i)
		c.value(at, subject, subjectRE, "a subject")
		c.subjectOf(at, subject, o.Issuer)
	}
	provider, known := s.provider(o.Issuer)
	for i, rule := range o.Claims {
		at := fmt.Sprintf("%s.claims[%d]", field, i)
		c.value(at+".key", rule.Key, claimKeyRE, "the name of a claim")
		if slices.Contains([]string{"sub", "aud", "iss"}, rule.Key) {
			c.add(problemf(v1alpha1.ReasonUnsafeValue, at+".key", "%s has a field of its own; use that", rule.Key))
		} else if known {
			c.claimOf(at+".key", rule.Key, o.Issuer, provider)
		}
		if len(rule.Values) == 0 {
			c.add(problemf(v1alpha1.ReasonUnsafeValue, at+".values", "is empty and would demand nothing; list the values that the claim may have"))
		}
		for j, value := range rule.Values {
			c.value(fmt.Sprintf("%s.values[%d]", at, j), value, claimValueRE, "a claim's value")
		}
	}
	if !known && len(c.problems) == 0 {
		c.add(unknownIssuer(field+".issuer", o.Issuer))
	}
	if len(c.problems) > 0 {
		return statement{}, c.problems
	}
	claims := newClaims(provider)
	claims.exactly("aud", audience)
	claims.like("sub", o.Subjects...)
	for _, rule := range o.Claims {
		claims.exactly(rule.Key, rule.Values...)
	}
	return claims.statement(), nil
}

func unknownIssuer(field, issuer string) Problem {
	return problemf(v1alpha1.ReasonUnknownIssuer, field,
		"the token issuer %s is not registered; ask release engineering to create its OIDC provider in the account and to add it to the operator's configuration", quote(issuer))
}

// claims are the tests that a token must pass, all of them.
type claims struct {
	provider Provider
	tests    map[operator]keyTest
}

func newClaims(p Provider) claims { return claims{p, map[operator]keyTest{}} }

// exactly demands that a claim is one of the values; without values it demands
// nothing.
func (c claims) exactly(claim string, allowed ...string) { c.test(stringEquals, claim, allowed) }

// like is exactly, but a * at the end of a value stands for anything. One key is
// tested by one operator only: two would both have to hold.
func (c claims) like(claim string, allowed ...string) {
	op := stringEquals
	if slices.ContainsFunc(allowed, func(v string) bool { return strings.HasSuffix(v, "*") }) {
		op = stringLike
	}
	c.test(op, claim, allowed)
}

func (c claims) test(op operator, claim string, allowed []string) {
	allowed = slices.DeleteFunc(SetOf(allowed...), func(v string) bool { return v == "" })
	if len(allowed) == 0 {
		return
	}
	if c.tests[op] == nil {
		c.tests[op] = keyTest{}
	}
	c.tests[op][c.provider.claimPrefix()+claim] = allowed
}

func (c claims) statement() statement {
	return statement{
		Effect: allow, Principal: &principal{Federated: c.provider.ARN},
		Action: Values{assumeRoleWithWebIdentity}, Condition: c.tests,
	}
}

// isSet tells whether a manifest holds a kind of publisher.
func isSet(kind any) bool { return !reflect.ValueOf(kind).IsZero() }
