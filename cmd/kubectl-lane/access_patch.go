package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// fieldManager owns the fields that this program sets.
const fieldManager = "kubectl-lane"

// conflicts is how often a lane that somebody else writes meanwhile is tried
// again.
var conflicts = wait.Backoff{Steps: 10, Duration: 10 * time.Millisecond, Factor: 1.5, Jitter: 0.2}

// editing is the request for a lane's change, for the explanation of a refusal.
func editing(verb string) plugin.Request {
	return plugin.Request{Verb: verb, Resource: "platformlanes", Kind: "change", Role: "platform-lane-editor"}
}

// change sets access and its reason in one request and returns the lane as it is
// then. It does not insist on the version that it has read: the operator writes
// lanes all the time, and a suspension is not to lose a race against a status.
func (c *changeAccess) change(ctx context.Context, cluster *plugin.Cluster, namespace string) (*v1alpha1.PlatformLane, error) {
	lane := &v1alpha1.PlatformLane{}
	err := retry.RetryOnConflict(conflicts, func() error {
		*lane = v1alpha1.PlatformLane{}
		if err := cluster.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: c.lane}, lane); err != nil {
			return err
		}
		if lane.Spec.Access == c.access && lane.Annotations[v1alpha1.AccessReasonAnnotation] == c.reason {
			return nil // said before, in the same words
		}
		err := c.patch(ctx, cluster.Client, lane)
		if apierrors.IsInvalid(err) && c.said(ctx, cluster.Client, lane) {
			return nil
		}
		return err
	})
	switch {
	case err == nil:
		return lane, nil
	case ctx.Err() != nil:
		return nil, &plugin.ExitError{Code: plugin.ExitInterrupted, Err: fmt.Errorf("interrupted while the lane was being changed; see whether it is %s: kubectl get lane %s -n %s", past(c.access), c.lane, namespace)}
	case apierrors.IsNotFound(err) && !plugin.Absent(err):
		return nil, cluster.NoSuchLane(ctx, namespace, c.lane)
	case lane.Name == "":
		return nil, cluster.Explain(err, editing("get"))
	}
	return nil, cluster.Explain(err, editing("patch"))
}

// said reads the lane again and tells whether somebody else has said the same in
// the same words meanwhile: then there is nothing left to sign, and the policies
// refuse it.
func (c *changeAccess) said(ctx context.Context, cl client.Client, lane *v1alpha1.PlatformLane) bool {
	err := cl.Get(ctx, client.ObjectKeyFromObject(lane), lane)
	return err == nil && lane.Spec.Access == c.access && lane.Annotations[v1alpha1.AccessReasonAnnotation] == c.reason
}

// patch sends the change and fills the lane with the answer.
func (c *changeAccess) patch(ctx context.Context, cl client.Client, lane *v1alpha1.PlatformLane) error {
	if c.dryRun == plugin.DryRunClient {
		lane.Spec.Access = c.access
		if lane.Annotations == nil {
			lane.Annotations = map[string]string{}
		}
		lane.Annotations[v1alpha1.AccessReasonAnnotation] = c.reason
		delete(lane.Annotations, v1alpha1.AccessChangedByAnnotation)
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"annotations": map[string]any{
				v1alpha1.AccessReasonAnnotation: c.reason,
				// Who asked for the last change did not ask for this one, and the
				// reason is meant for this one even if it reads like the last.
				v1alpha1.AccessChangedByAnnotation: nil,
			},
		},
		"spec": map[string]any{"access": c.access},
	})
	if err != nil {
		return err
	}
	options := []client.PatchOption{client.FieldOwner(fieldManager), client.FieldValidation("Strict")}
	if c.dryRun == plugin.DryRunServer {
		options = append(options, client.DryRunAll)
	}
	name, namespace := lane.Name, lane.Namespace
	*lane = v1alpha1.PlatformLane{}
	lane.Name, lane.Namespace = name, namespace
	return cl.Patch(ctx, lane, client.RawPatch(types.MergePatchType, patch), options...)
}
