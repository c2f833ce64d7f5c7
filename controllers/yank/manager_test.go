package yank

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

func TestInAManagerEachChangeWakesWhoWaitsForIt(t *testing.T) {
	w := newWorld(t)
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: admin.Scheme(), Metrics: server.Options{BindAddress: "0"},
	})
	w.must(err)
	wake := make(chan event.GenericEvent, 8)
	w.reconcile.Client, w.reconcile.Wake = mgr.GetClient(), wake
	w.must(w.reconcile.SetupWithManager(mgr))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ends with %v", err)
		}
	})

	y := w.yank(v1alpha1.YankFlag)
	w.eventually(y, "Accepted=False/LaneNotFound")
	lane := w.lane(false)
	w.eventually(y, "Accepted=False/LaneNotClaimed")
	bad := w.upload("2.9.0+spyre")
	w.sync()
	w.claim(lane, true)
	w.eventually(y, "Ready=True/Verified")
	w.edit(y, func(s *v1alpha1.YankSpec) { s.Mode = v1alpha1.YankQuarantine })
	w.eventually(y, "Ready=True/Verified")
	_, data := wheelOf("2.9.0+spyre", "")
	w.primary.Seed(bad, data, fakeSeed())
	w.sync()
	wake <- event.GenericEvent{Object: y}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, readable := w.primary.Contents()[bad]; !readable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a file that came back stays")
		}
	}
	w.delete(y)
	for deadline := time.Now().Add(20 * time.Second); !w.gone(y); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("its deletion wakes nobody")
		}
	}
}

// eventually waits for a condition of the present generation.
func (w *world) eventually(y *v1alpha1.Yank, want string) {
	w.t.Helper()
	watch, err := admin.Watch(w.t.Context(), &v1alpha1.YankList{}, client.InNamespace(w.namespace))
	w.must(err)
	defer watch.Stop()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case e := <-watch.ResultChan():
			if got, ok := e.Object.(*v1alpha1.Yank); ok {
				got.DeepCopyInto(y)
			}
			for _, c := range y.Status.Conditions {
				if c.Type+"="+string(c.Status)+"/"+c.Reason == want && c.ObservedGeneration == y.Generation {
					return
				}
			}
		case <-deadline:
			w.t.Fatalf("no %s: %s\n%s", want, conditions(y), messages(y))
		}
	}
}
