package provenance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

const (
	gitHubServer = "https://github.com/"
	gitLabIssuer = "https://gitlab.com"
)

// Identity is somebody who may sign for a lane.
type Identity struct {
	// Publisher is the publisher's name in the lane.
	Publisher string
	// repository is what PEP 740's publisher claim may say; "" for anything.
	repository string
	// differs says what in a certificate is not this identity; "" if it is.
	differs func(certificate.Summary) string
}

// Identities are those of a lane's publishers that a certificate can tell: jobs
// of GitHub Actions and of gitlab.com. gitHubIssuer is the issuer of GitHub
// Actions' tokens.
func Identities(publishers []v1alpha1.Publisher, gitHubIssuer string) []Identity {
	var ids []Identity
	for _, p := range publishers {
		switch {
		case p.GitHubActions.Repository != "":
			ids = append(ids, gitHub(p.Name, p.GitHubActions, gitHubIssuer))
		case strings.TrimSuffix(p.OIDC.Issuer, "/") == gitLabIssuer:
			ids = append(ids, gitLab(p.Name, p.OIDC))
		}
	}
	return ids
}

// gitHub is a repository by its numeric ids, as in the role's trust policy.
func gitHub(name string, g v1alpha1.GitHubActionsPublisher, issuer string) Identity {
	refs := g.Refs
	if len(refs) == 0 {
		// Only the environment gates the upload. A pull request's ref is neither a
		// branch nor a tag.
		refs = []string{"refs/heads/*", "refs/tags/*"}
	}
	return Identity{Publisher: name, repository: g.Repository, differs: func(c certificate.Summary) string {
		switch {
		case c.Issuer != strings.TrimSuffix(issuer, "/"):
			return fmt.Sprintf("its issuer is %+q", c.Issuer)
		case c.SourceRepositoryIdentifier != strconv.FormatInt(g.RepositoryID, 10):
			return fmt.Sprintf("its repository is %+q with the id %+q", c.SourceRepositoryURI, c.SourceRepositoryIdentifier)
		case c.SourceRepositoryOwnerIdentifier != strconv.FormatInt(g.RepositoryOwnerID, 10):
			return fmt.Sprintf("its repository's owner has the id %+q", c.SourceRepositoryOwnerIdentifier)
		case !like(refs, c.SourceRepositoryRef):
			return fmt.Sprintf("its ref is %+q", c.SourceRepositoryRef)
		case len(g.WorkflowRefs) > 0 && !slices.ContainsFunc(g.WorkflowRefs, func(w string) bool { return c.BuildSignerURI == gitHubServer+w }):
			return fmt.Sprintf("its workflow is %+q", c.BuildSignerURI)
		}
		return ""
	}}
}

// gitLab is a project: the certificate is turned into the subject that the job's
// token had, and that is compared as the role's trust policy does.
func gitLab(name string, o v1alpha1.OIDCPublisher) Identity {
	return Identity{Publisher: name, differs: func(c certificate.Summary) string {
		if c.Issuer != gitLabIssuer {
			return fmt.Sprintf("its issuer is %+q", c.Issuer)
		}
		if subject, ok := gitLabSubject(c); !ok || !like(o.Subjects, subject) {
			return fmt.Sprintf("its project is %+q at the ref %+q", c.SourceRepositoryURI, c.SourceRepositoryRef)
		}
		for _, claim := range o.Claims {
			told, ok := map[string]string{
				"project_id": c.SourceRepositoryIdentifier, "namespace_id": c.SourceRepositoryOwnerIdentifier,
			}[claim.Key]
			if ok && !slices.Contains(claim.Values, told) {
				return fmt.Sprintf("its claim %s is %+q", claim.Key, told)
			}
		}
		return ""
	}}
}

func gitLabSubject(c certificate.Summary) (string, bool) {
	path, ok := strings.CutPrefix(c.SourceRepositoryURI, gitLabIssuer+"/")
	if !ok {
		return "", false
	}
	if branch, ok := strings.CutPrefix(c.SourceRepositoryRef, "refs/heads/"); ok {
		return "project_path:" + path + ":ref_type:branch:ref:" + branch, true
	}
	tag, ok := strings.CutPrefix(c.SourceRepositoryRef, "refs/tags/")
	return "project_path:" + path + ":ref_type:tag:ref:" + tag, ok
}

// like compares as IAM's StringLike does with the patterns that a manifest may
// hold: a * at the end stands for anything.
func like(patterns []string, value string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, wild := strings.CutSuffix(p, "*")
		return wild && strings.HasPrefix(value, prefix) || p == value
	})
}
