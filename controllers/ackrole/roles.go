package ackrole

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	ackiam "github.com/aws-controllers-k8s/iam-controller/apis/v1alpha1"
	ack "github.com/aws-controllers-k8s/runtime/apis/core/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
)

// AddToScheme adds ACK's kinds to a scheme.
func AddToScheme(scheme *runtime.Scheme) error { return ackiam.AddToScheme(scheme) }

// Kind is an empty Role resource, for a controller to watch.
func Kind() client.Object { return &ackiam.Role{} }

// Roles keeps roles in one cluster.
type Roles struct {
	writer client.Writer
	live   client.Reader
	clock  clock.PassiveClock
}

// New makes Roles. live must read past every cache: a Role from before the last
// write, with its report, would pass for the latest.
func New(writer client.Writer, live client.Reader, clock clock.PassiveClock) *Roles {
	return &Roles{writer: writer, live: live, clock: clock}
}

// Apply makes the lane's Role resource what role says and tells how it stands
// then. It writes only if something differs, or if ACK has to be woken to be
// believed. A Role of that name that is not the lane's is left alone.
//
// The error is the API server's and worth trying again; a refusal is not an error
// but the state Unreadable.
func (r *Roles) Apply(ctx context.Context, owner *v1alpha1.PlatformLane, role access.Role) (Observation, error) {
	var o Observation
	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		o, err = r.apply(ctx, owner, role)
		return err
	})
	return refused(o, err, "write", owner.Namespace, role.Name)
}

func (r *Roles) apply(ctx context.Context, owner *v1alpha1.PlatformLane, role access.Role) (Observation, error) {
	live, err := r.get(ctx, owner.Namespace, role.Name)
	if err != nil {
		return Observation{}, err
	}
	now := r.clock.Now()
	if live == nil {
		live, err = r.write(ctx, owner, role, nil, mark{Phase: confirming, At: now})
		if err != nil {
			return Observation{}, err
		}
		return observe(live, owner, now), nil
	}
	if !controlled(live, owner) || !live.DeletionTimestamp.IsZero() {
		return observe(live, owner, now), nil
	}
	role.Path = pathOf(live, role.Path)
	m, sound := readMark(live.Annotations)
	do, _, next := m.next(stampOf(live), now)
	switch {
	case !sound || !upToDate(live, owner, role):
		if live, err = r.strip(ctx, live, role); err != nil {
			return Observation{}, err
		}
		next = mark{Phase: written, Stamp: stampOf(live), At: now}
	case do != wake:
		return observe(live, owner, now), nil
	}
	if live, err = r.write(ctx, owner, role, live, next); err != nil {
		return Observation{}, err
	}
	return observe(live, owner, now), nil
}

// Observe tells how the lane's role stands and writes nothing.
func (r *Roles) Observe(ctx context.Context, owner *v1alpha1.PlatformLane, name string) (Observation, error) {
	live, err := r.get(ctx, owner.Namespace, name)
	if err != nil {
		return refused(Observation{}, err, "read", owner.Namespace, name)
	}
	if live == nil {
		return Observation{State: Missing, Message: fmt.Sprintf("there is no Role %s/%s; the operator makes it in its next pass", owner.Namespace, name)}, nil
	}
	return observe(live, owner, r.clock.Now()), nil
}

// Delete asks for the deletion of the lane's role and says whether it is gone:
// the Role resource, and with it the role in IAM. A Role that is not the lane's is
// left alone and counts as gone.
func (r *Roles) Delete(ctx context.Context, owner *v1alpha1.PlatformLane, name string) (gone bool, err error) {
	live, err := r.get(ctx, owner.Namespace, name)
	if err != nil {
		return false, fmt.Errorf("delete the Role %s/%s: %w", owner.Namespace, name, err)
	}
	if live == nil || !controlled(live, owner) {
		return true, nil
	}
	if err := r.pin(ctx, live); err != nil {
		return false, fmt.Errorf("make the Role %s/%s deletable: %w", owner.Namespace, name, err)
	}
	if !live.DeletionTimestamp.IsZero() {
		return false, nil
	}
	err = r.writer.Delete(ctx, live, client.Preconditions{UID: &live.UID})
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("delete the Role %s/%s: %w", owner.Namespace, name, err)
	}
	live, err = r.get(ctx, owner.Namespace, name)
	return live == nil && err == nil, err
}

// get is nil without an error if there is no such Role.
func (r *Roles) get(ctx context.Context, namespace, name string) (*ackiam.Role, error) {
	live := &ackiam.Role{}
	err := r.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, live)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return live, nil
}

// write applies our fields. An existing Role is written only as it was read: the
// mark says which report was there. A new one is not forced, for one that somebody
// else creates at this moment is theirs.
func (r *Roles) write(ctx context.Context, owner *v1alpha1.PlatformLane, role access.Role, live *ackiam.Role, m mark) (*ackiam.Role, error) {
	options := []client.ApplyOption{client.FieldOwner(Manager)}
	version, emptyList := "", true
	if live != nil {
		options = append(options, client.ForceOwnership)
		version, emptyList = live.ResourceVersion, live.Spec.Policies == nil
	}
	object, err := desired(owner, role, version, m, emptyList)
	if err != nil {
		return nil, err
	}
	if err := r.writer.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...); err != nil {
		return nil, err
	}
	result := &ackiam.Role{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, result); err != nil {
		return nil, err
	}
	return result, nil
}

// strip removes what somebody else put into the spec and returns the Role as it
// is then.
func (r *Roles) strip(ctx context.Context, live *ackiam.Role, role access.Role) (*ackiam.Role, error) {
	spec := intruders(live, role)
	if len(spec) == 0 {
		return live, nil
	}
	return live, r.merge(ctx, live, map[string]any{
		"metadata": map[string]any{"resourceVersion": live.ResourceVersion}, "spec": spec,
	})
}

// pin sets the annotations without which a deletion would leave the role in IAM.
func (r *Roles) pin(ctx context.Context, live *ackiam.Role) error {
	annotations := map[string]any{}
	for key, value := range pinned {
		if live.Annotations[key] != value {
			annotations[key] = value
		}
	}
	if len(annotations) == 0 {
		return nil
	}
	return r.merge(ctx, live, map[string]any{"metadata": map[string]any{"annotations": annotations}})
}

func (r *Roles) merge(ctx context.Context, live *ackiam.Role, patch map[string]any) error {
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	return r.writer.Patch(ctx, live, client.RawPatch(types.MergePatchType, raw), client.FieldOwner(Manager))
}

// observe tells how a Role stands.
func observe(live *ackiam.Role, owner *v1alpha1.PlatformLane, now time.Time) Observation {
	if !controlled(live, owner) {
		holder := "nobody"
		if ref := metav1.GetControllerOf(live); ref != nil {
			holder = fmt.Sprintf("the %s %s", ref.Kind, ref.Name)
		}
		return Observation{State: Conflict, Message: fmt.Sprintf(
			"the Role %s/%s is not this lane's (its controller is %s); delete it, or have its owner rename it", live.Namespace, live.Name, holder)}
	}
	if !live.DeletionTimestamp.IsZero() {
		return Observation{State: Deleting, ARN: arnOf(live), Message: deleting(live, owner)}
	}
	o := report(live)
	m, sound := readMark(live.Annotations)
	do, left, _ := m.next(stampOf(live), now)
	if sound && do == believe {
		return o
	}
	o.State, o.RecheckAfter = Syncing, left
	o.Message = fmt.Sprintf("the ACK controller has not reported on what was applied at %s; if this stays, see whether it runs",
		m.At.UTC().Format(time.RFC3339))
	if !sound || do == wake {
		o.RecheckAfter = time.Second
	}
	return o
}

// deleting tells of a Role that is being deleted, and what ACK says if that does
// not go well.
func deleting(live *ackiam.Role, owner *v1alpha1.PlatformLane) string {
	message := fmt.Sprintf("the Role %s/%s is being deleted", live.Namespace, live.Name)
	if failed := condition(live, ack.ConditionTypeRecoverable); holds(failed) && !isStep(text(failed.Message)) {
		return told(message+", and the ACK controller fails", text(failed.Message), adviceRecoverable)
	}
	if failed := condition(live, ack.ConditionTypeTerminal); holds(failed) {
		return told(message+", and the ACK controller has given up", text(failed.Message), adviceTerminal)
	}
	if owner.DeletionTimestamp.IsZero() {
		return message + " and is made again once it is gone; if this stays, see whether the ACK controller runs"
	}
	return message + "; if this stays, see whether the ACK controller runs"
}

// refused turns an answer that trying again does not change into the state
// Unreadable.
func refused(o Observation, err error, verb, namespace, name string) (Observation, error) {
	switch {
	case err == nil:
		return o, nil
	case meta.IsNoMatchError(err):
		return Observation{State: Unreadable, RecheckAfter: unreadableRecheck, Message: fmt.Sprintf(
			"the cluster does not know the kind Role of %s; install the ACK iam-controller and its CustomResourceDefinitions", ackiam.GroupVersion)}, nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return Observation{State: Unreadable, RecheckAfter: unreadableRecheck, Message: fmt.Sprintf(
			"the API server does not let the operator %s the Role %s/%s: %s; apply the operator's ClusterRole again, and see what admission policies say about Roles", verb, namespace, name, line(err.Error()))}, nil
	default:
		return Observation{}, fmt.Errorf("%s the Role %s/%s: %w", verb, namespace, name, err)
	}
}
