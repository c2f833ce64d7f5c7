package platformlane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
)

// pendingPause is how soon files that a sync left over are taken up: at once,
// but never in a tight loop.
const pendingPause = 100 * time.Millisecond

// Indexer syncs the index of lanes that hold their prefixes: when something
// changes in the bucket, when the lane changes, and on a schedule.
type Indexer struct {
	Client client.Client
	Engine *index.Engine
	// Poll is how often a lane is listed without a reason.
	Poll time.Duration
	// AtOnce is how many lanes are synced in parallel.
	AtOnce int
	// RulesOf are the Yanks in force in a lane.
	RulesOf func(ctx context.Context, lane *v1alpha1.PlatformLane) ([]index.Rule, error)
	// Wake brings lanes whose bucket folder changed.
	Wake <-chan event.GenericEvent
	// Synced is told about every lane that was synced; FilesChanged about those
	// whose files or catalogs changed, for the sake of their Yanks.
	Synced       func(*v1alpha1.PlatformLane)
	FilesChanged func(context.Context, *v1alpha1.PlatformLane)

	results *results
}

// Reconcile syncs every channel of one lane. One channel's failure does not keep
// the others back; it is tried again with growing pauses.
func (x *Indexer) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	lane := &v1alpha1.PlatformLane{}
	if err := x.Client.Get(ctx, req.NamespacedName, lane); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !lane.DeletionTimestamp.IsZero() || !holdsPrefixes(lane) {
		x.results.drop(lane.UID)
		return ctrl.Result{}, nil
	}
	rules, err := x.RulesOf(ctx, lane)
	if err != nil {
		return ctrl.Result{}, err
	}
	work := index.Lane{Platform: lane.Spec.Platform, Packages: lane.Spec.Packages, Rules: rules}
	got := result{generation: lane.Generation}
	changed := false
	var errs []error
	for _, channel := range lane.Spec.Channels {
		report, err := x.Engine.Sync(ctx, work, channel.Name)
		got.reports = append(got.reports, report)
		changed = changed || report.Wrote || report.Resurfaced
		if err != nil {
			errs = append(errs, fmt.Errorf("channel %s: %w", channel.Name, err))
		}
		if err != nil || report.Pending > 0 {
			got.blind = got.blind || report.Projects == 0 && len(report.Rejected) == 0
		}
	}
	got.err = errors.Join(errs...)
	x.results.set(lane.UID, got)
	x.Synced(lane)
	if changed {
		log.FromContext(ctx).Info("index changed", "platform", lane.Spec.Platform)
		x.FilesChanged(ctx, lane)
	}
	if err := errors.Join(got.err, got.mirrorErr(), got.purgeErr()); err != nil {
		return ctrl.Result{}, err
	}
	if got.pending() > 0 {
		return ctrl.Result{RequeueAfter: pendingPause}, nil
	}
	return ctrl.Result{RequeueAfter: x.Poll}, nil
}

// SetupWithManager registers the indexer.
func (x *Indexer) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("laneindex").
		For(&v1alpha1.PlatformLane{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, claimChanged))).
		WatchesRawSource(source.Channel(x.Wake, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: x.AtOnce}).
		Complete(x)
}

// claimChanged passes lanes that have just got or lost their prefixes.
var claimChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.PlatformLane)
		after, ok2 := e.ObjectNew.(*v1alpha1.PlatformLane)
		return ok1 && ok2 && holdsPrefixes(before) != holdsPrefixes(after)
	},
}

func holdsPrefixes(lane *v1alpha1.PlatformLane) bool {
	return meta.IsStatusConditionTrue(lane.Status.Conditions, v1alpha1.ClaimedCondition)
}
