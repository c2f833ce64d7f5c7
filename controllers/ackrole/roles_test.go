package ackrole_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	ackiam "github.com/aws-controllers-k8s/iam-controller/apis/v1alpha1"
	ack "github.com/aws-controllers-k8s/runtime/apis/core/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

func TestCreatesTheRoleWithExactlyOurFields(t *testing.T) {
	w := newWorld(t)
	w.role.Path = "/lanes/"
	w.wants(ackrole.Syncing, 1)
	live := w.get()
	if *live.Spec.Name != "lane-spyre" || *live.Spec.Path != "/lanes/" || *live.Spec.MaxSessionDuration != 3600 ||
		*live.Spec.AssumeRolePolicyDocument != w.role.Trust || *live.Spec.InlinePolicies["lane"] != w.role.InlinePolicy.Document ||
		*live.Spec.PermissionsBoundary != w.role.BoundaryARN || len(live.Spec.Tags) != 2 || len(live.Spec.Policies) != 0 {
		t.Errorf("spec = %+v", live.Spec)
	}
	if !metav1.IsControlledBy(live, w.lane) || live.Annotations["services.k8s.aws/deletion-policy"] != "delete" || live.Annotations["services.k8s.aws/read-only"] != "false" {
		t.Errorf("metadata = %+v", live.ObjectMeta)
	}
	managers := map[string]metav1.ManagedFieldsOperationType{}
	for _, f := range live.ManagedFields {
		managers[f.Manager] = f.Operation
	}
	if !maps.Equal(managers, map[string]metav1.ManagedFieldsOperationType{ackrole.Manager: metav1.ManagedFieldsOperationApply}) {
		t.Errorf("field managers = %v", managers)
	}
}

func TestAnUnchangedRoleCostsNoWrite(t *testing.T) {
	w := newWorld(t)
	w.synced()
	version := w.get().ResourceVersion
	for range 3 {
		w.later(time.Hour)
		if o := w.wants(ackrole.Synced, 0); o.ARN != "arn:aws:iam::123456789012:role/lanes/lane-spyre" || o.RecheckAfter != 0 {
			t.Errorf("%+v", o)
		}
	}
	if got := w.get().ResourceVersion; got != version {
		t.Errorf("the Role changed from %s to %s", version, got)
	}
}

// A fresh role is reported as recoverable for a moment, with its ARN.
func TestAFreshRoleIsNotReadyWithItsARN(t *testing.T) {
	w := newWorld(t)
	w.wants(ackrole.Syncing, 1)
	w.reports(cond(ack.ConditionTypeRecoverable, corev1.ConditionTrue, "role created, requeuing to trigger updates"),
		cond(ack.ConditionTypeReady, corev1.ConditionFalse, "role created, requeuing to trigger updates"))
	if o := w.wants(ackrole.Syncing, 0); o.ARN == "" {
		t.Errorf("%+v", o)
	}
	w.later(time.Second)
	w.reports(ready())
	w.wants(ackrole.Synced, 0)
}

// The report of a pass that ACK began before our write must not pass for one
// about it, however late it appears.
func TestAReportOfAnEarlierPassIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	w.synced()
	w.later(time.Minute)
	w.role.InlinePolicy.Document = `{"Version":"2012-10-17","Suspended":true}`
	w.wants(ackrole.Syncing, 1)
	w.later(5 * time.Second)
	w.reports(ready()) // of a pass that read the Role before it was suspended
	if o := w.wants(ackrole.Syncing, 0); o.RecheckAfter <= 0 || o.RecheckAfter > 2*time.Second {
		t.Errorf("asks again after %v, want the end of the report's second", o.RecheckAfter)
	}
	w.later(2 * time.Second)
	generation := w.get().Generation
	w.wants(ackrole.Syncing, 1)
	if got := w.get().Generation; got == generation {
		t.Error("ACK was not woken: the generation is the same")
	}
	w.wants(ackrole.Syncing, 0)
	w.later(time.Second)
	w.reports(ready())
	w.wants(ackrole.Synced, 0)
	if got := *w.get().Spec.InlinePolicies["lane"]; got != w.role.InlinePolicy.Document {
		t.Errorf("the document is %s", got)
	}
}

// A report that lands between our reading and our writing is older than the
// write; the write must know it.
func TestAReportBetweenReadAndWriteIsOld(t *testing.T) {
	w := newWorld(t)
	w.synced()
	w.later(time.Minute)
	w.role.Description = "changed"
	w.before = func() {
		w.later(time.Second)
		w.reports(ready())
	}
	w.wants(ackrole.Syncing, 2) // one is refused
	w.later(time.Minute)
	w.wants(ackrole.Syncing, 1) // it was near the last report, so that ACK's answer could be hidden
	w.wants(ackrole.Syncing, 0)
	w.later(time.Second)
	w.reports(ready())
	w.later(2 * time.Second)
	w.wants(ackrole.Syncing, 1) // only now the confirming round
}

// A report in the same second as the one before looks like it.
func TestAReportInTheSameSecond(t *testing.T) {
	w := newWorld(t)
	w.synced()
	w.role.Description = "changed"
	w.wants(ackrole.Syncing, 1)
	w.reports(ready())
	if o := w.wants(ackrole.Syncing, 0); o.RecheckAfter <= 0 {
		t.Errorf("waits for ever: %+v", o)
	}
	w.later(2 * time.Second)
	w.wants(ackrole.Syncing, 1)
	w.later(2 * time.Second)
	w.wants(ackrole.Syncing, 0) // woken again after two seconds, then after thirty
	w.reports(ready())
	w.later(2 * time.Second)
	w.wants(ackrole.Syncing, 1)
	w.reports(ready())
	w.wants(ackrole.Synced, 0)
}

// While ACK is down nothing is written again and again.
func TestASilentACK(t *testing.T) {
	w := newWorld(t)
	w.synced()
	w.later(time.Hour)
	w.role.Description = "changed"
	o := w.wants(ackrole.Syncing, 1)
	if !strings.Contains(o.Message, "see whether it runs") {
		t.Errorf("message %q", o.Message)
	}
	for range 5 {
		w.later(time.Hour)
		if o := w.wants(ackrole.Syncing, 0); o.RecheckAfter != 0 {
			t.Errorf("asks again after %v", o.RecheckAfter)
		}
	}
}

func TestWhatACKReports(t *testing.T) {
	notReady := func(message string) *ack.Condition {
		return cond(ack.ConditionTypeReady, corev1.ConditionFalse, message)
	}
	for name, c := range map[string]struct {
		conditions []*ack.Condition
		state      ackrole.State
		message    string
	}{
		"synced":       {[]*ack.Condition{ready()}, ackrole.Synced, ""},
		"recovered":    {[]*ack.Condition{cond(ack.ConditionTypeRecoverable, corev1.ConditionFalse, ""), ready()}, ackrole.Synced, ""},
		"created":      {[]*ack.Condition{cond(ack.ConditionTypeRecoverable, corev1.ConditionTrue, "role created, requeuing to trigger updates"), notReady("")}, ackrole.Syncing, "attaches its permissions"},
		"adopted":      {[]*ack.Condition{cond(ack.ConditionTypeRecoverable, corev1.ConditionTrue, "adopted resource, requeuing to check for updates"), notReady("")}, ackrole.Syncing, "attaches its permissions"},
		"throttled":    {[]*ack.Condition{cond(ack.ConditionTypeRecoverable, corev1.ConditionTrue, "Throttling:\n Rate exceeded"), notReady("")}, ackrole.Recoverable, "Throttling: Rate exceeded"},
		"malformed":    {[]*ack.Condition{cond(ack.ConditionTypeTerminal, corev1.ConditionTrue, "MalformedPolicyDocument: no"), notReady("")}, ackrole.Terminal, "MalformedPolicyDocument: no"},
		"exists":       {[]*ack.Condition{cond(ack.ConditionTypeTerminal, corev1.ConditionTrue, "Resource already exists"), notReady("")}, ackrole.Conflict, "set spec.adopt of the lane to Existing"},
		"unknown":      {[]*ack.Condition{cond(ack.ConditionTypeReady, corev1.ConditionUnknown, "Unable to determine")}, ackrole.Recoverable, "Unable to determine"},
		"out of sync":  {[]*ack.Condition{notReady("Resource not synced")}, ackrole.Recoverable, "Resource not synced"},
		"long message": {[]*ack.Condition{cond(ack.ConditionTypeTerminal, corev1.ConditionTrue, strings.Repeat("ä", 2000)), notReady("")}, ackrole.Terminal, "ä…"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.wants(ackrole.Syncing, 1)
			w.later(time.Second)
			w.reports(c.conditions...)
			o := w.wants(c.state, 0)
			if !strings.Contains(o.Message, c.message) || len(o.Message) > 1024 || strings.Contains(o.Message, "\n") {
				t.Errorf("message %q, want one line with %q", o.Message, c.message)
			}
		})
	}
}

// What somebody changes by hand is set back, and what somebody adds is removed.
func TestDriftIsMended(t *testing.T) {
	for name, change := range map[string]func(*ackiam.Role){
		"trust":                 func(r *ackiam.Role) { r.Spec.AssumeRolePolicyDocument = ptr.To(`{"Statement":[{"Effect":"Allow"}]}`) },
		"inline policy":         func(r *ackiam.Role) { r.Spec.InlinePolicies["lane"] = ptr.To(`{"Effect":"Allow"}`) },
		"another inline policy": func(r *ackiam.Role) { r.Spec.InlinePolicies["more"] = ptr.To(`{"Effect":"Allow"}`) },
		"no inline policy":      func(r *ackiam.Role) { r.Spec.InlinePolicies = nil },
		"managed policy": func(r *ackiam.Role) {
			r.Spec.Policies = []*string{ptr.To("arn:aws:iam::aws:policy/AdministratorAccess")}
		},
		"policy reference": func(r *ackiam.Role) {
			r.Spec.PolicyRefs = []*ack.AWSResourceReferenceWrapper{{From: &ack.AWSResourceReference{Name: ptr.To("admin")}}}
		},
		"boundary": func(r *ackiam.Role) { r.Spec.PermissionsBoundary = nil },
		"boundary reference": func(r *ackiam.Role) {
			r.Spec.PermissionsBoundaryRef = &ack.AWSResourceReferenceWrapper{From: &ack.AWSResourceReference{Name: ptr.To("x")}}
		},
		"name":        func(r *ackiam.Role) { r.Spec.Name = ptr.To("other") },
		"path":        func(r *ackiam.Role) { r.Spec.Path = ptr.To("/") },
		"session":     func(r *ackiam.Role) { r.Spec.MaxSessionDuration = ptr.To(int64(43200)) },
		"tags":        func(r *ackiam.Role) { r.Spec.Tags = nil },
		"description": func(r *ackiam.Role) { r.Spec.Description = nil },
		"retain":      func(r *ackiam.Role) { r.Annotations["services.k8s.aws/deletion-policy"] = "retain" },
		"read only":   func(r *ackiam.Role) { r.Annotations["services.k8s.aws/read-only"] = "true" },
		"adopted":     func(r *ackiam.Role) { r.Annotations["services.k8s.aws/adopted"] = "true" },
		"label":       func(r *ackiam.Role) { r.Labels = nil },
		"mark":        func(r *ackiam.Role) { r.Annotations["distribution.pytorch.org/role-write"] = "{}" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.synced()
			want := w.get().Spec
			w.later(time.Minute)
			w.edit(change)
			if o := w.apply(); o.State != ackrole.Syncing {
				t.Errorf("after the change: %+v", o)
			}
			got := w.get()
			// Both spellings of no policies are one.
			want.Policies, got.Spec.Policies = got.Spec.Policies, slices.Clip(got.Spec.Policies)
			if len(got.Spec.Policies) != 0 || !sameSpec(got.Spec, want) || got.Annotations["services.k8s.aws/deletion-policy"] != "delete" ||
				got.Annotations["services.k8s.aws/read-only"] != "false" || got.Annotations["services.k8s.aws/adopted"] != "false" || len(got.Labels) != 1 {
				t.Errorf("not mended: %+v %+v, want %+v", got.ObjectMeta, got.Spec, want)
			}
			w.later(time.Second)
			w.reports(ready())
			w.later(2 * time.Second)
			w.wants(ackrole.Syncing, 1)
			w.later(time.Second)
			w.reports(ready())
			w.wants(ackrole.Synced, 0)
		})
	}
}

func sameSpec(a, b ackiam.RoleSpec) bool {
	x, y := (&ackiam.Role{Spec: a}), (&ackiam.Role{Spec: b})
	left, err1 := client.MergeFrom(x).Data(y)
	return err1 == nil && string(left) == "{}"
}

// ACK writes into the spec itself; what means the same is left alone.
func TestWhatACKSpellsAnewIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.synced()
	w.edit(func(r *ackiam.Role) {
		r.Spec.AssumeRolePolicyDocument = ptr.To("{ \"Statement\": [],\n \"Version\": \"2012-10-17\" }")
		slices.Reverse(r.Spec.Tags)
		r.Finalizers = []string{"finalizers.iam.services.k8s.aws/Role"}
	})
	w.wants(ackrole.Synced, 0)
}

// The path of a role cannot change in IAM: a changed configuration applies to new
// roles, and the others go on.
func TestAPathStays(t *testing.T) {
	w := newWorld(t)
	w.synced()
	w.role.Path = "/elsewhere/"
	w.wants(ackrole.Synced, 0)
	w.role.Path = "/lanes/"
}

func TestABoundaryIsTakenAway(t *testing.T) {
	w := newWorld(t)
	w.synced()
	w.later(time.Minute)
	w.role.BoundaryARN = ""
	w.apply()
	if got := w.get().Spec.PermissionsBoundary; got != nil {
		t.Errorf("the boundary is still %s", *got)
	}
}

func TestAForeignRoleIsLeftAlone(t *testing.T) {
	for name, refs := range map[string][]metav1.OwnerReference{
		"nobody's":       nil,
		"another lane's": {{APIVersion: "distribution.pytorch.org/v1alpha1", Kind: "PlatformLane", Name: "other", UID: "other", Controller: ptr.To(true)}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			foreign := &ackiam.Role{
				ObjectMeta: metav1.ObjectMeta{Namespace: w.lane.Namespace, Name: w.role.Name, OwnerReferences: refs},
				Spec:       ackiam.RoleSpec{Name: ptr.To("lane-spyre"), AssumeRolePolicyDocument: ptr.To("{}")},
			}
			if err := admin.Create(t.Context(), foreign); err != nil {
				t.Fatal(err)
			}
			if o := w.wants(ackrole.Conflict, 0); !strings.Contains(o.Message, "not this lane's") {
				t.Errorf("message %q", o.Message)
			}
			if gone, err := w.roles.Delete(t.Context(), w.lane, w.role.Name); !gone || err != nil || w.writes != 0 {
				t.Errorf("Delete of a foreign Role: %v, %v, %d writes", gone, err, w.writes)
			}
			if got := w.get(); got.UID != foreign.UID || got.ResourceVersion != foreign.ResourceVersion {
				t.Error("the foreign Role was touched")
			}
		})
	}
}

// Somebody creates a Role of that name just before we do.
func TestALostRaceIsNotForced(t *testing.T) {
	w := newWorld(t)
	w.before = func() {
		foreign := &ackiam.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.lane.Namespace, Name: w.role.Name},
			Spec:       ackiam.RoleSpec{Name: ptr.To("precious"), AssumeRolePolicyDocument: ptr.To("{}")},
		}
		if err := admin.Create(t.Context(), foreign); err != nil {
			t.Fatal(err)
		}
	}
	w.wants(ackrole.Conflict, 1)
	if got := *w.get().Spec.Name; got != "precious" {
		t.Errorf("the foreign Role was taken over: %s", got)
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if gone, err := w.roles.Delete(ctx, w.lane, w.role.Name); !gone || err != nil {
		t.Fatalf("a Role that is not there: %v, %v", gone, err)
	}
	w.synced()
	w.edit(func(r *ackiam.Role) {
		r.Finalizers = []string{"finalizers.iam.services.k8s.aws/Role"}
		r.Annotations["services.k8s.aws/deletion-policy"] = "retain"
	})
	w.writes = 0
	for i := range 3 {
		if gone, err := w.roles.Delete(ctx, w.lane, w.role.Name); gone || err != nil {
			t.Fatalf("while ACK works, pass %d: %v, %v", i, gone, err)
		}
	}
	if w.writes != 2 {
		t.Errorf("%d writes, want one for the annotation and one to delete", w.writes)
	}
	live := w.get()
	if live.DeletionTimestamp.IsZero() || live.Annotations["services.k8s.aws/deletion-policy"] != "delete" {
		t.Errorf("deletion at %v with %v", live.DeletionTimestamp, live.Annotations)
	}
	w.wants(ackrole.Deleting, 0)
	w.edit(func(r *ackiam.Role) { r.Finalizers = nil })
	if gone, err := w.roles.Delete(ctx, w.lane, w.role.Name); !gone || err != nil {
		t.Errorf("after ACK: %v, %v", gone, err)
	}
	if o, err := w.roles.Observe(ctx, w.lane, w.role.Name); err != nil || o.State != ackrole.Missing {
		t.Errorf("Observe: %+v, %v", o, err)
	}
}

// A Role that was deleted behind the operator's back comes back, and with it the
// whole protocol.
func TestADeletedRoleComesBack(t *testing.T) {
	w := newWorld(t)
	w.synced()
	if err := admin.Delete(t.Context(), w.get()); err != nil {
		t.Fatal(err)
	}
	w.synced()
}

func TestARefusalIsAState(t *testing.T) {
	w := newWorld(t)
	config, err := server.AddUser("nobody-in-particular", "system:authenticated")
	if err != nil {
		t.Fatal(err)
	}
	powerless, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: admin.RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	for what, roles := range map[string]*ackrole.Roles{
		"read":  ackrole.New(admin, powerless, w.clock),
		"write": ackrole.New(powerless, admin, w.clock),
	} {
		o, err := roles.Apply(t.Context(), w.lane, w.role)
		if err != nil || o.State != ackrole.Unreadable || o.RecheckAfter == 0 || !strings.Contains(o.Message, "does not let the operator") {
			t.Errorf("may not %s: %+v, %v", what, o, err)
		}
	}
	w.role.Trust, w.role.Tags = "", []access.Tag{{Key: "", Value: ""}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.roles.Apply(ctx, w.lane, w.role); err == nil {
		t.Error("a call that was cut off is not an error")
	}
	if _, err := w.roles.Observe(ctx, w.lane, "x"); err == nil {
		t.Error("a call that was cut off is not an error")
	}
}
