package platformlane

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// inClusterB tells which lanes of the one API server stand for those of another
// cluster: their namespaces.
type inClusterB map[string]bool

// cluster sees the lanes of one cluster only.
type cluster struct {
	client.Client
	has func(*v1alpha1.PlatformLane) bool
}

func (c cluster) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := c.Client.List(ctx, list, opts...); err != nil {
		return err
	}
	if lanes, ok := list.(*v1alpha1.PlatformLaneList); ok {
		lanes.Items = slices.DeleteFunc(lanes.Items, func(l v1alpha1.PlatformLane) bool { return !c.has(&l) })
	}
	return nil
}

// twoClusters are two operators on one bucket that know nothing of each other.
func twoClusters(t *testing.T) (a, b *world, laneA, laneB *v1alpha1.PlatformLane) {
	t.Helper()
	a = newWorld(t)
	b = &world{
		t: t, platform: a.platform, store: a.store, mirror: a.mirror, cdn: a.cdn, events: &recorder{}, clock: a.now(),
		roles: &roles{seen: ackrole.Observation{State: ackrole.Synced, ARN: a.roles.seen.ARN}, applied: map[string]access.Role{}},
		woken: make(chan event.GenericEvent, 64),
	}
	b.restart()
	b.reconciler.ClusterID = "cluster-b"
	other := inClusterB{}
	a.reconciler.Client = cluster{admin, func(l *v1alpha1.PlatformLane) bool { return !other[l.Namespace] }}
	b.reconciler.Client = cluster{admin, func(l *v1alpha1.PlatformLane) bool { return other[l.Namespace] }}
	laneA, laneB = a.lane(adopt), b.lane(adopt)
	other[laneB.Namespace] = true
	return a, b, laneA, laneB
}

func TestTwoClustersOnOneBucket(t *testing.T) {
	a, b, laneA, laneB := twoClusters(t)
	key := a.upload(v1alpha1.ChannelRelease, "2.9.0")
	a.ready(laneA)
	result := b.mustPass(laneB)
	b.want(laneB, "Claimed=False/HeldByAnother", "CredentialsReady=Unknown/Pending", "Reconciling=True/Progressing")
	for _, part := range []string{"cluster cluster-a", laneA.Namespace + "/" + laneA.Name, "delete that lane first"} {
		b.wantMessage(laneB, v1alpha1.ClaimedCondition, part)
	}
	if b.roles.has(laneB) || result.RequeueAfter == 0 || result.RequeueAfter > claimRetry {
		t.Errorf("the loser has a role: %v; it looks again after %s", b.roles.has(laneB), result.RequeueAfter)
	}
	for range 3 {
		a.later(time.Hour)
		b.later(time.Hour)
		a.mustPass(laneA)
		b.mustPass(laneB)
	}
	a.want(laneA, "Claimed=True/Claimed")
	b.want(laneB, "Claimed=False/HeldByAnother")

	// The end of the loser's lane touches nothing; the end of the holder's hands over.
	a.delete(laneA)
	a.mustPass(laneA)
	if !gone(laneA) {
		t.Fatalf("the holder is still there: %s", conditions(laneA))
	}
	b.ready(laneB)
	if !lists(b.store, key) || a.roles.has(laneA) || !b.roles.has(laneB) {
		t.Errorf("after the hand-over: listed %v, roles %v and %v", lists(b.store, key), a.roles.has(laneA), b.roles.has(laneB))
	}
}

func TestTwoClustersThatClaimAtOnceEndWithOneHolder(t *testing.T) {
	a, b, laneA, laneB := twoClusters(t)
	raced := false
	a.store.FailBefore(func(op, key string) error {
		if op == objectstore.OpPut && key == layout.ClaimKey(a.platform) && !raced {
			raced = true
			b.mustPass(laneB) // between a's decision and a's write
		}
		return nil
	})
	if _, err := a.pass(laneA); !errors.Is(err, reconcilekit.ErrAgain) || !raced {
		t.Errorf("the lost race ends in %v (raced: %v)", err, raced)
	}
	a.mustPass(laneA)
	a.want(laneA, "Claimed=False/HeldByAnother")
	b.want(laneB, "Claimed=True/Claimed")
	if a.roles.has(laneA) || !b.roles.has(laneB) {
		t.Errorf("roles: %v and %v", a.roles.has(laneA), b.roles.has(laneB))
	}
}

// The holder's cluster is lost: nobody but a person can know, and says so by
// removing the record.
func TestALostClusterIsReplacedByRemovingItsRecord(t *testing.T) {
	a, b, laneA, laneB := twoClusters(t)
	a.ready(laneA)
	b.mustPass(laneB)
	b.wantMessage(laneB, v1alpha1.ClaimedCondition, "if its cluster is gone, the object "+layout.ClaimKey(a.platform))
	b.later(24 * time.Hour)
	b.mustPass(laneB)
	b.want(laneB, "Claimed=False/HeldByAnother")
	if _, err := b.store.Delete(t.Context(), layout.ClaimKey(b.platform)); err != nil {
		t.Fatal(err)
	}
	b.ready(laneB)

	// It was not lost after all: it gives way, once it looks.
	a.later(time.Hour)
	a.mustPass(laneA)
	a.want(laneA, "Claimed=False/HeldByAnother")
	if a.roles.has(laneA) {
		t.Error("two clusters hold a role")
	}
}
