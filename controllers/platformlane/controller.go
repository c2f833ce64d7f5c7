package platformlane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
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
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// platformIndex is the cache's index of lanes by platform.
const platformIndex = "spec.platform"

// resync is how often a lane is looked at without a reason.
const resync = 10 * time.Minute

// Roles keeps the lanes' IAM roles.
type Roles interface {
	// Apply makes the lane's role what it should be and tells how it stands. It
	// writes nothing if nothing differs.
	Apply(ctx context.Context, lane *v1alpha1.PlatformLane, role access.Role) (ackrole.Observation, error)
	// Observe tells how the lane's role stands and writes nothing.
	Observe(ctx context.Context, lane *v1alpha1.PlatformLane, name string) (ackrole.Observation, error)
	// Delete asks for the role's deletion and says whether it is gone.
	Delete(ctx context.Context, lane *v1alpha1.PlatformLane, name string) (gone bool, err error)
}

// Reconciler sees to a lane's claim and credentials, and writes its status.
type Reconciler struct {
	Client   client.Client
	Roles    Roles
	Engine   *index.Engine
	Recorder events.EventRecorder
	Now      func() time.Time
	// Access are the settings the role's documents are made with.
	Access access.Settings
	// AccessKeys hands out access keys.
	AccessKeys AccessKeys
	// ClusterID tells this cluster from others on the same bucket.
	ClusterID string
	// PublicBaseURL is the address users are told.
	PublicBaseURL string
	// ReservedPlatforms are names that no lane may have here.
	ReservedPlatforms []string
	// Wake brings lanes whose index was synced.
	Wake <-chan event.GenericEvent
	// Health is what is known of the stores.
	Health *Health

	results  *results
	claims   *trusted
	keyLooks *keyLooks
}

// Connect makes the memory that a reconciler and its indexer share.
func Connect(r *Reconciler, x *Indexer) {
	r.results, r.claims, r.keyLooks = newResults(), &trusted{at: map[types.UID]time.Time{}}, newKeyLooks()
	x.results = r.results
}

// stalled are the reasons that only a person can mend.
var stalled = []string{
	v1alpha1.ReasonReservedName, v1alpha1.ReasonForeignObjects, v1alpha1.ReasonNoPublishers, v1alpha1.ReasonUnknownIssuer,
	v1alpha1.ReasonUnsupportedPublisher, v1alpha1.ReasonDocumentTooLarge, v1alpha1.ReasonUnsafeValue,
	v1alpha1.ReasonRoleUnreadable, v1alpha1.ReasonRoleConflict, v1alpha1.ReasonRoleTerminal,
	v1alpha1.ReasonAccessKeysDisabled, v1alpha1.ReasonAccessKeyConflict, v1alpha1.ReasonSecretUnwritable, v1alpha1.ReasonSecretConflict,
	v1alpha1.ReasonOverlapsAnotherLane,
	v1alpha1.ReasonBucketMissing, v1alpha1.ReasonBucketUnversioned,
}

// +kubebuilder:rbac:groups=distribution.pytorch.org,resources=platformlanes,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=distribution.pytorch.org,resources=platformlanes/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=distribution.pytorch.org,resources=platformlanes/finalizers,verbs=update
// +kubebuilder:rbac:groups=distribution.pytorch.org,resources=yanks,verbs=get;list;watch
// +kubebuilder:rbac:groups=iam.services.k8s.aws,resources=roles,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=namespaces,resourceNames=kube-system,verbs=get

// Reconcile takes one lane through its steps: claim, credentials, storage,
// index. Credentials do not wait for the stores or the index; only a lane that
// does not hold its prefixes gets no further than the first step.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	lane := &v1alpha1.PlatformLane{}
	if err := r.Client.Get(ctx, req.NamespacedName, lane); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !lane.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, lane)
	}
	if !controllerutil.ContainsFinalizer(lane, v1alpha1.LaneFinalizer) {
		before := lane.DeepCopy()
		controllerutil.AddFinalizer(lane, v1alpha1.LaneFinalizer)
		if err := r.Client.Patch(ctx, lane, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
			return ctrl.Result{}, reconcilekit.LostRace(err)
		}
	}

	s := newScope(lane, r.Now())
	before := lane.DeepCopy()
	s.noteAccessChange()
	stored, err := r.recordSuspension(ctx, before, lane)
	if err != nil {
		return ctrl.Result{}, reconcilekit.LostRace(err)
	}
	again, err := r.run(ctx, s)
	s.summarise()
	if patchErr := reconcilekit.PatchStatus(ctx, r.Client, stored, lane); patchErr != nil {
		return ctrl.Result{}, errors.Join(err, reconcilekit.LostRace(patchErr))
	}
	r.announce(ctx, before, lane)
	r.announceRetention(lane)
	return ctrl.Result{RequeueAfter: again}, err
}

// run takes the steps and returns when to look again. A lane that is known to
// hold its prefixes gets its credentials before any store is asked: suspending
// it must not wait for S3, not even for a timeout.
func (r *Reconciler) run(ctx context.Context, s *scope) (time.Duration, error) {
	held := holdsPrefixes(s.lane)
	var again time.Duration
	var credentialsErr error
	if held {
		again, credentialsErr = r.identity(ctx, s)
	}
	holds, wait, err := r.claim(ctx, s)
	again = soonest(again, wait)
	r.storage(s)
	if err != nil {
		return 0, errors.Join(credentialsErr, err) // Nothing is known: nobody loses anything.
	}
	if !holds {
		s.conds.Pending(v1alpha1.ClaimedCondition, v1alpha1.CredentialsReadyCondition, v1alpha1.IndexReadyCondition)
		if s.storageTrouble != nil {
			wait, err := r.suspendUnclaimed(ctx, s)
			return soonest(soonest(again, wait), resync), err
		}
		return soonest(again, resync), r.withdraw(ctx, s)
	}
	if !held {
		again, credentialsErr = r.identity(ctx, s)
		again = soonest(again, wait)
	}
	r.index(s)
	return soonest(again, resync), credentialsErr
}

// withdraw takes role and access key from a lane that does not hold its prefixes
// (any more). A lane whose claim could not be read keeps what it has.
func (r *Reconciler) withdraw(ctx context.Context, s *scope) error {
	key := r.dropAccessKey(ctx, s.lane)
	if key.reason != "" { // Its key is still there, and somebody may have to act.
		s.conds.Set(v1alpha1.CredentialsReadyCondition, key.status, key.reason, key.message)
	}
	gone, err := r.deleteRoles(ctx, s.lane)
	if gone && err == nil {
		s.lane.Status.Role = v1alpha1.RoleStatus{}
	}
	return errors.Join(err, key.err)
}

// suspendUnclaimed suspends a lane of which nobody knows whether it holds its
// prefixes, if it has a role: with its status lost, it must not wait for S3
// either. It makes no role, which might be another lane's in IAM.
func (r *Reconciler) suspendUnclaimed(ctx context.Context, s *scope) (time.Duration, error) {
	if s.lane.Spec.Access != v1alpha1.AccessSuspended || len(s.lane.Spec.Channels) == 0 {
		return 0, nil
	}
	seen, err := r.Roles.Observe(ctx, s.lane, r.Access.RoleName(s.lane.Spec.Platform))
	if err != nil || seen.State == ackrole.Missing || seen.State == ackrole.Conflict || seen.State == ackrole.Unreadable {
		return 0, err
	}
	return r.identity(ctx, s)
}

// announce tells users about conditions that changed, once they are stored.
func (r *Reconciler) announce(ctx context.Context, before, after *v1alpha1.PlatformLane) {
	for _, now := range reconcilekit.News(before.Status.Conditions, after.Status.Conditions) {
		kind := corev1.EventTypeNormal
		if now.Status != "True" || now.Reason == v1alpha1.ReasonFilesRejected {
			kind = corev1.EventTypeWarning
		}
		log.FromContext(ctx).Info("condition changed", "condition", now.Type, "status", now.Status, "reason", now.Reason, "message", now.Message)
		r.Recorder.Eventf(after, nil, kind, now.Reason, now.Type, "%s", reconcilekit.Cut(now.Message, 1000))
	}
	r.announceAccess(before, after)
	r.announceKey(before, after)
	r.announceRejections(before, after)
}

// announceRetention tells what retention did.
func (r *Reconciler) announceRetention(lane *v1alpha1.PlatformLane) {
	tell := func(reason, action, what string, f index.Files) {
		if f.Count > 0 {
			note := fmt.Sprintf("%d files (%d bytes) %s: %s", f.Count, f.Bytes, what, strings.Join(f.Keys, ", "))
			r.Recorder.Eventf(lane, nil, corev1.EventTypeNormal, reason, action, "%s", reconcilekit.Cut(note, 1000))
		}
	}
	did := r.results.takeRetired(lane.UID)
	tell("FilesExpired", "Unlist", "left the index because the lane no longer keeps them", did.expired)
	tell("FilesRemoved", "Delete", "were removed after they had left the index", did.removed)
}

// announceRejections names each newly rejected file to those who uploaded it.
func (r *Reconciler) announceRejections(before, after *v1alpha1.PlatformLane) {
	known := map[string]string{}
	for _, f := range before.Status.RejectedFiles {
		known[f.Key] = f.Reason
	}
	for _, f := range after.Status.RejectedFiles {
		if known[f.Key] != f.Reason {
			r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, "FileRejected", f.Reason, "%s", reconcilekit.Cut(f.Key+": "+f.Message, 1000))
		}
	}
}

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	byPlatform := func(o client.Object) []string {
		if lane, ok := o.(*v1alpha1.PlatformLane); ok {
			return []string{lane.Spec.Platform}
		}
		return nil
	}
	if err := mgr.GetFieldIndexer().IndexField(context.Background(), &v1alpha1.PlatformLane{}, platformIndex, byPlatform); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("platformlane").
		For(&v1alpha1.PlatformLane{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, accessReasonChanged))).
		Owns(ackrole.Kind()).
		Watches(&v1alpha1.PlatformLane{}, handler.EnqueueRequestsFromMapFunc(r.rivals), builder.WithPredicates(makesRoom)).
		WatchesRawSource(source.Channel(r.Wake, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8}).
		Complete(r)
}

// makesRoom passes lanes that are gone, or whose role is: whoever waits for their
// platform may have it now.
var makesRoom = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  disarmed,
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// rivals are the other lanes that want the same platform.
func (r *Reconciler) rivals(ctx context.Context, gone client.Object) []reconcile.Request {
	lane, ok := gone.(*v1alpha1.PlatformLane)
	if !ok {
		return nil
	}
	var list v1alpha1.PlatformLaneList
	if err := r.Client.List(ctx, &list, client.MatchingFields{platformIndex: lane.Spec.Platform}); err != nil {
		log.FromContext(ctx).Error(err, "list rival lanes", "platform", lane.Spec.Platform)
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}

// trusted remembers for a while which lanes were seen to hold their prefixes.
type trusted struct {
	mu sync.Mutex
	at map[types.UID]time.Time
}

func (t *trusted) fresh(uid types.UID, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.at[uid]
	return ok && now.Sub(at) < claimTrust
}

func (t *trusted) note(uid types.UID, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at[uid] = now
}

func (t *trusted) drop(uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.at, uid)
}

// store is the one that holds claims and catalogs.
func (r *Reconciler) store() objectstore.Store { return r.Engine.Primary().Store }

// soonest is the shorter of two waits; zero is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
