package access

import (
	"fmt"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// Problem is something that a lane asks for and does not get.
type Problem struct {
	// Reason is the reason for the lane's CredentialsReady condition:
	// NoPublishers, UnknownIssuer, UnsupportedPublisher, AccessKeysDisabled,
	// UnsafeValue or DocumentTooLarge of the API package.
	Reason string
	// Field is the path of the value in the manifest, such as
	// spec.publishers[ci].oidc.issuer, or of the setting in the operator's
	// configuration.
	Field string
	// Message says what is wrong and what to do about it.
	Message string
}

func (p Problem) Error() string { return p.Field + ": " + p.Message }

// Problems are all that was found, in the order of the manifest. As an error it
// is never empty.
type Problems []Problem

func (ps Problems) Error() string {
	messages := make([]string, len(ps))
	for i, p := range ps {
		messages[i] = p.Error()
	}
	return strings.Join(messages, "; ")
}

// Reason is the reason of the gravest problem: one that leaves the lane without
// a role before one that leaves out a publisher.
func (ps Problems) Reason() string {
	for _, reason := range []string{
		v1alpha1.ReasonUnsafeValue, v1alpha1.ReasonDocumentTooLarge,
		v1alpha1.ReasonUnknownIssuer, v1alpha1.ReasonUnsupportedPublisher, v1alpha1.ReasonAccessKeysDisabled,
	} {
		for _, p := range ps {
			if p.Reason == reason {
				return reason
			}
		}
	}
	return v1alpha1.ReasonNoPublishers
}

// err is nil without problems.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

func problemf(reason, field, format string, args ...any) Problem {
	return Problem{Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}
