package ackrole

import (
	"fmt"
	"strings"
	"time"

	ackiam "github.com/aws-controllers-k8s/iam-controller/apis/v1alpha1"
	ack "github.com/aws-controllers-k8s/runtime/apis/core/v1alpha1"
	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// State is how a role stands. Its values are reasons of the lane's
// CredentialsReady condition.
type State string

// The states.
const (
	// Missing: there is no Role resource.
	Missing State = v1alpha1.ReasonRoleMissing
	// Unreadable: the API server refuses to let the operator read or write Role
	// resources, or does not know the kind. Somebody has to act.
	Unreadable State = v1alpha1.ReasonRoleUnreadable
	// Conflict: the Role resource, or the IAM role of that name, belongs to
	// somebody else. Somebody has to act.
	Conflict State = v1alpha1.ReasonRoleConflict
	// Deleting: the Role resource is being deleted.
	Deleting State = v1alpha1.ReasonRoleDeleting
	// Syncing: ACK has not reported on what was last applied.
	Syncing State = v1alpha1.ReasonRoleSyncing
	// Recoverable: ACK failed and tries again.
	Recoverable State = v1alpha1.ReasonRoleRecoverable
	// Terminal: ACK failed and does nothing until the Role changes.
	Terminal State = v1alpha1.ReasonRoleTerminal
	// Synced: IAM holds the role as it was last applied.
	Synced State = v1alpha1.ReasonRoleSynced
)

// Observation is what is known about a role.
type Observation struct {
	// State sums it up.
	State State
	// ARN of the role in IAM, as soon as ACK knows it; a role with an ARN is not
	// yet one with permissions.
	ARN string
	// Message says what stands in the way and, at its end, the next step to take;
	// empty when Synced.
	Message string
	// RecheckAfter is when to call Apply again although no Role resource changes;
	// zero to wait for a change.
	RecheckAfter time.Duration
}

// unreadableRecheck is how soon a refusal of the API server is tried again; a
// change of RBAC wakes nobody.
const unreadableRecheck = 30 * time.Second

// stampOf is when ACK last reported, as it wrote it; empty before its first
// report.
func stampOf(role *ackiam.Role) string {
	if ready := condition(role, ack.ConditionTypeReady); ready != nil && ready.LastTransitionTime != nil {
		return ready.LastTransitionTime.UTC().Format(time.RFC3339)
	}
	return ""
}

func condition(role *ackiam.Role, kind ack.ConditionType) *ack.Condition {
	for _, c := range role.Status.Conditions {
		if c != nil && c.Type == kind {
			return c
		}
	}
	return nil
}

func arnOf(role *ackiam.Role) string {
	if meta := role.Status.ACKResourceMetadata; meta != nil && meta.ARN != nil {
		return string(*meta.ARN)
	}
	return ""
}

// report reads ACK's conditions, which are known to speak of what was applied.
func report(role *ackiam.Role) Observation {
	o := Observation{ARN: arnOf(role)}
	terminal, recoverable := condition(role, ack.ConditionTypeTerminal), condition(role, ack.ConditionTypeRecoverable)
	ready := condition(role, ack.ConditionTypeReady)
	switch {
	case holds(terminal) && text(terminal.Message) == existsMessage:
		o.State = Conflict
		o.Message = fmt.Sprintf("an IAM role named %s exists already and was not made for this lane; if it is this lane's from before, set spec.adopt of the lane to Existing, otherwise delete it in IAM",
			text(role.Spec.Name))
	case holds(terminal):
		o.State = Terminal
		o.Message = told("the ACK controller has given up on the role until the lane changes", text(terminal.Message), adviceTerminal)
	case holds(recoverable) && isStep(text(recoverable.Message)):
		o.State, o.Message = Syncing, "the ACK controller has the role and attaches its permissions; there is nothing to do"
	case holds(recoverable):
		o.State = Recoverable
		o.Message = told("the ACK controller failed and tries again", text(recoverable.Message), adviceRecoverable)
	case holds(ready):
		o.State = Synced
	case ready != nil:
		o.State = Recoverable
		o.Message = told("the ACK controller could not bring the role up to date and tries again", text(ready.Message)+" "+text(ready.Reason), adviceRecoverable)
	default:
		o.State, o.Message = Syncing, "the ACK controller has not reported on the role yet; if this stays, see whether it runs"
	}
	return o
}

// existsMessage is what ACK says of a role that it found and did not make.
const existsMessage = "Resource already exists"

// told makes a message of ACK's part of ours, with the next step at its end.
func told(what, message, otherwise string) string {
	return what + ": " + line(message) + "; " + advise(message, otherwise)
}

// isStep tells what ACK calls an error although it is a step: a role that it has
// just created, or adopted, gets its permissions in a second pass.
func isStep(message string) bool {
	return strings.Contains(message, "requeuing to trigger updates") || strings.Contains(message, "adopted resource, requeuing")
}

func holds(c *ack.Condition) bool { return c != nil && c.Status == corev1.ConditionTrue }

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// maxLine bounds a foreign message within ours, in bytes.
const maxLine = 512

// line makes a foreign message fit to be part of ours: one line, bounded.
func line(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxLine {
		message = strings.ToValidUTF8(message[:maxLine], "") + "…"
	}
	return message
}
