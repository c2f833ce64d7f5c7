package main

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// fieldManager owns the fields that this program sets.
const fieldManager = "kubectl-create-yank"

// asks is what the API server is asked for, for the explanation of a refusal.
func asks(verb, resource string) plugin.Request {
	return plugin.Request{Verb: verb, Resource: resource, Kind: "Yank", Role: "platform-lane-yanker"}
}

// create stores the Yank, or with dryRun lets the API server judge it, and
// fills it with what the API server made of it.
func create(ctx context.Context, k *plugin.Cluster, y *v1alpha1.Yank, dryRun bool) error {
	if err := checkLane(ctx, k, y); err != nil {
		return err
	}
	options := []client.CreateOption{client.FieldOwner(fieldManager), client.FieldValidation("Strict")}
	if dryRun {
		options = append(options, client.DryRunAll)
	}
	err := k.Client.Create(ctx, y, options...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &plugin.ExitError{Code: plugin.ExitInterrupted, Err: fmt.Errorf("interrupted while the Yank was being created; see whether it is there: kubectl get yank %s -n %s", y.Name, y.Namespace)}
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("a Yank %s/%s exists already; choose another --name, or raise the mode of the one there: kubectl patch yank %s -n %s --type merge -p '{\"spec\":{\"mode\":%q}}'",
			y.Namespace, y.Name, y.Name, y.Namespace, y.Spec.Mode)
	}
	return k.Explain(err, asks("create", "yanks"))
}

// checkLane refuses a lane that is not there, naming those that are. Who may
// not read lanes is not held up: the operator checks again.
func checkLane(ctx context.Context, k *plugin.Cluster, y *v1alpha1.Yank) error {
	name := y.Spec.LaneRef.Name
	err := k.Client.Get(ctx, client.ObjectKey{Namespace: y.Namespace, Name: name}, &v1alpha1.PlatformLane{})
	switch {
	case err == nil || apierrors.IsForbidden(err):
		return nil
	case ctx.Err() != nil:
		return &plugin.ExitError{Code: plugin.ExitInterrupted, Err: errors.New("interrupted; nothing was created")}
	case !apierrors.IsNotFound(err) || plugin.Absent(err):
		return k.Explain(err, asks("get", "platformlanes"))
	}
	return k.NoSuchLane(ctx, y.Namespace, name)
}
