package platformlane

import (
	"context"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// In a manager everything is woken by what it waits for, and by nothing else:
// all waits of the reconcilers are longer than this test has patience.
func TestInAManagerEachChangeWakesWhoWaitsForIt(t *testing.T) {
	w := newWorld(t)
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: admin.Scheme(), Metrics: server.Options{BindAddress: "0"}})
	w.must(err)
	lanes, indexes := make(chan event.GenericEvent, 64), make(chan event.GenericEvent, 64)
	w.reconciler.Client, w.reconciler.Wake, w.reconciler.Now = mgr.GetClient(), lanes, time.Now
	w.indexer.Client, w.indexer.Wake, w.indexer.Poll = mgr.GetClient(), indexes, time.Hour
	w.indexer.Synced = func(lane *v1alpha1.PlatformLane) { lanes <- event.GenericEvent{Object: lane} }
	w.health.Client, w.health.Wake = mgr.GetClient(), lanes
	w.must(w.reconciler.SetupWithManager(mgr))
	w.must(w.indexer.SetupWithManager(mgr))
	w.must(mgr.Add(w.health))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ends with %v", err)
		}
	})

	lane := w.lane()
	w.eventually(lane, "Ready=True/Ready")
	rival := w.lane(func(s *v1alpha1.PlatformLaneSpec) { s.Adopt = v1alpha1.AdoptExisting })
	w.eventually(rival, "Claimed=False/HeldByAnother")
	w.edit(lane, suspend)
	w.eventually(lane, "Ready=True/Suspended")
	key := w.upload(v1alpha1.ChannelRelease, "2.9.0")
	indexes <- event.GenericEvent{Object: lane}
	for deadline := time.Now().Add(20 * time.Second); !lists(w.store, key); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the upload is not listed")
		}
	}
	w.read(lane)
	w.delete(lane)
	w.eventually(rival, "Ready=True/Ready")
	if !gone(lane) {
		t.Error("two lanes hold the platform")
	}
}

// eventually waits for a condition.
func (w *world) eventually(lane *v1alpha1.PlatformLane, want string) {
	w.t.Helper()
	watch, err := admin.Watch(w.t.Context(), &v1alpha1.PlatformLaneList{}, client.InNamespace(lane.Namespace))
	w.must(err)
	defer watch.Stop()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case e := <-watch.ResultChan():
			if got, ok := e.Object.(*v1alpha1.PlatformLane); ok {
				got.DeepCopyInto(lane)
			}
			for _, c := range lane.Status.Conditions {
				if c.Type+"="+string(c.Status)+"/"+c.Reason == want && c.ObservedGeneration == lane.Generation {
					return
				}
			}
		case <-deadline:
			w.t.Fatalf("no %s: %s", want, conditions(lane))
		}
	}
}
