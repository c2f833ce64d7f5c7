package platformlane

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/controllers/claim"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

func TestALaneBecomesReady(t *testing.T) {
	w := newWorld(t)
	lane := w.lane()
	w.mustPass(lane)
	w.want(lane, "Claimed=True/Claimed", "CredentialsReady=True/RoleSynced", "StorageReady=True/StorageReachable", "IndexReady=Unknown/IndexSyncing", "Ready=Unknown/IndexSyncing", "Reconciling=True/Progressing", "!Stalled")
	key := w.upload(v1alpha1.ChannelRelease, "2.9.0")
	_, err := w.sync(lane)
	w.must(err)
	w.mustPass(lane)
	w.want(lane, "IndexReady=True/IndexPublished", "Ready=True/Ready", "!Reconciling", "!Stalled")
	status := lane.Status
	if status.Role.Name != "lane-"+w.platform || status.Role.ARN != w.roles.seen.ARN || status.PublishesTo != "nightly, release" || *status.FilesCount != 1 || *status.ObservedGeneration != lane.Generation {
		t.Errorf("status %+v", status)
	}
	release := status.Channels[1]
	if release.Prefix != "whl/"+w.platform+"/" || release.IndexURL != "https://download.example.com/whl/"+w.platform+"/" || *release.Files != 1 || *release.Projects != 1 || release.LastUpload == nil {
		t.Errorf("channel %+v", release)
	}
	if release.InstallCommand != "pip install torch --extra-index-url "+release.IndexURL || !strings.Contains(status.Channels[0].InstallCommand, "--pre") {
		t.Errorf("install commands %q, %q", release.InstallCommand, status.Channels[0].InstallCommand)
	}
	for _, s := range []*fake.Store{w.store, w.mirror} {
		if !lists(s, key) {
			t.Errorf("%s does not list %s", s.Bucket(), key)
		}
	}
	for _, e := range []string{"Normal Claimed", "Normal RoleSynced", "Normal IndexPublished", "Normal Ready"} {
		if !w.events.has(e) {
			t.Errorf("no Event %s in %q", e, w.events.all)
		}
	}
}

func TestASecondPassWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.upload(v1alpha1.ChannelRelease, "2.9.0")
	for _, lane := range []*v1alpha1.PlatformLane{w.ready(w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.Adopt = v1alpha1.AdoptExisting }))} {
		for _, restarted := range []bool{false, true} {
			if restarted {
				w.restart()
			}
			w.later(time.Hour)
			version, events, writes, purges := lane.ResourceVersion, len(w.events.all), w.roles.writes, len(w.cdn.Requests())
			w.store.ResetCalls()
			w.mirror.ResetCalls()
			w.mustPass(lane)
			_, err := w.sync(lane)
			w.must(err)
			w.mustPass(lane)
			if lane.ResourceVersion != version || len(w.events.all) != events || w.roles.writes != writes || len(w.cdn.Requests()) != purges {
				t.Errorf("restarted %v: something was written: %s", restarted, conditions(lane))
			}
			for _, s := range []*fake.Store{w.store, w.mirror} {
				for _, op := range []string{objectstore.OpPut, objectstore.OpDelete, objectstore.OpDeleteVersion, objectstore.OpCopy, objectstore.OpTagVersion} {
					if n := s.Calls()[op]; n > 0 {
						t.Errorf("restarted %v: %s: %d × %s", restarted, s.Bucket(), n, op)
					}
				}
			}
		}
	}
}

func TestEveryStateOfTheRoleHasItsCondition(t *testing.T) {
	for _, c := range []struct {
		state   ackrole.State
		want    string
		stalled bool
	}{
		{ackrole.Missing, "Unknown/RoleMissing", false},
		{ackrole.Syncing, "Unknown/RoleSyncing", false},
		{ackrole.Deleting, "Unknown/RoleDeleting", false},
		{ackrole.Recoverable, "False/RoleRecoverable", false},
		{ackrole.Unreadable, "False/RoleUnreadable", true},
		{ackrole.Conflict, "False/RoleConflict", true},
		{ackrole.Terminal, "False/RoleTerminal", true},
	} {
		t.Run(string(c.state), func(t *testing.T) {
			w := newWorld(t)
			w.roles.seen = ackrole.Observation{State: c.state, Message: "because", RecheckAfter: 7 * time.Second}
			lane := w.lane()
			result := w.mustPass(lane)
			w.want(lane, "CredentialsReady="+c.want, "Ready="+c.want)
			w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, "because")
			if c.stalled {
				w.want(lane, "Stalled=True/"+string(c.state), "!Reconciling")
			} else {
				w.want(lane, "Reconciling=True/Progressing", "!Stalled")
			}
			if result.RequeueAfter != 7*time.Second {
				t.Errorf("looks again after %s", result.RequeueAfter)
			}
		})
	}
	w := newWorld(t)
	w.roles.err = errors.New("the API server is away")
	lane := w.lane()
	if _, err := w.pass(lane); err == nil {
		t.Error("no error, and so no retry")
	}
	w.want(lane, "CredentialsReady=False/RoleRecoverable")
}

func TestSuspensionDoesNotWaitForAStore(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	w.edit(lane, suspend)
	w.later(time.Hour) // Nothing is believed any more.
	w.store.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	w.mirror.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	w.look()
	w.store.ResetCalls()
	w.roles.onApply = func() {
		if calls := w.store.Calls(); len(calls) > 0 {
			t.Errorf("a store was asked before the role was written: %v", calls)
		}
	}
	w.mustPass(lane)
	w.roles.onApply = nil
	w.want(lane, "CredentialsReady=True/Suspended", "Claimed=True/Claimed", "StorageReady=False/StorageUnavailable", "Ready=False/StorageUnavailable")
	if doc := w.roles.applied[lane.Namespace].InlinePolicy.Document; !strings.Contains(doc, `"Deny"`) || strings.Contains(doc, `"Allow"`) {
		t.Errorf("the role still allows something: %s", doc)
	}
	w.store.FailBefore(nil)
	w.mirror.FailBefore(nil)
	w.look()
	w.later(time.Hour)
	_, err := w.sync(lane)
	w.must(err)
	w.mustPass(lane)
	w.want(lane, "Ready=True/Suspended")

	w.edit(lane, resume)
	w.later(10 * time.Minute)
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/RoleSynced")
	since, now := lane.Status.SessionsNotBefore, w.now()
	if since == nil || since.Time.Before(now) || since.Sub(now) > time.Second || since.Nanosecond() != 0 {
		t.Fatalf("sessionsNotBefore %v at %v: it must be rounded up", since, now)
	}
	if doc := w.roles.applied[lane.Namespace].InlinePolicy.Document; !strings.Contains(doc, since.UTC().Format(time.RFC3339)) {
		t.Errorf("sessions from before live on: %s", doc)
	}
	w.later(time.Hour)
	w.mustPass(lane)
	if !lane.Status.SessionsNotBefore.Equal(since) {
		t.Error("it moves with every pass")
	}
}

func TestTheOlderLaneHoldsThePlatform(t *testing.T) {
	w := newWorld(t)
	first := w.lane()
	time.Sleep(1100 * time.Millisecond) // Creation times are in whole seconds.
	second := w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.Adopt = v1alpha1.AdoptExisting })
	w.mustPass(second)
	w.want(second, "Claimed=False/HeldByAnother", "CredentialsReady=Unknown/Pending", "IndexReady=Unknown/Pending", "Ready=False/HeldByAnother", "Reconciling=True/Progressing")
	w.wantMessage(second, v1alpha1.ClaimedCondition, first.Namespace+"/"+first.Name)
	w.ready(first)
	key := w.upload(v1alpha1.ChannelRelease, "2.9.0")
	if _, err := w.sync(second); err != nil || w.roles.has(second) || lists(w.store, key) {
		t.Errorf("the loser acts: %v, role %v, lists %v", err, w.roles.has(second), lists(w.store, key))
	}
	if wakes := w.reconciler.rivals(t.Context(), first); !slices.Contains(wakes, request(second)) {
		t.Errorf("the holder's end wakes %v", wakes)
	}
	w.delete(first)
	w.mustPass(first)
	if !gone(first) {
		t.Fatalf("the holder is still there: %s", conditions(first))
	}
	w.ready(second)
	if !lists(w.store, key) {
		t.Error("the new holder lists nothing")
	}
}

func TestALaneThatLosesItsClaimLosesItsRole(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	w.record("cluster-b", "other", "lane")
	w.later(time.Hour)
	w.mustPass(lane)
	w.want(lane, "Claimed=False/HeldByAnother", "CredentialsReady=Unknown/Pending")
	w.wantMessage(lane, v1alpha1.ClaimedCondition, "cluster-b")
	if w.roles.has(lane) || lane.Status.Role.Name != "" {
		t.Error("it keeps its role")
	}
	before := w.store.Contents()
	w.delete(lane)
	w.mustPass(lane)
	if !gone(lane) || !maps.Equal(before, w.store.Contents()) {
		t.Error("its end touches what is another's")
	}
}

// record writes a claim as another operator would.
func (w *world) record(cluster, namespace, name string) {
	w.t.Helper()
	body, err := claim.Record{Platform: w.platform, Owner: claim.Owner{Cluster: cluster, Namespace: namespace, Name: name, UID: "u"}, Since: w.now()}.Encode()
	w.must(err)
	w.store.Seed(layout.ClaimKey(w.platform), body, fake.SeedOptions{})
}

func TestALaneKeepsItsRoleWhileNothingIsKnown(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	w.later(time.Hour)
	w.reconciler.Client = failingLists{admin}
	if _, err := w.pass(lane); err == nil {
		t.Error("no error, and so no retry")
	}
	if !w.roles.has(lane) {
		t.Fatal("a list that failed took the role away")
	}
	w.want(lane, "Claimed=True/Claimed", "CredentialsReady=True/RoleSynced")
}

func TestTwoLanesThatClaimAtOnceEndWithOneHolder(t *testing.T) {
	w := newWorld(t)
	lane := w.lane()
	raced := false
	w.store.FailBefore(func(op, key string) error {
		if op == objectstore.OpPut && key == layout.ClaimKey(w.platform) && !raced {
			raced = true
			w.record("cluster-b", "other", "lane")
		}
		return nil
	})
	if _, err := w.pass(lane); !errors.Is(err, reconcilekit.ErrAgain) {
		t.Errorf("the lost race ends in %v", err)
	}
	w.want(lane, "StorageReady=True/StorageReachable")
	w.mustPass(lane)
	w.want(lane, "Claimed=False/HeldByAnother")
}

func TestForeignObjectsAreTakenOverOnlyIfToldSo(t *testing.T) {
	w := newWorld(t)
	key := w.upload(v1alpha1.ChannelNightly, "2.9.0")
	lane := w.lane()
	w.mustPass(lane)
	w.want(lane, "Claimed=False/ForeignObjects", "Ready=False/ForeignObjects", "Stalled=True/ForeignObjects")
	w.wantMessage(lane, v1alpha1.ClaimedCondition, key+" in bucket lanes")
	w.wantMessage(lane, v1alpha1.ClaimedCondition, "spec.adopt")
	if _, claimed := w.store.Contents()[layout.ClaimKey(w.platform)]; claimed || w.roles.has(lane) {
		t.Error("it takes them over")
	}
	w.edit(lane, func(s *v1alpha1.PlatformLaneSpec) { s.Adopt = v1alpha1.AdoptExisting })
	w.ready(lane)
	if !lists(w.store, key) {
		t.Error("it does not list what it took over")
	}
}

func TestALaneThatLostItsRecordWritesItAgain(t *testing.T) {
	w := newWorld(t)
	w.upload(v1alpha1.ChannelRelease, "2.9.0")
	lane := w.ready(w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.Adopt = v1alpha1.AdoptExisting }))
	w.edit(lane, func(s *v1alpha1.PlatformLaneSpec) { s.Adopt = v1alpha1.AdoptNever })
	_, err := w.store.Delete(t.Context(), layout.ClaimKey(w.platform))
	w.must(err)
	w.later(time.Hour)
	w.mustPass(lane)
	w.want(lane, "Claimed=True/Claimed")
	if _, there := w.store.Contents()[layout.ClaimKey(w.platform)]; !there || !w.roles.has(lane) {
		t.Error("no record, or no role")
	}
}

func TestAReservedNameIsRefused(t *testing.T) {
	w := newWorld(t)
	if _, reserved := w.reconciler.reserved("numba"); !reserved {
		t.Error("numba, which admission refuses too, may be had")
	}
	lane := w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.Platform = "reserved1" })
	w.mustPass(lane)
	w.want(lane, "Claimed=False/ReservedName", "Stalled=True/ReservedName")
	if w.roles.has(lane) {
		t.Error("it has a role")
	}
}

func TestAnAdmittedLaneHasNoRole(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	w.edit(lane, func(s *v1alpha1.PlatformLaneSpec) { s.Channels = nil })
	w.roles.lingers = true
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=Unknown/RoleDeleting", "IndexReady=True/AdmittedOnly")
	w.roles.lingers = false
	w.mustPass(lane)
	w.want(lane, "CredentialsReady=True/AdmittedOnly", "IndexReady=True/AdmittedOnly", "Ready=True/AdmittedOnly")
	if w.roles.has(lane) || lane.Status.Role.Name != "" || lane.Status.FilesCount != nil || len(lane.Status.Channels) > 0 {
		t.Errorf("status %+v", lane.Status)
	}
}

func TestWhatAPublisherLacksIsSaid(t *testing.T) {
	for reason, publishers := range map[string][]v1alpha1.Publisher{
		v1alpha1.ReasonNoPublishers:       nil,
		v1alpha1.ReasonUnknownIssuer:      {{Name: "ci", OIDC: v1alpha1.OIDCPublisher{Issuer: "https://gitlab.example.com", Subjects: []string{"project_path:a/b:ref:main"}}}},
		v1alpha1.ReasonAccessKeysDisabled: {{Name: "key", AccessKey: &v1alpha1.AccessKeyPublisher{RotationDays: 30}}},
	} {
		t.Run(reason, func(t *testing.T) {
			w := newWorld(t)
			lane := w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.Publishers = publishers })
			w.mustPass(lane)
			w.want(lane, "CredentialsReady=False/"+reason, "Ready=False/"+reason, "Stalled=True/"+reason)
			w.wantMessage(lane, v1alpha1.CredentialsReadyCondition, "spec.publishers")
			if !w.roles.has(lane) {
				t.Error("the other publishers lose their role")
			}
		})
	}
}

func TestTroubleWithAStoreIsNamedAndHeals(t *testing.T) {
	for _, c := range []struct {
		reason string
		spoil  func(*world)
		heal   func(*world)
		says   string
	}{
		{v1alpha1.ReasonBucketMissing, func(w *world) { w.store.SetMissing(true) }, func(w *world) { w.store.SetMissing(false) }, "lanes"},
		{v1alpha1.ReasonBucketUnversioned, func(w *world) { w.store.SetVersioning(objectstore.VersioningSuspended) }, func(w *world) { w.store.SetVersioning(objectstore.VersioningEnabled) }, "bucket lanes does not keep old versions"},
		{v1alpha1.ReasonStorageDenied, func(w *world) { w.mirror.FailBefore(fake.From(1, objectstore.ErrDenied)) }, func(w *world) { w.mirror.FailBefore(nil) }, "r2: GetBucketVersioning bucket mirror"},
		{v1alpha1.ReasonStorageUnavailable, func(w *world) { w.store.FailBefore(fake.From(1, objectstore.ErrUnavailable)) }, func(w *world) { w.store.FailBefore(nil) }, "bucket lanes"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			w := newWorld(t)
			lane := w.ready(w.lane())
			c.spoil(w)
			w.health.Look(t.Context())
			w.mustPass(lane)
			w.want(lane, "StorageReady=False/"+c.reason, "Ready=False/"+c.reason, "CredentialsReady=True/RoleSynced")
			w.wantMessage(lane, v1alpha1.StorageReadyCondition, c.says)
			c.heal(w)
			w.drain()
			w.health.Look(t.Context())
			if !slices.Contains(w.drain(), lane.Namespace) {
				t.Error("the lane is not woken")
			}
			w.mustPass(lane)
			w.want(lane, "StorageReady=True/StorageReachable", "Ready=True/Ready")
		})
	}
}

// drain returns the namespaces of the lanes that were woken.
func (w *world) drain() (namespaces []string) {
	for {
		select {
		case e := <-w.woken:
			namespaces = append(namespaces, e.Object.GetNamespace())
		default:
			return namespaces
		}
	}
}

func TestANewLaneWaitsForTheStore(t *testing.T) {
	w := newWorld(t)
	w.store.FailBefore(fake.From(1, objectstore.ErrUnavailable))
	w.look()
	lane := w.lane()
	w.mustPass(lane)
	w.want(lane, "Claimed=Unknown/Pending", "CredentialsReady=Unknown/Pending", "StorageReady=False/StorageUnavailable", "Ready=Unknown/Pending")
	if w.roles.has(lane) {
		t.Error("a lane whose claim nobody knows has a role")
	}
	w.store.FailBefore(nil)
	w.look()
	w.ready(lane)
}

func TestEventsComeAfterTheStatusIsStored(t *testing.T) {
	w := newWorld(t)
	lane := w.lane()
	w.events.hook = func() {
		stored := &v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{Namespace: lane.Namespace, Name: lane.Name}}
		w.read(stored)
		if !holdsPrefixes(stored) {
			t.Error("an Event before the status")
		}
	}
	w.ready(lane)
}
