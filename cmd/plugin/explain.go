package plugin

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// Request is what the API server was asked for.
type Request struct {
	// Verb and Resource as RBAC has them: create, yanks.
	Verb, Resource string
	// Kind is what the object is called in a message: Yank, lane.
	Kind string
	// Role is the cluster role that allows it.
	Role string
}

// Explain turns the API server's refusal into what a person needs to know: what
// was refused, where, and what to do next.
func (k *Cluster) Explain(err error, r Request) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		if utilnet.IsConnectionRefused(err) || utilnet.IsTimeout(err) {
			return fmt.Errorf("cannot reach the API server at %s: %w", k.Host, err)
		}
		return err
	}
	details := status.Status().Details
	switch {
	case Absent(err):
		return fmt.Errorf("the cluster at %s does not know %s.%s: the platform lane operator is not installed there, or this is another cluster than you mean", k.Host, r.Resource, v1alpha1.GroupVersion.Group)
	case apierrors.IsNotFound(err) && details != nil && details.Kind == "namespaces":
		return fmt.Errorf("there is no namespace %s; choose the vendor's with -n", details.Name)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server at %s does not know you: log in again, or check the user of the kubeconfig's context", k.Host)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot "+r.Verb+" resource "):
		return fmt.Errorf("%w; ask for the cluster role %s in that namespace", err, r.Role)
	case apierrors.IsInvalid(err) && details != nil && len(details.Causes) > 0:
		var lines strings.Builder
		for _, cause := range details.Causes {
			fmt.Fprintf(&lines, "\n  %s", CauseLine(cause.Field, cause.Message))
		}
		return fmt.Errorf("the API server refuses the %s:%s", r.Kind, lines.String())
	default:
		return err
	}
}

// Absent is true when the API server has no such resource at all: then its
// answer is a plain page and no Status.
func Absent(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// CauseLine is "field: message" without the value that the rule looked at,
// which for a whole object reads as noise.
func CauseLine(field, message string) string {
	const lead = "Invalid value: "
	if rest, found := strings.CutPrefix(message, lead); found {
		message = strings.TrimPrefix(rest, "null: ")
		if quoted, err := strconv.QuotedPrefix(rest); err == nil {
			message = strings.TrimPrefix(rest[len(quoted):], ": ")
		}
	}
	if field == "" || field == "<nil>" {
		return message
	}
	return field + ": " + message
}
