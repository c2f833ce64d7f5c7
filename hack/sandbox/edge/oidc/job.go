package oidc

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const defaultLifetime = 5 * time.Minute

// Job describes the workflow job that asks for a token. Empty fields are
// claims that the token does not carry.
type Job struct {
	// Repository is owner/name.
	Repository        string `json:"repository"`
	RepositoryID      string `json:"repositoryID"`
	RepositoryOwnerID string `json:"repositoryOwnerID"`
	Environment       string `json:"environment,omitempty"`
	Ref               string `json:"ref,omitempty"`
	Workflow          string `json:"workflow,omitempty"`
	JobWorkflowRef    string `json:"jobWorkflowRef,omitempty"`
	EventName         string `json:"eventName,omitempty"`
	Actor             string `json:"actor,omitempty"`
	ActorID           string `json:"actorID,omitempty"`
	// Audience defaults to sts.amazonaws.com.
	Audience string `json:"audience,omitempty"`
	// ImmutableSubject selects the form of sub that GitHub uses for
	// repositories created or moved after 2026-07-15: repo:ORG@ID/REPO@ID:…
	ImmutableSubject bool `json:"immutableSubject,omitempty"`
	// Subject, when set, is the sub claim as it stands.
	Subject string `json:"subject,omitempty"`
	// LifetimeSeconds defaults to 300. Negative makes an expired token.
	LifetimeSeconds int `json:"lifetimeSeconds,omitempty"`
	// Claims are added last and override the others; null removes a claim.
	Claims map[string]any `json:"claims,omitempty"`
}

func (j *Job) claims(issuer string, now time.Time) (jwt.MapClaims, error) {
	owner, name, ok := strings.Cut(j.Repository, "/")
	if !ok && j.Subject == "" {
		return nil, fmt.Errorf("repository %q is not of the form owner/name", j.Repository)
	}
	lifetime := defaultLifetime
	if j.LifetimeSeconds != 0 {
		lifetime = time.Duration(j.LifetimeSeconds) * time.Second
	}
	claims := jwt.MapClaims{
		"iss": issuer,
		"jti": uuid.NewString(),
		"aud": "sts.amazonaws.com",
		"sub": j.subject(owner, name),
		"iat": now.Unix(), "nbf": now.Add(-10 * time.Minute).Unix(), "exp": now.Add(lifetime).Unix(),
		"runner_environment": "github-hosted",
	}
	for name, value := range map[string]string{
		"repository": j.Repository, "repository_id": j.RepositoryID,
		"repository_owner": owner, "repository_owner_id": j.RepositoryOwnerID,
		"environment": j.Environment, "ref": j.Ref, "workflow": j.Workflow,
		"job_workflow_ref": j.JobWorkflowRef, "event_name": j.EventName,
		"actor": j.Actor, "actor_id": j.ActorID, "aud": j.Audience,
	} {
		if value != "" {
			claims[name] = value
		}
	}
	maps.Copy(claims, j.Claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims, nil
}

// subject is what GitHub puts into sub: the environment when the job runs in
// one, else whether it is a pull request, else the ref.
func (j *Job) subject(owner, name string) string {
	if j.Subject != "" {
		return j.Subject
	}
	repo := owner + "/" + name
	if j.ImmutableSubject {
		repo = owner + "@" + j.RepositoryOwnerID + "/" + name + "@" + j.RepositoryID
	}
	switch {
	case j.Environment != "":
		return "repo:" + repo + ":environment:" + j.Environment
	case j.EventName == "pull_request":
		return "repo:" + repo + ":pull_request"
	default:
		return "repo:" + repo + ":ref:" + j.Ref
	}
}
