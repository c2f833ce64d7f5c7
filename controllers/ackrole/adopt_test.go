package ackrole_test

import (
	"strings"
	"testing"
	"time"

	ackiam "github.com/aws-controllers-k8s/iam-controller/apis/v1alpha1"
	ack "github.com/aws-controllers-k8s/runtime/apis/core/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
)

// An IAM role that ACK did not make is taken over only if the lane says so.
func TestAdoptionIsAskedFor(t *testing.T) {
	for adopt, want := range map[v1alpha1.Adoption]string{"": "", v1alpha1.AdoptNever: "", v1alpha1.AdoptExisting: "adopt-or-create"} {
		w := newWorld(t)
		w.lane.Spec.Adopt = adopt
		w.synced()
		live := w.get()
		if got := live.Annotations[ack.AnnotationAdoptionPolicy]; got != want || live.Annotations[ack.AnnotationAdopted] != "false" {
			t.Errorf("adopt %q: annotations %v", adopt, live.Annotations)
		}
		w.later(time.Hour)
		w.wants(ackrole.Synced, 0)
	}
}

// ACK would not make an adopted role again once it is deleted in IAM, so the
// note that it was adopted does not stay.
func TestAnAdoptedRoleIsLikeAnyOther(t *testing.T) {
	w := newWorld(t)
	w.lane.Spec.Adopt = v1alpha1.AdoptExisting
	w.wants(ackrole.Syncing, 1)
	w.edit(func(r *ackiam.Role) { r.Annotations[ack.AnnotationAdopted] = "true" })
	w.later(time.Second)
	w.reports(cond(ack.ConditionTypeRecoverable, corev1.ConditionTrue, "adopted resource, requeuing to check for updates"), cond(ack.ConditionTypeReady, corev1.ConditionUnknown, ""))
	w.wants(ackrole.Syncing, 1)
	if got := w.get().Annotations[ack.AnnotationAdopted]; got != "false" {
		t.Errorf("it is noted as adopted: %q", got)
	}
	w.later(time.Second)
	w.reports(ready())
	w.later(2 * time.Second)
	w.wants(ackrole.Syncing, 1)
	w.later(time.Second)
	w.reports(ready())
	w.wants(ackrole.Synced, 0)
}

// ACK looks at a Role only when its generation changes: asking for adoption
// afterwards must wake it.
func TestAskingForAdoptionLaterWakesACK(t *testing.T) {
	w := newWorld(t)
	w.wants(ackrole.Syncing, 1)
	w.later(time.Second)
	w.reports(cond(ack.ConditionTypeTerminal, corev1.ConditionTrue, "Resource already exists"), cond(ack.ConditionTypeReady, corev1.ConditionFalse, ""))
	if o := w.wants(ackrole.Conflict, 0); !strings.Contains(o.Message, "set spec.adopt of the lane to Existing") {
		t.Errorf("message %q", o.Message)
	}
	generation := w.get().Generation
	w.lane.Spec.Adopt = v1alpha1.AdoptExisting
	w.later(time.Minute)
	w.wants(ackrole.Syncing, 1)
	if live := w.get(); live.Generation == generation || live.Annotations[ack.AnnotationAdoptionPolicy] != "adopt-or-create" {
		t.Errorf("generation %d as before, or annotations %v", live.Generation, live.Annotations)
	}
}

// What ACK says about a deletion that does not go well reaches the lane.
func TestAStuckDeletionSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.synced()
	w.edit(func(r *ackiam.Role) { r.Finalizers = []string{"finalizers.iam.services.k8s.aws/Role"} })
	if _, err := w.roles.Delete(t.Context(), w.lane, w.role.Name); err != nil {
		t.Fatal(err)
	}
	if o := w.wants(ackrole.Deleting, 0); !strings.Contains(o.Message, "made again") {
		t.Errorf("message %q", o.Message)
	}
	now := metav1.NewTime(w.clock.Now())
	w.lane.DeletionTimestamp = &now
	if o := w.wants(ackrole.Deleting, 0); strings.Contains(o.Message, "made again") || !strings.Contains(o.Message, "see whether the ACK controller runs") {
		t.Errorf("message %q", o.Message)
	}
	for kind, then := range map[ack.ConditionType]string{ack.ConditionTypeRecoverable: "and the ACK controller fails: ", ack.ConditionTypeTerminal: "has given up: "} {
		w.later(time.Second)
		w.reports(cond(kind, corev1.ConditionTrue, "api error DeleteConflict: instance profile"))
		if o := w.wants(ackrole.Deleting, 0); !strings.Contains(o.Message, then) || !strings.HasSuffix(o.Message, "detach it in IAM") {
			t.Errorf("message %q", o.Message)
		}
	}
	w.edit(func(r *ackiam.Role) { r.Finalizers = nil })
}
