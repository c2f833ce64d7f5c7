package ackrole_test

import (
	"context"
	"testing"
	"time"

	ackiam "github.com/aws-controllers-k8s/iam-controller/apis/v1alpha1"
	ack "github.com/aws-controllers-k8s/runtime/apis/core/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

// world is one lane with its role, a clock, and the writes that were made.
type world struct {
	t      *testing.T
	roles  *ackrole.Roles
	clock  *testclock.FakeClock
	lane   *v1alpha1.PlatformLane
	role   access.Role
	writes int
	// before, when set, runs once before the next write arrives.
	before func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: testclock.NewFakeClock(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}
	ns := namespace(t)
	w.lane = &v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "spyre", UID: types.UID("uid-" + ns)}}
	w.role = access.Role{
		Name: "lane-spyre", Path: "/lanes/", Description: "a lane", MaxSessionSeconds: 3600,
		Trust:        `{"Version":"2012-10-17","Statement":[]}`,
		InlinePolicy: access.Policy{Name: "lane", Document: `{"Version":"2012-10-17","Resource":"torch-*\u002bspyre*"}`},
		BoundaryARN:  "arn:aws:iam::123456789012:policy/boundary",
		Tags:         []access.Tag{{Key: "lane", Value: "spyre"}, {Key: "managed-by", Value: "platform-lane-operator"}},
	}
	w.roles = ackrole.New(w.counting(admin), admin, w.clock)
	return w
}

// counting counts the writes that pass through a client.
func (w *world) counting(c client.WithWatch) client.Client {
	count := func() {
		w.writes++
		if before := w.before; before != nil {
			w.before = nil
			before()
		}
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			count()
			return c.Apply(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			count()
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			count()
			return c.Delete(ctx, o, opts...)
		},
	})
}

func (w *world) apply() ackrole.Observation {
	w.t.Helper()
	o, err := w.roles.Apply(w.t.Context(), w.lane, w.role)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// wants applies, and checks state and number of writes.
func (w *world) wants(state ackrole.State, writes int) ackrole.Observation {
	w.t.Helper()
	w.writes = 0
	o := w.apply()
	if o.State != state || w.writes != writes {
		w.t.Fatalf("Apply: %+v with %d writes, want %s with %d", o, w.writes, state, writes)
	}
	if (o.Message == "") != (state == ackrole.Synced) {
		w.t.Errorf("%s with the message %q", o.State, o.Message)
	}
	seen, err := w.roles.Observe(w.t.Context(), w.lane, w.role.Name)
	if err != nil || seen.State != state {
		w.t.Errorf("Observe: %+v, %v; Apply said %s", seen, err, state)
	}
	return o
}

func (w *world) get() *ackiam.Role {
	w.t.Helper()
	role := &ackiam.Role{}
	if err := admin.Get(w.t.Context(), types.NamespacedName{Namespace: w.lane.Namespace, Name: w.role.Name}, role); err != nil {
		w.t.Fatal(err)
	}
	return role
}

// edit changes the Role resource as somebody else would.
func (w *world) edit(change func(*ackiam.Role)) {
	w.t.Helper()
	role := w.get()
	before := role.DeepCopy()
	change(role)
	if err := admin.Patch(w.t.Context(), role, client.MergeFrom(before), client.FieldOwner("somebody")); err != nil {
		w.t.Fatal(err)
	}
}

// cond is a condition of ACK's.
func cond(kind ack.ConditionType, status corev1.ConditionStatus, message string) *ack.Condition {
	return &ack.Condition{Type: kind, Status: status, Message: ptr.To(message)}
}

func ready() *ack.Condition {
	return cond(ack.ConditionTypeReady, corev1.ConditionTrue, "Resource synced successfully")
}

// reports writes ACK's conditions, stamped with the clock's second, as ACK does at
// the end of each of its passes.
func (w *world) reports(conditions ...*ack.Condition) {
	w.t.Helper()
	role := w.get()
	before := role.DeepCopy()
	now := metav1.NewTime(w.clock.Now())
	for _, c := range conditions {
		c.LastTransitionTime = &now
	}
	arn := ack.AWSResourceName("arn:aws:iam::123456789012:role" + w.role.Path + w.role.Name)
	role.Status.ACKResourceMetadata = &ack.ResourceMetadata{ARN: &arn, OwnerAccountID: ptr.To(ack.AWSAccountID("123456789012")), Region: ptr.To(ack.AWSRegion("us-east-1"))}
	role.Status.Conditions = conditions
	if err := admin.Status().Patch(w.t.Context(), role, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) later(d time.Duration) { w.clock.Step(d) }

// synced brings the role to Synced from nothing.
func (w *world) synced() {
	w.t.Helper()
	w.wants(ackrole.Syncing, 1)
	w.later(time.Second)
	w.reports(ready())
	w.wants(ackrole.Synced, 0)
}
