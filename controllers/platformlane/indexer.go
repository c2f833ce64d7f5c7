package platformlane

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/retention"
)

// pendingPause is how soon files that a sync left over are taken up: at once,
// but never in a tight loop. backgroundPause is how soon it looks for verdicts on
// large files that are being hashed behind it.
const (
	pendingPause    = 100 * time.Millisecond
	backgroundPause = 2 * time.Second
)

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
	// Upstreams know what other indexes say about the lanes' dependencies; nil if
	// no lane may have any.
	Upstreams *Upstreams
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
		x.Upstreams.Drop(lane.UID)
		return ctrl.Result{}, nil
	}
	rules, err := x.RulesOf(ctx, lane)
	if err != nil {
		return ctrl.Result{}, err
	}
	work := index.Lane{Platform: lane.Spec.Platform, Packages: lane.Spec.Packages, Profile: profileOf(lane), Rules: rules, Retention: retentionPolicies(lane),
		Publishers: lane.Spec.Publishers, ProvenanceRequired: lane.Spec.Provenance == v1alpha1.ProvenanceRequired,
	}
	got := result{lane: req.NamespacedName, generation: lane.Generation}
	work.Dependencies, got.troubles = x.Upstreams.Of(lane)
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
	if len(lane.Spec.Channels) > 0 && !slices.Contains(work.Profile.Channels, v1alpha1.ChannelRelease) {
		errs = append(errs, x.Engine.PublishFront(ctx, work))
	}
	got.err = errors.Join(errs...)
	x.results.set(lane.UID, got)
	x.Synced(lane)
	if changed {
		log.FromContext(ctx).Info("index changed", "platform", lane.Spec.Platform)
		x.FilesChanged(ctx, lane)
	}
	if err := errors.Join(got.err, got.mirrorErr(), got.purgeErr(), got.removalErr()); err != nil {
		return ctrl.Result{}, err
	}
	switch pending := got.pending(); {
	case pending > got.background():
		return ctrl.Result{RequeueAfter: pendingPause}, nil
	case pending > 0:
		return ctrl.Result{RequeueAfter: backgroundPause}, nil
	}
	return ctrl.Result{RequeueAfter: x.Poll}, nil
}

// profileOf is what the lane's pages tell people.
func profileOf(lane *v1alpha1.PlatformLane) pages.Profile {
	p := pages.Profile{
		Packages: lane.Spec.Packages, LatestSupportedRelease: lane.Spec.LatestSupportedRelease, Maintainers: lane.Spec.Maintainers,
	}
	for _, channel := range lane.Spec.Channels {
		p.Channels = append(p.Channels, channel.Name)
	}
	return p
}

// retentionPolicies are what the lane's channels keep.
func retentionPolicies(lane *v1alpha1.PlatformLane) map[v1alpha1.ChannelName]retention.Policy {
	policies := map[v1alpha1.ChannelName]retention.Policy{}
	for _, channel := range lane.Spec.Channels {
		policies[channel.Name] = retention.PolicyOf(channel)
	}
	return policies
}

// SetupWithManager registers the indexer.
func (x *Indexer) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("laneindex").
		For(&v1alpha1.PlatformLane{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, claimChanged, acceptanceChanged))).
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

// acceptanceChanged passes lanes whose dependencies somebody has looked at.
var acceptanceChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		const key = v1alpha1.AcceptDependenciesAnnotation
		return e.ObjectOld.GetAnnotations()[key] != e.ObjectNew.GetAnnotations()[key]
	},
}

func holdsPrefixes(lane *v1alpha1.PlatformLane) bool {
	return meta.IsStatusConditionTrue(lane.Status.Conditions, v1alpha1.ClaimedCondition)
}
