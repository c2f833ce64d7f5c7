package roles

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// lanes is how many lanes the cluster gets. `make test-scale` asks for 1,000.
var lanes = flag.Int("lanes", 200, "how many lanes the cluster gets")

const (
	// samples are how many lanes are added one by one, before and after the others.
	samples = 5
	// patience bounds how long all lanes together may take, per lane.
	patience = time.Second
	// soon is how long one lane more may take, beyond a few times what the first
	// ones took: other tests share the machine.
	soon  = 5 * time.Second
	ratio = 3
	// rest is how long the cluster is watched at rest.
	rest = 6 * time.Second
)

// add creates a lane in a namespace of its own.
func (w *world) add(i int) *v1alpha1.PlatformLane {
	w.Helper()
	platform := fmt.Sprintf("vendor%04d", i)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: platform}}
	lane := &v1alpha1.PlatformLane{
		ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: platform},
		Spec: v1alpha1.PlatformLaneSpec{
			Platform: platform, Packages: []string{"torch"},
			Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}, {Name: v1alpha1.ChannelRelease}},
			Publishers: []v1alpha1.Publisher{{Name: "ci", GitHubActions: v1alpha1.GitHubActionsPublisher{
				Repository: platform + "/torch", RepositoryID: int64(2*i + 1), RepositoryOwnerID: int64(2*i + 2), Environment: "pytorchbot-env",
			}}},
		},
	}
	for _, o := range []client.Object{ns, lane} {
		if err := w.client.Create(w.Context(), o); err != nil {
			w.Fatal(err)
		}
	}
	return lane
}

func ready(lane *v1alpha1.PlatformLane) bool {
	return meta.IsStatusConditionTrue(lane.Status.Conditions, v1alpha1.ReadyCondition) && lane.Status.Role.ARN != ""
}

// oneByOne adds lanes, each when the one before is ready, and returns how long they
// took, shortest first.
func (w *world) oneByOne(from, n int) []time.Duration {
	w.Helper()
	var took []time.Duration
	for i := range n {
		lane, started := w.add(from+i), time.Now()
		for !ready(lane) {
			if time.Since(started) > time.Minute {
				w.Fatalf("%s is not ready: %+v", lane.Name, lane.Status.Conditions)
			}
			time.Sleep(10 * time.Millisecond)
			if err := w.client.Get(w.Context(), client.ObjectKeyFromObject(lane), lane); err != nil {
				w.Fatal(err)
			}
		}
		took = append(took, time.Since(started).Round(time.Millisecond))
	}
	slices.Sort(took)
	return took
}

// allReady waits until n lanes are ready.
func (w *world) allReady(n int) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute+time.Duration(n)*patience)
	defer cancel()
	said := time.Now()
	for {
		var list v1alpha1.PlatformLaneList
		if err := w.client.List(ctx, &list); err != nil {
			w.Fatal(err)
		}
		done := 0
		for i := range list.Items {
			if ready(&list.Items[i]) {
				done++
			}
		}
		unready := slices.DeleteFunc(list.Items, func(l v1alpha1.PlatformLane) bool { return ready(&l) })
		if done == n {
			return
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			w.Logf("%d of %d lanes are ready", done, n)
		}
		select {
		case <-ctx.Done():
			w.Fatalf("%d of %d lanes are ready in time; one that is not: %+v", done, n, unready[0].Status.Conditions)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// expectNoWrites watches IAM for a while.
func (w *world) expectNoWrites(when string, do func()) {
	w.Helper()
	if err := w.stack.ResetCalls(w.Context()); err != nil {
		w.Fatal(err)
	}
	do()
	time.Sleep(rest)
	calls, err := w.stack.Calls(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	w.Logf("%s IAM was called so: %v", when, calls["iam"])
	for operation, n := range calls["iam"] {
		if !strings.HasPrefix(operation, "Get") && !strings.HasPrefix(operation, "List") {
			w.Errorf("%s: %s was called %d times", when, operation, n)
		}
	}
}

func TestOneLaneMore(t *testing.T) {
	w, n := open(t, func(c *operatorconfig.Config) {
		// One store, and no polling: what is measured is the identity of lanes.
		c.Mirrors, c.Limits.PollSeconds, c.Limits.LanesAtOnce = nil, 3600, 16
	}), *lanes
	w.oneByOne(0, 1) // Warms everything up.
	first := w.oneByOne(1, samples)
	started := time.Now()
	for i := 1 + samples; i < n-samples; i++ {
		w.add(i)
	}
	created := time.Since(started).Round(time.Millisecond)
	w.allReady(n - samples)
	t.Logf("%d lanes: created in %s, ready after %s", n-2*samples-1, created, time.Since(started).Round(time.Millisecond))
	calls, err := w.stack.Calls(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range slices.Sorted(maps.Keys(calls)) {
		t.Logf("calls to %s: %v", service, calls[service])
	}
	last := w.oneByOne(n-samples, samples)
	t.Logf("a lane is ready: among %d after %v, among %d after %v", samples, first, n, last)
	if middle := last[samples/2]; middle > soon+ratio*first[samples/2] {
		t.Errorf("the last lanes take %s, the first took %s", middle, first[samples/2])
	}

	time.Sleep(2 * time.Second)
	w.expectNoWrites("at rest", func() {})
	w.expectNoWrites("when the operator starts again", func() {
		if err := w.operator.Kill(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	w.expectNoWrites("when ACK starts again", func() {
		if err := w.stack.Restart(t.Context(), sandbox.ACK); err != nil {
			t.Fatal(err)
		}
		w.untilRead(n)
	})
	w.allReady(n)
}

// untilRead waits until ACK has looked at so many roles.
func (w *world) untilRead(n int) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute + time.Duration(n)*patience); ; time.Sleep(time.Second) {
		calls, err := w.stack.Calls(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		if calls["iam"]["GetRole"] >= n {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("ACK has read %d of %d roles in time", calls["iam"]["GetRole"], n)
		}
	}
}
