package story

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/job"
)

func (w *World) suspension() Chapter {
	return Chapter{"A leaked credential: the lane is suspended", []Step{
		{"a credential of the other vendor works a moment ago", func(ctx context.Context) (string, error) {
			r := wheelOf(rbln, "2.9.2", "py3-none-any", 0)
			return r.key(), w.jobs[rbln.name].Put(ctx, r.key(), r.bytes())
		}},
		{"its lane is suspended: one field", func(ctx context.Context) (string, error) {
			return w.setAccess(ctx, v1alpha1.AccessSuspended, v1alpha1.ReasonSuspended)
		}},
		{"the very same credential cannot upload any more", w.deadSession},
		{"what it published stays installable", func(ctx context.Context) (string, error) {
			return w.installs(ctx, rival)
		}},
		{"the lane is resumed: a new session works, the old one stays dead", w.resumed},
	}}
}

func (w *World) deletion() Chapter {
	return Chapter{"A vendor leaves: the lane is deleted", []Step{
		{"the lane is deleted", func(ctx context.Context) (string, error) {
			return w.Kubectl(ctx, "delete", "lane", rbln.name, "-n", rbln.namespace, "--timeout=30s")
		}},
		{"its role is gone from IAM, and with it every credential", w.roleGone},
		{"its index lists nothing, and still answers, so that nobody falls through to another index", w.indexEmpty},
		{"the other lane is untouched", func(ctx context.Context) (string, error) {
			if _, err := w.waitLane(ctx, spyre, v1alpha1.ReadyCondition, v1alpha1.ReasonReady); err != nil {
				return "", err
			}
			return w.installs(ctx, current)
		}},
	}}
}

func (w *World) setAccess(ctx context.Context, access v1alpha1.Access, reason string) (string, error) {
	out, err := w.Kubectl(ctx, "patch", "lane", rbln.name, "-n", rbln.namespace, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"access":%q}}`, access))
	if err != nil {
		return out, err
	}
	_, err = w.waitLane(ctx, rbln, v1alpha1.CredentialsReadyCondition, reason)
	return out, err
}

func (w *World) deadSession(ctx context.Context) (string, error) {
	r := wheelOf(rbln, "2.9.3", "py3-none-any", 0)
	return refusedBy(w.jobs[rbln.name].Put(ctx, r.key(), r.bytes()), denied)
}

func (w *World) resumed(ctx context.Context) (string, error) {
	if out, err := w.setAccess(ctx, v1alpha1.AccessActive, v1alpha1.ReasonRoleSynced); err != nil {
		return out, err
	}
	if _, err := w.deadSession(ctx); err != nil {
		return "", err
	}
	lane, err := w.lane(ctx, rbln)
	if err != nil {
		return "", err
	}
	session, err := job.Assume(ctx, &w.Stack.Info, lane.Status.Role.ARN, job.ClaimsOf(lane))
	if err != nil {
		return "", err
	}
	r := wheelOf(rbln, "2.9.4", "py3-none-any", 0)
	// A session counts as new from the next second on: IAM's clock has no parts
	// of seconds.
	return r.key(), eventually(ctx, readyWithin, func(ctx context.Context) error {
		err := session.Put(ctx, r.key(), r.bytes())
		if err != nil {
			var again error
			if session, again = job.Assume(ctx, &w.Stack.Info, lane.Status.Role.ARN, job.ClaimsOf(lane)); again != nil {
				return again
			}
		}
		return err
	})
}

func (w *World) roleGone(ctx context.Context) (string, error) {
	if _, err := w.lane(ctx, rbln); !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("the lane is still there: %v", err) //nolint:errorlint // nil is one of the cases.
	}
	if out, err := w.Kubectl(ctx, "get", "roles.iam.services.k8s.aws", "-n", rbln.namespace, "-o", "name"); err != nil || out != "" && !strings.Contains(out, "No resources") {
		return "", fmt.Errorf("roles are left: %s %w", out, err)
	}
	lane := &v1alpha1.PlatformLane{}
	lane.Status.Role.ARN = fmt.Sprintf("arn:aws:iam::%s:role/platform-lanes/platform-lane-%s", w.Stack.AccountID, rbln.name)
	other, err := w.lane(ctx, spyre)
	if err != nil {
		return "", err
	}
	_, err = job.Assume(ctx, &w.Stack.Info, lane.Status.Role.ARN, job.ClaimsOf(other))
	if _, err := refusedBy(err, denied, "NoSuchEntity"); err != nil {
		return "", err
	}
	return w.deadSessionIsGone(ctx)
}

// deadSessionIsGone tries a session of the role that is no more.
func (w *World) deadSessionIsGone(ctx context.Context) (string, error) {
	r := wheelOf(rbln, "2.9.5", "py3-none-any", 0)
	return refusedBy(w.jobs[rbln.name].Put(ctx, r.key(), r.bytes()), denied, "InvalidAccessKeyId", "ExpiredToken", "InvalidToken", "InvalidClientTokenId")
}

func (w *World) indexEmpty(ctx context.Context) (string, error) {
	// The CDN was asked to drop its copies and takes a moment.
	err := eventually(ctx, listedWithin, func(ctx context.Context) error {
		status, page, err := get(ctx, w.pageURL(rival))
		if err == nil && (status != http.StatusOK || strings.Contains(page, ".whl")) {
			err = fmt.Errorf("status %d, and the page still lists something: %s", status, page)
		}
		return err
	})
	return "200, no files: " + w.pageURL(rival), err
}
