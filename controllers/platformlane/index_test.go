package platformlane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/events"
	eventsfake "github.com/pytorch/platform-lane-operator/controllers/events/fake"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/yankplan"
)

// failingLists cannot list anything.
type failingLists struct{ client.Client }

func (failingLists) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("the cache is not there")
}

func TestRejectedFilesAreListedUpToABoundAndAnnounced(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	for i := range 40 {
		w.store.Seed(fmt.Sprintf("whl/%s/torch-2.9.%02d+other-py3-none-any.whl", w.platform, i), []byte("x"), fake.SeedOptions{})
	}
	good := w.upload(v1alpha1.ChannelRelease, "2.9.0")
	_, err := w.sync(lane)
	w.must(err)
	w.mustPass(lane)
	w.want(lane, "IndexReady=True/FilesRejected", "Ready=True/Ready")
	if *lane.Status.RejectedFilesCount != 40 || len(lane.Status.RejectedFiles) != v1alpha1.MaxRejectedFiles || *lane.Status.FilesCount != 1 || !lists(w.store, good) {
		t.Errorf("%d rejected, %d shown, %d listed", *lane.Status.RejectedFilesCount, len(lane.Status.RejectedFiles), *lane.Status.FilesCount)
	}
	first := lane.Status.RejectedFiles[0]
	if first.Key != "whl/"+w.platform+"/torch-2.9.00+other-py3-none-any.whl" || first.Reason == "" || first.Message == "" {
		t.Errorf("rejected %+v", first)
	}
	if !w.events.has("Warning FileRejected " + first.Key) {
		t.Errorf("events %q", w.events.all)
	}
	// A store that is away takes nothing back of what is known, and what is known
	// is no news when it returns.
	said := len(w.events.all)
	w.store.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	if _, err := w.sync(lane); err == nil {
		t.Fatal("no error")
	}
	w.mustPass(lane)
	w.want(lane, "IndexReady=False/IndexFailed", "Ready=False/IndexFailed", "Reconciling=True/Progressing")
	w.wantMessage(lane, v1alpha1.IndexReadyCondition, "channel nightly: ")
	if *lane.Status.FilesCount != 1 || *lane.Status.RejectedFilesCount != 40 {
		t.Errorf("it forgot what it knew: %d, %d", *lane.Status.FilesCount, *lane.Status.RejectedFilesCount)
	}
	w.store.FailBefore(nil)
	_, err = w.sync(lane)
	w.must(err)
	w.mustPass(lane)
	for _, e := range w.events.all[said:] {
		if strings.Contains(e, "FileRejected "+first.Key) {
			t.Errorf("announced again: %s", e)
		}
	}
}

func TestWhatTheIndexLacksIsSaid(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	w.upload(v1alpha1.ChannelRelease, "2.9.0")

	w.mirror.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	if _, err := w.sync(lane); err == nil {
		t.Error("a mirror that is behind is not tried again")
	}
	w.mustPass(lane)
	w.want(lane, "IndexReady=False/MirrorBehind")
	w.wantMessage(lane, v1alpha1.IndexReadyCondition, "r2")
	w.mirror.FailBefore(nil)

	w.upload(v1alpha1.ChannelRelease, "2.9.1")
	w.cdn.FailBefore(func(string) error { return cdn.ErrThrottled })
	if _, err := w.sync(lane); err == nil {
		t.Error("a purge that is owed is not tried again")
	}
	w.mustPass(lane)
	w.want(lane, "IndexReady=False/PurgePending")
	w.cdn.FailBefore(nil)
	_, err := w.sync(lane)
	w.must(err)
	w.mustPass(lane)
	w.want(lane, "IndexReady=True/IndexPublished")
}

func TestTheIndexerHandsItsResultOn(t *testing.T) {
	w := newWorld(t)
	lane := w.lane()
	if result, err := w.sync(lane); err != nil || result != (ctrl.Result{}) || w.synced != 0 {
		t.Errorf("a lane without its prefixes is synced: %v, %v", result, err)
	}
	w.ready(lane)
	synced, changed := w.synced, w.changed
	result, err := w.sync(lane)
	w.must(err)
	if result.RequeueAfter != w.indexer.Poll || w.synced != synced+1 || w.changed != changed {
		t.Errorf("nothing changed: again after %s, synced %d, changed %d", result.RequeueAfter, w.synced-synced, w.changed-changed)
	}
	w.upload(v1alpha1.ChannelNightly, "2.9.0")
	_, err = w.sync(lane)
	w.must(err)
	if w.changed != changed+1 {
		t.Error("the Yanks are not told of a new file")
	}
	w.edit(lane, func(s *v1alpha1.PlatformLaneSpec) { s.LatestSupportedRelease = "2.9" })
	w.mustPass(lane)
	w.want(lane, "IndexReady=Unknown/IndexSyncing")
	w.indexer.RulesOf = func(context.Context, *v1alpha1.PlatformLane) ([]index.Rule, error) {
		return nil, errors.New("no rules")
	}
	if _, err := w.sync(lane); err == nil {
		t.Error("it syncs without knowing what was taken back")
	}
}

func TestTheRestOfManyFilesFollowsAtOnce(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	for i := range 3 {
		w.upload(v1alpha1.ChannelRelease, fmt.Sprintf("2.9.%d", i))
	}
	w.engine = index.New(w.engine.Primary(), w.engine.Targets()[1:], w.cdn, w.now, index.Limits{FilesPerPass: 2})
	w.indexer.Engine = w.engine
	result, err := w.sync(lane)
	w.must(err)
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("the rest waits %s", result.RequeueAfter)
	}
	w.mustPass(lane)
	w.want(lane, "IndexReady=Unknown/IndexSyncing")
	_, err = w.sync(lane)
	w.must(err)
	w.mustPass(lane)
	w.want(lane, "IndexReady=True/IndexPublished")
}

func TestAStandingYankAppliesToANewUpload(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	selector, err := yankplan.Compile(v1alpha1.YankSelector{Package: "torch"})
	w.must(err)
	w.rules = []index.Rule{{Selector: selector, Tombstone: catalog.Tombstone{UID: "u", Mode: v1alpha1.YankIndexRemoval, Reason: "bad"}}}
	key := w.upload(v1alpha1.ChannelRelease, "2.9.0")
	_, err = w.sync(lane)
	w.must(err)
	if lists(w.store, key) {
		t.Error("it is listed")
	}
}

func TestDeletionTakesTheRoleEvenWhenTheStoreIsDown(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	key := w.upload(v1alpha1.ChannelRelease, "2.9.0")
	_, err := w.sync(lane)
	w.must(err)
	w.store.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	w.delete(lane)
	if _, err := w.pass(lane); err == nil {
		t.Error("no error, and so no retry")
	}
	if w.roles.has(lane) {
		t.Fatal("the role waits for the store")
	}
	w.want(lane, "CredentialsReady=False/Deleting", "IndexReady=False/IndexFailed", "Ready=False/Deleting", "!Stalled")
	w.wantMessage(lane, v1alpha1.ReadyCondition, "bucket lanes")
	w.store.FailBefore(nil)
	w.roles.applied[lane.Namespace] = access.Role{Name: "lane-" + w.platform}
	w.roles.lingers = true
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=False/RoleDeleting", "IndexReady=False/Deleting")
	if lists(w.store, key) || lists(w.mirror, key) {
		t.Error("the index waits for the role")
	}
	if _, claimed := w.store.Contents()[layout.ClaimKey(w.platform)]; !claimed {
		t.Error("the platform is free while the role lives")
	}
	w.roles.lingers = false
	w.mustPass(lane)
	if !gone(lane) {
		t.Fatalf("still there: %s", conditions(lane))
	}
	contents := w.store.Contents()
	if _, claimed := contents[layout.ClaimKey(w.platform)]; claimed {
		t.Error("the claim is not released")
	}
	if _, kept := contents[key]; !kept {
		t.Error("deletionPolicy Retain removed bytes")
	}
	if !w.events.has("Normal Released") {
		t.Errorf("events %q", w.events.all)
	}
}

func TestDeletionPolicyDeleteRemovesTheBytes(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.DeletionPolicy = v1alpha1.DeletionDelete }))
	key := w.upload(v1alpha1.ChannelRelease, "2.9.0")
	_, err := w.sync(lane)
	w.must(err)
	w.delete(lane)
	w.mustPass(lane)
	for _, s := range []*fake.Store{w.store, w.mirror} {
		for v, err := range s.ListVersions(t.Context(), key) {
			w.must(err)
			t.Errorf("%s still holds %s", s.Bucket(), v.Key)
		}
		if _, page := s.Contents()["whl/"+w.platform+"/torch/index.html"]; !page {
			t.Errorf("%s: the page is gone: installers would fall through to another index", s.Bucket())
		}
	}
	if !gone(lane) {
		t.Error("still there")
	}
}

func TestALaneThatNeverHeldAnythingGoesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.store.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	lane := w.lane()
	w.mustPass(lane)
	w.delete(lane)
	w.mustPass(lane)
	if !gone(lane) {
		t.Error("it waits for a store that it never reached")
	}

	// One that was cut short between the claim and its status gives it back.
	w.store.FailBefore(nil)
	lane = w.lane()
	w.mustPass(lane)
	before := lane.DeepCopy()
	lane.Status.Conditions = nil
	w.must(admin.Status().Patch(t.Context(), lane, client.MergeFrom(before)))
	w.delete(lane)
	w.mustPass(lane)
	if _, claimed := w.store.Contents()[layout.ClaimKey(w.platform)]; claimed || !gone(lane) {
		t.Error("the claim stays behind")
	}
}

func TestALaneThatEndsLateLeavesItsSuccessorAlone(t *testing.T) {
	w := newWorld(t)
	first := w.ready(w.lane())
	second := w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.Adopt = v1alpha1.AdoptExisting })
	w.delete(first)
	// The claim is released, and then the finalizer cannot be taken off.
	w.reconciler.Client = failingPatches{admin}
	if _, err := w.pass(first); err == nil {
		t.Fatal("no error")
	}
	w.reconciler.Client = admin
	w.ready(second)
	key := w.upload(v1alpha1.ChannelRelease, "2.9.0")
	_, err := w.sync(second)
	w.must(err)
	w.mustPass(first)
	if !gone(first) {
		t.Error("the first lane is still there")
	}
	if !lists(w.store, key) {
		t.Error("the end of the first lane emptied the pages of the second")
	}
	if _, claimed := w.store.Contents()[layout.ClaimKey(w.platform)]; !claimed {
		t.Error("it released what is the second's")
	}
}

// failingPatches takes no patch of an object's metadata.
type failingPatches struct{ client.Client }

func (failingPatches) Patch(context.Context, client.Object, client.Patch, ...client.PatchOption) error {
	return errors.New("the API server is away")
}

func TestASyncThatIsUnderWayCannotOutliveItsLane(t *testing.T) {
	for _, where := range []string{"before it lists", "while it judges"} {
		t.Run(where, func(t *testing.T) {
			w := newWorld(t)
			lane := w.ready(w.lane())
			key := w.upload(v1alpha1.ChannelRelease, "2.9.0")
			reached, proceed := make(chan struct{}), make(chan struct{})
			wait := sync.OnceFunc(func() { close(reached); <-proceed })
			if where == "while it judges" {
				w.store.FailBefore(func(op, k string) error {
					if op == objectstore.OpGet && k == key {
						wait()
					}
					return nil
				})
			} else {
				w.indexer.RulesOf = func(context.Context, *v1alpha1.PlatformLane) ([]index.Rule, error) { wait(); return nil, nil }
			}
			done := make(chan struct{})
			go func() { defer close(done); _, _ = w.sync(lane) }()
			<-reached
			w.delete(lane)
			w.mustPass(lane)
			if !gone(lane) {
				t.Error("the lane waits for its index")
			}
			close(proceed)
			<-done
			if _, err := w.sync(lane); err != nil || lists(w.store, key) {
				t.Errorf("listed again: %v, %v", lists(w.store, key), err)
			}
		})
	}
}

func TestEventsOfTheBucketWakeTheirLanes(t *testing.T) {
	w := newWorld(t)
	lane, other := w.lane(), newWorld(t).lane()
	queue := eventsfake.New(20 * time.Millisecond)
	wake := make(chan event.GenericEvent, 16)
	pump := &EventPump{Source: queue, Client: admin, Bucket: "lanes", Wake: wake}
	send := func(bucket, key string) {
		queue.Send(fmt.Sprintf(`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-03-01T12:00:00Z","s3":{"bucket":{"name":%q},"object":{"key":%q}}}]}`, bucket, key))
	}
	woken := func() (names []string) {
		t.Helper()
		for queue.Len() > 0 {
			batch, err := queue.Receive(t.Context())
			w.must(err)
			if len(batch) == 0 {
				break
			}
			pump.handle(t.Context(), batch)
		}
		for len(wake) > 0 {
			names = append(names, (<-wake).Object.GetNamespace())
		}
		return names
	}
	folder := "whl/nightly/" + w.platform + "/"
	send("lanes", folder+"torch-2.9.0%2Bx-py3-none-any.whl")
	send("lanes", folder+"torch-2.9.1%2Bx-py3-none-any.whl")
	if got := woken(); !slices.Equal(got, []string{lane.Namespace}) || queue.Len() != 0 {
		t.Errorf("woken %v, %d messages left; want %s once", got, queue.Len(), lane.Namespace)
	}
	for _, key := range []string{
		folder + "torch/index.html", folder + "index.v1_json", "whl/" + w.platform + "/removals.json",
		folder + "torch-2.9.0%2Bx-py3-none-any.whl.metadata", "_lanes/" + w.platform + "/claim.json", "whl/nightly/", "other/key",
	} {
		send("lanes", key)
	}
	send("foreign", folder+"torch-2.9.0%2Bx-py3-none-any.whl")
	if got := woken(); len(got) > 0 || queue.Len() != 0 {
		t.Errorf("own work and foreign buckets wake %v, %d messages left", got, queue.Len())
	}
	_ = other

	send("lanes", folder+"torch-2.9.2%2Bx-py3-none-any.whl")
	pump.Client = failingLists{admin}
	if got := woken(); len(got) > 0 || queue.Len() != 1 {
		t.Errorf("a lane that cannot be looked up: woken %v, %d messages left, want 1", got, queue.Len())
	}
	pump.Client = admin
	queue.Redeliver()
	if got := woken(); len(got) != 1 || queue.Len() != 0 {
		t.Errorf("it does not come again: %v", got)
	}
}

func TestTheEventPumpOutlivesItsQueue(t *testing.T) {
	queue := eventsfake.New(time.Millisecond)
	queue.Fail(func(string) error { return events.ErrDenied })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := (&EventPump{Source: queue, Client: admin, Bucket: "lanes"}).Start(ctx); err != nil {
		t.Errorf("it ends with %v: the manager would end with it", err)
	}
	if ctx.Err() == nil {
		t.Error("it gave up early")
	}
}
