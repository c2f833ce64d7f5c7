package yank

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/probe"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// resync is how often a finished Yank is looked at again without a reason.
const resync = time.Hour

// Reconciler carries out Yanks.
type Reconciler struct {
	Client   client.Client
	Engine   *index.Engine
	Prober   *probe.Prober
	Recorder events.EventRecorder
	Now      func() time.Time
	// AtOnce is how many Yanks are worked on in parallel.
	AtOnce int
	// Wake brings Yanks whose lane's files changed.
	Wake <-chan event.GenericEvent
	// PublishedFor is called when a Yank has changed what its lane lists.
	PublishedFor func(lane *v1alpha1.PlatformLane)
}

// owned are the conditions that every Yank has, in the order of the steps. The
// one about the bytes stands between the first two and the last two.
func owned(mode v1alpha1.YankMode) []string {
	kinds := []string{v1alpha1.AcceptedCondition, v1alpha1.IndexRemovedCondition}
	if block := v1alpha1.BlockConditionFor(mode); block != "" {
		kinds = append(kinds, block)
	}
	return append(kinds, v1alpha1.CachesPurgedCondition, v1alpha1.VerifiedCondition)
}

// stalled are the reasons that only a person can mend.
var stalled = []string{
	v1alpha1.ReasonInvalidSelector, v1alpha1.ReasonObjectLocked, v1alpha1.ReasonHostedElsewhere,
}

// +kubebuilder:rbac:groups=distribution.pytorch.org,resources=yanks,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=distribution.pytorch.org,resources=yanks/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=distribution.pytorch.org,resources=yanks/finalizers,verbs=update
// +kubebuilder:rbac:groups=distribution.pytorch.org,resources=platformlanes,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile takes one Yank as far as it gets: resolve, tombstone and publish,
// bytes, purge, verify. Each step returns early when it is done already.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	y := &v1alpha1.Yank{}
	if err := r.Client.Get(ctx, req.NamespacedName, y); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !y.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, y)
	}
	if !controllerutil.ContainsFinalizer(y, v1alpha1.YankFinalizer) {
		before := y.DeepCopy()
		controllerutil.AddFinalizer(y, v1alpha1.YankFinalizer)
		if err := r.Client.Patch(ctx, y, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return ctrl.Result{}, reconcilekit.LostRace(err)
		}
	}

	s := newScope(y, r.Now())
	before := y.DeepCopy()
	result, err := r.run(ctx, s)
	s.summarise()
	if patchErr := reconcilekit.PatchStatus(ctx, r.Client, before, y); patchErr != nil {
		return ctrl.Result{}, errors.Join(err, reconcilekit.LostRace(patchErr))
	}
	r.announce(ctx, before, y)
	return result, err
}

// step does one thing and sets its condition. It is done, or says when to look
// again, or fails and is tried again with growing pauses.
type step struct {
	condition string
	do        func(context.Context, *scope) (done bool, again time.Duration, err error)
}

// run takes the steps in order and stops at the first that is not done. What
// was true of the steps behind it counts no longer: Ready must never rest on a
// probe of yesterday.
func (r *Reconciler) run(ctx context.Context, s *scope) (ctrl.Result, error) {
	for _, step := range []step{
		{v1alpha1.AcceptedCondition, r.resolve},
		{v1alpha1.IndexRemovedCondition, r.bury},
		{v1alpha1.IndexRemovedCondition, r.publish},
		{v1alpha1.BlockConditionFor(s.mode()), r.removeBytes},
		{v1alpha1.CachesPurgedCondition, r.purge},
		{v1alpha1.VerifiedCondition, r.verify},
	} {
		done, again, err := step.do(ctx, s)
		if done && err == nil {
			continue
		}
		if err != nil && s.conds.Is(step.condition) {
			s.conds.Unknown(step.condition, v1alpha1.ReasonProgressing, first(err)+"; it is tried again")
		}
		s.waitsFor(step.condition)
		if err != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{RequeueAfter: again}, nil
	}
	return ctrl.Result{RequeueAfter: resync}, nil
}

// announce tells users about conditions that changed, once they are stored.
func (r *Reconciler) announce(ctx context.Context, before, after *v1alpha1.Yank) {
	for _, now := range reconcilekit.News(before.Status.Conditions, after.Status.Conditions) {
		kind := corev1.EventTypeNormal
		if now.Status != "True" {
			kind = corev1.EventTypeWarning
		}
		log.FromContext(ctx).Info("condition changed", "condition", now.Type, "status", now.Status, "reason", now.Reason, "message", now.Message)
		r.Recorder.Eventf(after, nil, kind, now.Reason, now.Type, "%s", short(now.Message))
	}
}

// short fits a message into an Event, which takes 1,024 bytes.
func short(message string) string { return reconcilekit.Cut(message, 1000) }

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("yank").
		For(&v1alpha1.Yank{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.PlatformLane{}, handler.EnqueueRequestsFromMapFunc(r.yanksOf), builder.WithPredicates(claimChanged)).
		WatchesRawSource(source.Channel(r.Wake, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: r.AtOnce}).
		Complete(r)
}

// claimChanged passes lanes that appear or whose claim changes: until then a
// Yank of theirs waits.
var claimChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*v1alpha1.PlatformLane)
		after, ok2 := e.ObjectNew.(*v1alpha1.PlatformLane)
		return ok1 && ok2 && claimed(before) != claimed(after)
	},
}

// yanksOf are the Yanks that refer to a lane.
func (r *Reconciler) yanksOf(ctx context.Context, lane client.Object) []reconcile.Request {
	var list v1alpha1.YankList
	if err := r.Client.List(ctx, &list, client.InNamespace(lane.GetNamespace())); err != nil {
		log.FromContext(ctx).Error(err, "list yanks of the lane", "lane", client.ObjectKeyFromObject(lane))
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if list.Items[i].Spec.LaneRef.Name == lane.GetName() {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}

// store is the one that holds catalogs and records.
func (r *Reconciler) store() objectstore.Store { return r.Engine.Primary().Store }
