package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// Explanation says who may write what in a lane, and why. It is made from the
// values that the lane's documents are made from.
type Explanation struct {
	// Lane is namespace/name of the PlatformLane, Platform its platform.
	Lane     string `json:"lane"`
	Platform string `json:"platform"`
	// Role is the ARN of the lane's role, or its name if the account is not known;
	// empty if the lane has none.
	Role string `json:"role,omitempty"`
	// Summary says in a sentence how the lane stands.
	Summary string `json:"summary"`
	// Suspended is true if the lane's credentials are told not to work. What
	// Publishers and Uploads hold comes into force when access is resumed.
	Suspended bool `json:"suspended"`
	// Change is who changed spec.access last, when and why, as far as that is known
	// of the present value.
	Change *v1alpha1.AccessChange `json:"accessChange,omitempty"`
	// SessionsNotBefore is when access was last resumed, or the role taken over, in
	// UTC: older sessions stay dead. None if neither ever was.
	SessionsNotBefore *time.Time `json:"sessionsNotBefore,omitempty"`
	// Publishers are those who may obtain credentials, in the order of their
	// names.
	Publishers []ExplainedPublisher `json:"publishers,omitempty"`
	// Uploads are the names that credentials may write, by channel and package.
	Uploads []ExplainedUpload `json:"uploads,omitempty"`
	// Never is what is never possible with the lane's credentials, whatever its
	// manifest says. All but the first also hold if somebody attaches a further
	// policy to the role.
	Never []string `json:"never,omitempty"`
	// Caveats are protections that this installation does not have.
	Caveats []string `json:"caveats,omitempty"`
	// LeftOut is what the lane asks for and does not get.
	LeftOut []ExplainedProblem `json:"leftOut,omitempty"`
}

// ExplainedPublisher is somebody who may obtain the lane's credentials.
type ExplainedPublisher struct {
	// Name is the publisher's in the manifest; Field is where it stands there.
	Name  string `json:"name"`
	Field string `json:"field"`
	// Who says in words who it is.
	Who string `json:"who"`
	// Issuer is the URL of the issuer whose tokens AWS accepts; none for an access
	// key.
	Issuer string `json:"issuer,omitempty"`
	// Demands are what a token must say, all of it.
	Demands []ExplainedDemand `json:"demands,omitempty"`
}

// ExplainedDemand is a claim of a token and what it may be.
type ExplainedDemand struct {
	// Claim is its name as AWS knows it.
	Claim string `json:"claim"`
	// Values are what it may be; a * at the end of one stands for anything.
	Values []string `json:"values"`
}

// ExplainedUpload is a kind of name that the lane's credentials may write.
type ExplainedUpload struct {
	// Channel it belongs to.
	Channel v1alpha1.ChannelName `json:"channel"`
	// Package is the entry of spec.packages; empty for attestations, which all
	// packages share.
	Package string `json:"package,omitempty"`
	// Folder of the bucket, with a slash at its end.
	Folder string `json:"folder"`
	// Pattern of the names; a * stands for anything.
	Pattern string `json:"pattern"`
	// Example is such a name.
	Example string `json:"example"`
}

// ExplainedProblem is something that the lane asks for and does not get.
type ExplainedProblem struct {
	// Reason is that of the lane's CredentialsReady condition.
	Reason string `json:"reason"`
	// Field is its path in the manifest or in the operator's configuration.
	Field string `json:"field"`
	// Message says what is wrong and what to do about it.
	Message string `json:"message"`
}

// Explain says who may write what in a lane, and why. sessionsNotBefore is as for
// Render.
func Explain(lane *v1alpha1.PlatformLane, s Settings, sessionsNotBefore *time.Time) Explanation {
	s = s.withDefaults()
	e := Explanation{
		Lane: showable(lane.Namespace) + "/" + showable(lane.Name), Platform: showable(lane.Spec.Platform),
		Suspended: lane.Spec.Access == v1alpha1.AccessSuspended,
	}
	if len(lane.Spec.Channels) == 0 {
		e.Summary = "The lane is admitted only: it lists no channels, so it has no role and nobody may write anything."
		return e
	}
	role, err := Render(lane, s, sessionsNotBefore)
	e.leaveOut(err)
	if role.Name == "" {
		e.Summary = "The lane's permissions cannot be written. Nobody gains anything by it: a role that exists stays as it was, a new lane gets none."
		return e
	}
	e.Role = role.ARN
	if e.Role == "" {
		e.Role = role.Name
	}
	if sessionsNotBefore != nil {
		utc := sessionsNotBefore.UTC()
		e.SessionsNotBefore = &utc
	}
	if change := lane.Status.AccessChange; change.Access == lane.Spec.Access && change.Access != "" {
		e.Change = &change
	}
	e.publishers(lane, s)
	e.uploads(lane.Spec)
	e.limits(lane.Spec, s, sessionsNotBefore)
	e.summarise()
	return e
}

// leaveOut records what Render found.
func (e *Explanation) leaveOut(err error) {
	var problems Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			e.LeftOut = append(e.LeftOut, ExplainedProblem(p))
		}
	}
}

// publishers explains the statements of the trust policy. A policy that is too
// large lets nobody in.
func (e *Explanation) publishers(lane *v1alpha1.PlatformLane, s Settings) {
	if slices.ContainsFunc(e.LeftOut, func(p ExplainedProblem) bool { return p.Reason == v1alpha1.ReasonDocumentTooLarge }) {
		return
	}
	trusted, _ := trusteesOf(lane, s)
	for _, t := range trusted {
		e.recycled(t.publisher)
		found := ExplainedPublisher{Name: showable(t.publisher.Name), Field: "spec.publishers[" + showable(t.publisher.Name) + "]", Who: who(t.publisher, lane, s)}
		if t.publisher.AccessKey == nil {
			found.Issuer = t.publisher.OIDC.Issuer
			if isSet(t.publisher.GitHubActions) {
				found.Issuer = s.GitHubIssuer
			}
			provider, _ := s.provider(found.Issuer)
			found.Demands = demandsOf(t.statement, provider)
		}
		e.Publishers = append(e.Publishers, found)
	}
}

// recycled warns of a publisher that is known by names alone, which somebody else
// may take once they are given up.
func (e *Explanation) recycled(p v1alpha1.Publisher) {
	known, ok := issuerOf(p.OIDC.Issuer)
	if !ok || len(known.anchors) == 0 || slices.ContainsFunc(p.OIDC.Claims, func(c v1alpha1.ClaimRule) bool { return slices.Contains(known.anchors, c.Key) }) {
		return
	}
	e.Caveats = append(e.Caveats, fmt.Sprintf("The publisher %s is known by names alone. Whoever takes a name that its owner gave up could publish; add the claim %s with its id.",
		showable(p.Name), either(known.anchors)))
}

// who says in words who a publisher is.
func who(p v1alpha1.Publisher, lane *v1alpha1.PlatformLane, s Settings) string {
	switch g := p.GitHubActions; {
	case p.AccessKey != nil:
		return fmt.Sprintf("whoever holds the access key of the IAM user %s; it lies in a Secret of the namespace %s, is replaced after %d days, and opens nothing but the lane's role",
			s.userARN(lane.Spec.Platform), lane.Namespace, p.AccessKey.RotationDays)
	case isSet(g):
		said := fmt.Sprintf("jobs of the GitHub repository %s (by its numbers %d of %d, which no other repository ever gets)", g.Repository, g.RepositoryID, g.RepositoryOwnerID)
		if g.Environment != "" {
			said += " in the environment " + g.Environment
		}
		if len(g.Refs) > 0 {
			said += " on " + either(g.Refs)
		}
		if len(g.WorkflowRefs) > 0 {
			said += " through the workflow " + either(g.WorkflowRefs)
		}
		return said
	default:
		return fmt.Sprintf("jobs to which %s gives the subject %s", p.OIDC.Issuer, either(p.OIDC.Subjects))
	}
}

// demandsOf are the conditions of a statement of the trust policy, by claim.
func demandsOf(st statement, p Provider) []ExplainedDemand {
	var demands []ExplainedDemand
	for _, tests := range st.Condition {
		for key, allowed := range tests {
			demands = append(demands, ExplainedDemand{Claim: strings.TrimPrefix(key, p.claimPrefix()), Values: allowed})
		}
	}
	slices.SortFunc(demands, func(a, b ExplainedDemand) int { return strings.Compare(a.Claim, b.Claim) })
	return demands
}

// uploads explains the Allow statements. Those of a suspended lane whose values
// are refused would never come into force.
func (e *Explanation) uploads(spec v1alpha1.PlatformLaneSpec) {
	if len(checkScope(spec)) > 0 {
		return
	}
	for _, channel := range channelsOf(spec) {
		for _, u := range uploadsOf(spec, channel) {
			e.Uploads = append(e.Uploads, ExplainedUpload{Channel: channel, Package: u.pkg, Folder: u.folder, Pattern: u.names, Example: u.example})
		}
	}
}

// limits explains the Deny statements, and what no statement allows.
func (e *Explanation) limits(spec v1alpha1.PlatformLaneSpec, s Settings, sessionsNotBefore *time.Time) {
	e.Never = append(e.Never, "writing any other name: IAM denies what the patterns above do not allow, so no index page, no .metadata file, no package that spec.packages does not list, no wheel without +"+spec.Platform+" in its version")
	for _, st := range grant(spec, s, sessionsNotBefore).Statement {
		if st.Effect == deny {
			e.Never = append(e.Never, st.means)
		}
	}
	if s.ImmutableUploads != ImmutableUploadsEnforced {
		e.Caveats = append(e.Caveats, "This store cannot refuse an upload over an existing name. Such a file is taken off the index until somebody decides; set storage.conditionalWrites in the operator's configuration once the store supports it.")
	}
}

func (e *Explanation) summarise() {
	switch {
	case e.Suspended:
		e.Summary = "The lane is suspended: IAM denies everything to its credentials, to sessions that are already live too. What follows comes into force when access is resumed; sessions from before stay dead then."
	case len(e.Publishers) == 0:
		e.Summary = "The lane has a role, but nobody may obtain its credentials."
	default:
		e.Summary = fmt.Sprintf("%s may obtain credentials of the lane and write the names below with them.", count(len(e.Publishers), "publisher"))
	}
}

func either(values []string) string { return strings.Join(values, " or ") }

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
