package yank

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/yankplan"
)

// RulesOf are the Yanks in force in a lane, as the index engine applies them to
// later uploads. A plan is no rule, nor is a Yank that is being deleted.
func RulesOf(ctx context.Context, c client.Reader, lane *v1alpha1.PlatformLane, now time.Time) ([]index.Rule, error) {
	var list v1alpha1.YankList
	if err := c.List(ctx, &list, client.InNamespace(lane.Namespace)); err != nil {
		return nil, fmt.Errorf("list the yanks of lane %s/%s: %w", lane.Namespace, lane.Name, err)
	}
	var rules []index.Rule
	for i := range list.Items {
		y := &list.Items[i]
		if y.Spec.LaneRef.Name != lane.Name || y.Spec.Execution != v1alpha1.ExecutionExecute || !y.DeletionTimestamp.IsZero() {
			continue
		}
		selector, err := yankplan.Compile(y.Spec.Selector)
		if err != nil {
			// The Yank itself says so; the others stay in force.
			log.FromContext(ctx).Info("yank with an unreadable selector is no rule", "yank", y.Name, "error", err.Error())
			continue
		}
		rules = append(rules, index.Rule{Selector: selector, Tombstone: Tombstone(y, now), InForce: inForce(ctx, c, y)})
	}
	return rules, nil
}

// inForce looks a Yank up again. One that cannot be read is taken to stand.
func inForce(ctx context.Context, c client.Reader, was *v1alpha1.Yank) func() bool {
	return func() bool {
		now := &v1alpha1.Yank{}
		err := c.Get(ctx, client.ObjectKeyFromObject(was), now)
		if apierrors.IsNotFound(err) {
			return false
		}
		return err != nil || now.UID == was.UID && now.DeletionTimestamp.IsZero()
	}
}
