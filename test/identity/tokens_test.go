package identity

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// claims are those of a token, by name; what a token does not carry is absent.
type claims map[string]string

// admits is the table of who may obtain a lane's credentials: a job that one of
// its publishers names, with everything that the publisher names.
func admits(publishers []v1alpha1.Publisher, gitHub, issuer string, c claims) bool {
	return slices.ContainsFunc(publishers, func(p v1alpha1.Publisher) bool {
		switch {
		case p.GitHubActions.Repository != "":
			return issuer == gitHub && admitsJob(p.GitHubActions, c)
		case p.OIDC.Issuer != "":
			return issuer == p.OIDC.Issuer && admitsSubject(p.OIDC, c)
		default:
			return false // An access key is nobody's token.
		}
	})
}

func admitsJob(g v1alpha1.GitHubActionsPublisher, c claims) bool {
	owner, name, _ := strings.Cut(g.Repository, "/")
	inContext := func(context string) bool {
		for _, repo := range []string{g.Repository, fmt.Sprintf("%s@%d/%s@%d", owner, g.RepositoryOwnerID, name, g.RepositoryID)} {
			if is(c["sub"], "repo:"+repo+":"+context) {
				return true
			}
		}
		return false
	}
	subject := g.Environment != "" && inContext("environment:"+g.Environment) ||
		g.Environment == "" && slices.ContainsFunc(g.Refs, func(ref string) bool { return inContext("ref:" + ref) })
	return subject && c["aud"] == "sts.amazonaws.com" &&
		c["repository_id"] == fmt.Sprint(g.RepositoryID) && c["repository_owner_id"] == fmt.Sprint(g.RepositoryOwnerID) &&
		(g.Environment == "" || c["environment"] == g.Environment) &&
		(len(g.Refs) == 0 || slices.ContainsFunc(g.Refs, func(ref string) bool { return is(c["ref"], ref) })) &&
		(len(g.WorkflowRefs) == 0 || slices.Contains(g.WorkflowRefs, c["job_workflow_ref"]))
}

func admitsSubject(o v1alpha1.OIDCPublisher, c claims) bool {
	return c["aud"] == o.Audience && slices.ContainsFunc(o.Subjects, func(s string) bool { return is(c["sub"], s) }) &&
		!slices.ContainsFunc(o.Claims, func(rule v1alpha1.ClaimRule) bool { return !slices.Contains(rule.Values, c[rule.Key]) })
}

// is compares with a value that may end in a star.
func is(value, pattern string) bool {
	prefix, wild := strings.CutSuffix(pattern, "*")
	return value == pattern || wild && strings.HasPrefix(value, prefix)
}

// claimsOf are the claims of a job's token that trust policies can see.
func claimsOf(job sandbox.Claims) claims {
	owner, name, _ := strings.Cut(job.Repository, "/")
	repo := job.Repository
	if job.ImmutableSubject {
		repo = owner + "@" + job.RepositoryOwnerID + "/" + name + "@" + job.RepositoryID
	}
	subject := "repo:" + repo + ":ref:" + job.Ref
	switch {
	case job.Subject != "":
		subject = job.Subject
	case job.Environment != "":
		subject = "repo:" + repo + ":environment:" + job.Environment
	case job.EventName == "pull_request":
		subject = "repo:" + repo + ":pull_request"
	}
	c := claims{
		"sub": subject, "aud": job.Audience, "repository": job.Repository, "repository_id": job.RepositoryID,
		"repository_owner_id": job.RepositoryOwnerID, "environment": job.Environment, "ref": job.Ref, "job_workflow_ref": job.JobWorkflowRef,
	}
	if job.Audience == "" {
		c["aud"] = sandbox.Audience
	}
	maps.DeleteFunc(c, func(_, value string) bool { return value == "" })
	return c
}

// tamper changes something about a job, mostly into what another lane's has.
func tamper(r *rand.Rand, job sandbox.Claims, other sandbox.Claims) sandbox.Claims {
	switch r.IntN(14) {
	case 0:
		job.Repository = other.Repository
	case 1:
		job.RepositoryID = other.RepositoryID
	case 2:
		job.RepositoryOwnerID = other.RepositoryOwnerID
	case 3:
		job.RepositoryID += "0"
	case 4:
		job.Environment = one(r, "", "dev", other.Environment, job.Environment+"x")
	case 5:
		job.Ref = one(r, "", "refs/heads/mine", "refs/tags/v", "refs/heads/*", "refs/pull/7/merge", job.Ref+"2", other.Ref)
	case 6:
		job.JobWorkflowRef = one(r, "", other.JobWorkflowRef, job.JobWorkflowRef+"-mine")
	case 7:
		job.Audience = one(r, "https://github.com/"+job.Repository, "sts.amazonaws.com.evil.example")
	case 8:
		job.EventName, job.Environment = "pull_request", ""
	case 9:
		job.Subject = one(r, "repo:*", "repo:"+job.Repository+":*", "repo:"+job.Repository+"x:environment:"+job.Environment, claimsOf(other)["sub"])
	case 10:
		job.Subject = strings.ToUpper(claimsOf(job)["sub"])
	case 11:
		job.Repository = strings.Split(job.Repository, "/")[0] + "/torch-fork"
	}
	return job
}

const tokensTried = 800

// STS with real tokens, the simulator with their claims, and the table decide alike
// who may obtain which lane's credentials.
func TestTokensOpenTheirOwnLanesOnly(t *testing.T) {
	r := newRandom(t)
	fleet := theFleet(t)
	s := startSimulator(t)
	type try struct {
		m    *member
		job  sandbox.Claims
		code string
	}
	tries, questions := make([]try, tokensTried), make([]question, tokensTried)
	opened := 0
	for i := range tries {
		m, other := one(r, fleet...), one(r, fleet...)
		publishers := slices.DeleteFunc(slices.Clone(m.lane.Spec.Publishers), func(p v1alpha1.Publisher) bool { return p.GitHubActions.Repository == "" })
		job := jobOf(r, one(r, publishers...).GitHubActions)
		for range r.IntN(3) {
			job = tamper(r, job, other.job)
		}
		if r.IntN(8) == 0 {
			m = other
		}
		_, err := m.assume(job)
		tries[i] = try{m, job, code(err)}
		// The simulator drops the keys that it does not know: sub, aud, and all of
		// an issuer on loopback. Under another name they count.
		const alias = "aws:PrincipalTag/"
		keys := map[string]string{}
		for claim, value := range claimsOf(job) {
			keys[alias+claim] = value
		}
		questions[i] = question{
			Resource:  s.keep("trust", strings.ReplaceAll(m.role.Trust, `"`+stack.OIDCIssuerHost+":", `"`+alias)),
			Principal: stack.OIDCProviderARN, Action: "sts:AssumeRoleWithWebIdentity", ARN: m.role.ARN, Context: keys,
		}
	}
	for i, yes := range s.decide(questions) {
		try := tries[i]
		want := admits(try.m.lane.Spec.Publishers, stack.OIDCIssuer, stack.OIDCIssuer, claimsOf(try.job))
		if want {
			opened++
		}
		if got := try.code == ""; got != want || yes != want || !got && try.code != denied && try.code != "InvalidIdentityToken" {
			t.Errorf("%s with %v: STS says %q, the simulator %t, the table %t", try.m.lane.Name, claimsOf(try.job), try.code, yes, want)
		}
	}
	t.Logf("%d tokens, %d let in", len(tries), opened)
	if opened < tokensTried/8 || opened > tokensTried*7/8 {
		t.Errorf("%d of %d tokens are let in: the generator is no good", opened, len(tries))
	}
}

// The same for issuers that the local stack has not got, in the account that
// release engineering has: here the simulator also says whether AWS knows the
// claims that the documents test.
func TestTokensOfOtherIssuers(t *testing.T) {
	r := newRandom(t)
	s := startSimulator(t)
	account := settings()
	account.GitHubIssuer = access.DefaultGitHubIssuer
	account.Providers = nil
	arn := func(issuer string) string {
		return "arn:aws:iam::" + account.AccountID + ":oidc-provider/" + strings.TrimPrefix(issuer, "https://")
	}
	for _, url := range []string{account.GitHubIssuer, issuers[0].url, issuers[1].url, issuers[2].url} {
		account.Providers = append(account.Providers, access.Provider{Issuer: url, ARN: arn(url)})
	}
	var questions []question
	var want []bool
	lets := map[string]int{}
	for i, platform := range platforms(r, 200) {
		lane := generateLane(r, platform, int64(100+10*i))
		lane.Spec.Publishers = append(lane.Spec.Publishers[:1], v1alpha1.Publisher{Name: "other", OIDC: oidcPublisher(r, platform, int64(100+10*i))})
		role, err := access.Render(lane, account, nil)
		if err != nil {
			t.Fatalf("%+v: %v", lane.Spec.Publishers, err)
		}
		trust := role.Trust
		for _, p := range account.Providers {
			for _, claim := range []string{"sub", "aud"} {
				trust = strings.ReplaceAll(trust, `"`+strings.TrimPrefix(p.Issuer, "https://")+":"+claim+`"`, `"`+aliasOf(p.Issuer, claim)+`"`)
			}
		}
		document := s.keep("trust", trust)
		for range 6 {
			issuer, c := foreignToken(r, lane, account.GitHubIssuer)
			keys := map[string]string{}
			for claim, value := range c {
				keys[aliasOf(issuer, claim)] = value
			}
			questions = append(questions, question{Resource: document, Principal: arn(issuer), Action: "sts:AssumeRoleWithWebIdentity", ARN: role.ARN, Context: keys})
			want = append(want, admits(lane.Spec.Publishers, account.GitHubIssuer, issuer, c))
			if want[len(want)-1] {
				lets[issuer]++
			}
		}
	}
	for i, yes := range s.decide(questions) {
		if yes != want[i] {
			t.Errorf("%+v: the simulator says %t, the table %t", questions[i], yes, want[i])
		}
	}
	t.Logf("%d tokens, let in: %v", len(questions), lets)
	if len(lets) != len(account.Providers) {
		t.Errorf("no token of some issuer is let in: %v", lets)
	}
}

// aliasOf is the condition key of a claim; the simulator does not know sub and aud
// of most issuers, though AWS does.
func aliasOf(issuer, claim string) string {
	name := strings.TrimPrefix(issuer, "https://")
	if claim == "sub" || claim == "aud" {
		return "aws:PrincipalTag/" + strings.ReplaceAll(name, "/", ".") + "." + claim
	}
	return name + ":" + claim
}

// foreignToken is a token that one of the lane's publishers would get, or nearly.
func foreignToken(r *rand.Rand, lane *v1alpha1.PlatformLane, gitHub string) (issuer string, c claims) {
	job := claimsOf(jobOf(r, lane.Spec.Publishers[0].GitHubActions))
	o := lane.Spec.Publishers[1].OIDC
	c = claims{"aud": o.Audience, "sub": strings.ReplaceAll(one(r, o.Subjects...), "*", one(r, "", "x", "a/b"))}
	for _, rule := range o.Claims {
		c[rule.Key] = one(r, rule.Values...)
	}
	issuer = o.Issuer
	if r.IntN(4) == 0 {
		issuer, c = gitHub, job
	}
	if r.IntN(2) == 0 {
		return issuer, c
	}
	switch key := one(r, slices.Sorted(maps.Keys(c))...); r.IntN(4) {
	case 0:
		delete(c, key)
	case 1:
		c[key] += "0"
	case 2:
		c[key] = one(r, "*", "sts.amazonaws.com", job["sub"])
	default:
		issuer = one(r, gitHub, issuers[0].url, issuers[1].url, issuers[2].url)
		if issuer != o.Issuer && issuer != gitHub {
			c = claims{"sub": c["sub"], "aud": c["aud"]}
		}
	}
	maps.DeleteFunc(c, func(key, _ string) bool { // What AWS evaluates of the issuer.
		known := []string{"sub", "aud"}
		if issuer == gitHub {
			known = append(known, "repository", "repository_id", "repository_owner_id", "environment", "ref", "job_workflow_ref")
		}
		for _, i := range issuers {
			if i.url == issuer {
				known = append(known, i.claims...)
			}
		}
		return !slices.Contains(known, key)
	})
	return issuer, c
}
