package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

// pluginName is how kubectl finds the program.
const pluginName = "kubectl-lane"

func TestMain(m *testing.M) { plugintest.Main(m, pluginName, main) }

// run is what the process does with a command line.
func run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	return plugin.Run(ctx, newCommand(streams), args, streams) //nolint:contextcheck // cobra hands the context of ExecuteContext on
}

// command runs the program in this process, with standard input closed.
func command(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	return commandWith(t, "", args...)
}

// commandWith is command with something to read on standard input.
func commandWith(t *testing.T, input string, args ...string) (code int, out, errOut string) {
	t.Helper()
	streams, in, o, e := genericiooptions.NewTestIOStreams()
	in.Reset()
	in.WriteString(input)
	code = run(t.Context(), args, streams)
	return code, o.String(), e.String()
}

// A world is a namespace with the lanes spyre and rbln, where the policies on
// access are in force, and a kubeconfig whose context points to it.
type world struct{ *plugintest.World }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{plugintest.New(t)}
	w.Apply("config/policy/access.yaml")
	w.create("spyre", nil)
	w.create("rbln", nil)
	w.waitForPolicies()
	return w
}

func (w *world) create(name string, change func(*v1alpha1.PlatformLane)) {
	w.T.Helper()
	lane := &v1alpha1.PlatformLane{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace},
		Spec:       v1alpha1.PlatformLaneSpec{Platform: name, Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}}},
	}
	if change != nil {
		change(lane)
	}
	w.Must(w.Admin.Create(w.T.Context(), lane))
}

// waitForPolicies waits until the API server has taken them up.
func (w *world) waitForPolicies() {
	w.T.Helper()
	probe := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+v1alpha1.AccessChangedByAnnotation+`":"x"}}}`))
	stamped := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"access":"Suspended"}}`))
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		lane := w.lane("rbln")
		refused := w.Admin.Patch(w.T.Context(), lane, probe, client.DryRunAll)
		lane = w.lane("rbln")
		err := w.Admin.Patch(w.T.Context(), lane, stamped, client.DryRunAll)
		if refused != nil && err == nil && lane.Annotations[v1alpha1.AccessChangedByAnnotation] != "" {
			return
		}
		if time.Now().After(deadline) {
			w.T.Fatalf("the policies are not in force: %v, %v, %v", refused, err, lane.Annotations)
		}
	}
}

func (w *world) lane(name string) *v1alpha1.PlatformLane {
	w.T.Helper()
	lane := &v1alpha1.PlatformLane{}
	w.Must(w.Admin.Get(w.T.Context(), client.ObjectKey{Namespace: w.Namespace, Name: name}, lane))
	return lane
}

// A pass is one status that the operator writes.
type pass func(*v1alpha1.PlatformLane)

func sets(kind string, status metav1.ConditionStatus, reason, message string) pass {
	return func(l *v1alpha1.PlatformLane) {
		meta.SetStatusCondition(&l.Status.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: l.Generation,
		})
	}
}

var (
	synced    = sets(v1alpha1.CredentialsReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonRoleSynced, "publishers may assume the role")
	syncing   = sets(v1alpha1.CredentialsReadyCondition, metav1.ConditionUnknown, v1alpha1.ReasonRoleSyncing, "ACK has not reported")
	suspended = sets(v1alpha1.CredentialsReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonSuspended, "IAM denies everything")
)

// steady writes the status of a lane that has nothing to do.
func (w *world) steady(name string, passes ...pass) {
	w.T.Helper()
	for _, pass := range passes {
		w.write(w.T.Context(), name, pass)
	}
}

// operate stands in for the operator: once the lane's spec changes, it writes one
// status after the other.
func (w *world) operate(name string, passes ...pass) {
	w.T.Helper()
	w.meanwhile(name, func(ctx context.Context) {
		for _, pass := range passes {
			w.write(ctx, name, pass)
			time.Sleep(20 * time.Millisecond) // for the command to see each of them
		}
	})
}

// meanwhile acts as soon as the lane's spec has changed.
func (w *world) meanwhile(name string, act func(context.Context)) {
	w.T.Helper()
	ctx, cancel := context.WithCancel(w.T.Context())
	before := w.lane(name)
	stream, err := w.Admin.Watch(ctx, &v1alpha1.PlatformLaneList{},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: before.ResourceVersion}}, client.InNamespace(w.Namespace))
	w.Must(err)
	var finished sync.WaitGroup
	finished.Go(func() {
		defer stream.Stop()
		for event := range stream.ResultChan() {
			if l, ok := event.Object.(*v1alpha1.PlatformLane); ok && l.Name == name && l.Generation > before.Generation {
				act(ctx)
				return
			}
		}
	})
	w.T.Cleanup(func() { cancel(); finished.Wait() })
}

// write is one pass over the lane, as the operator's status patch would be.
func (w *world) write(ctx context.Context, name string, pass pass) {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		lane := &v1alpha1.PlatformLane{}
		if err := w.Admin.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: name}, lane); err != nil {
			return err
		}
		lane.Status.ObservedGeneration = ptr.To(lane.Generation)
		pass(lane)
		return w.Admin.Status().Update(ctx, lane)
	})
	if err != nil && ctx.Err() == nil {
		w.T.Errorf("writing a status: %v", err)
	}
}
