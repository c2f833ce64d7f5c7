package story

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// readyWithin bounds how long a lane may take until it is Ready.
const readyWithin = 30 * time.Second

func (w *World) lanes() Chapter {
	return Chapter{"Release engineering admits two vendors", []Step{
		{"two lane manifests are applied from config/samples", w.applyLanes},
		{"both lanes are Ready: IAM holds a role for each, made by the ACK controller", w.lanesReady},
		{"the lanes can be read at a glance", func(ctx context.Context) (string, error) {
			return w.Kubectl(ctx, "get", "platformlanes", "-A")
		}},
	}}
}

func (w *World) applyLanes(ctx context.Context) (string, error) {
	samples := filepath.Join(w.Root, "config", "samples")
	out, err := w.Kubectl(ctx, "apply", "-f", filepath.Join(samples, "namespaces.yaml"))
	if err != nil {
		return out, err
	}
	return w.Kubectl(ctx, "apply", "-f", filepath.Join(samples, spyre.sample), "-f", filepath.Join(samples, rbln.sample))
}

func (w *World) lanesReady(ctx context.Context) (string, error) {
	var shown []string
	for _, name := range []laneName{spyre, rbln} {
		lane, err := w.waitLane(ctx, name, v1alpha1.ReadyCondition, v1alpha1.ReasonReady)
		if err != nil {
			return "", err
		}
		calls, err := w.Stack.Calls(ctx)
		if err != nil {
			return "", err
		}
		if calls["iam"]["CreateRole"] == 0 {
			return "", fmt.Errorf("IAM was never asked to create a role: %v", calls["iam"])
		}
		shown = append(shown, lane.Status.Role.ARN)
	}
	return strings.Join(shown, "\n"), nil
}

// waitLane waits until a condition of a lane is True with this reason.
func (w *World) waitLane(ctx context.Context, name laneName, kind, reason string) (lane *v1alpha1.PlatformLane, err error) {
	err = eventually(ctx, readyWithin, func(ctx context.Context) error {
		if lane, err = w.lane(ctx, name); err != nil {
			return err
		}
		got := meta.FindStatusCondition(lane.Status.Conditions, kind)
		if got == nil || got.Status != "True" || got.Reason != reason || got.ObservedGeneration != lane.Generation {
			return fmt.Errorf("lane %s is not %s/%s: %+v", name.name, kind, reason, lane.Status.Conditions)
		}
		return nil
	})
	return lane, err
}
