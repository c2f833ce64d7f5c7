package ackrole

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	ackiam "github.com/aws-controllers-k8s/iam-controller/apis/v1alpha1"
	ack "github.com/aws-controllers-k8s/runtime/apis/core/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
)

// Manager is the field manager of what this package applies.
const Manager = access.ManagedBy

const managedByLabel = "app.kubernetes.io/managed-by"

// pinned are annotations that decide whether ACK does what the lane says. They
// are set to ACK's defaults, so that neither a hand nor a default of the
// namespace or the controller turns them: with retain, a deleted lane would
// leave a live credential; a read-only role would never be suspended; a role that
// ACK notes as adopted would not be made again once somebody deletes it in IAM.
var pinned = map[string]string{
	ack.AnnotationDeletionPolicy: string(ack.DeletionPolicyDelete),
	ack.AnnotationReadOnly:       "false",
	ack.AnnotationAdopted:        "false",
}

// adoptOrCreate makes ACK take over an IAM role that it did not make. It looks at
// that only until the Role resource and the IAM role are connected.
const adoptOrCreate = "adopt-or-create"

func adopts(owner *v1alpha1.PlatformLane) bool { return owner.Spec.Adopt == v1alpha1.AdoptExisting }

// Manifest is the lane's Role resource as far as it does not depend on the
// cluster: the fields that Apply writes, without the mark of the write and, for a
// lane that has no uid, without its owner.
func Manifest(lane *v1alpha1.PlatformLane, role access.Role) *unstructured.Unstructured {
	annotations := map[string]any{}
	for key, value := range pinned {
		annotations[key] = value
	}
	if adopts(lane) {
		annotations[ack.AnnotationAdoptionPolicy] = adoptOrCreate
	}
	tags := make([]any, len(role.Tags))
	for i, t := range role.Tags {
		tags[i] = map[string]any{"key": t.Key, "value": t.Value}
	}
	spec := map[string]any{
		"name": role.Name, "path": role.Path, "description": role.Description,
		"maxSessionDuration":       int64(role.MaxSessionSeconds),
		"assumeRolePolicyDocument": role.Trust,
		"inlinePolicies":           map[string]any{role.InlinePolicy.Name: role.InlinePolicy.Document},
		"tags":                     tags,
	}
	if role.BoundaryARN != "" {
		spec["permissionsBoundary"] = role.BoundaryARN
	}
	metadata := map[string]any{
		"name": role.Name, "namespace": lane.Namespace,
		"labels":      map[string]any{managedByLabel: Manager},
		"annotations": annotations,
	}
	if lane.UID != "" {
		metadata["ownerReferences"] = []any{map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "PlatformLane",
			"name": lane.Name, "uid": string(lane.UID),
			"controller": true, "blockOwnerDeletion": true,
		}}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": ackiam.GroupVersion.String(), "kind": "Role", "metadata": metadata, "spec": spec,
	}}
}

// desired is a Role with our fields and no others. resourceVersion is that of the
// Role it replaces, empty to create it. emptyList is the spelling of no policies.
func desired(owner *v1alpha1.PlatformLane, role access.Role, resourceVersion string, m mark, emptyList bool) (*unstructured.Unstructured, error) {
	note, err := m.encode()
	if err != nil {
		return nil, err
	}
	object := Manifest(owner, role)
	annotations := object.GetAnnotations()
	annotations[markAnnotation] = note
	object.SetAnnotations(annotations)
	if emptyList {
		err = unstructured.SetNestedSlice(object.Object, []any{}, "spec", "policies")
	}
	if resourceVersion != "" {
		object.SetResourceVersion(resourceVersion)
	}
	return object, err
}

// upToDate says whether a Role has our fields as they should be, and nothing that
// would give the role more.
func upToDate(live *ackiam.Role, owner *v1alpha1.PlatformLane, role access.Role) bool {
	if adopts(owner) && live.Annotations[ack.AnnotationAdoptionPolicy] != adoptOrCreate {
		return false
	}
	for key, value := range pinned {
		if live.Annotations[key] != value {
			return false
		}
	}
	spec := live.Spec
	inline := map[string]string{}
	for name, document := range spec.InlinePolicies {
		inline[name] = text(document)
	}
	return live.Labels[managedByLabel] == Manager &&
		text(spec.Name) == role.Name && text(spec.Path) == role.Path && text(spec.Description) == role.Description &&
		spec.MaxSessionDuration != nil && *spec.MaxSessionDuration == int64(role.MaxSessionSeconds) &&
		sameMeaning(text(spec.AssumeRolePolicyDocument), role.Trust) &&
		maps.Equal(inline, map[string]string{role.InlinePolicy.Name: role.InlinePolicy.Document}) &&
		text(spec.PermissionsBoundary) == role.BoundaryARN &&
		slices.Equal(tagsOf(spec), role.Tags) &&
		len(intruders(live, role)) == 0
}

// sameMeaning compares trust policies as ACK does: it may spell one anew.
func sameMeaning(a, b string) bool {
	var x, y any
	return a == b ||
		json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

func tagsOf(spec ackiam.RoleSpec) []access.Tag {
	tags := make([]access.Tag, 0, len(spec.Tags))
	for _, t := range spec.Tags {
		if t != nil {
			tags = append(tags, access.Tag{Key: text(t.Key), Value: text(t.Value)})
		}
	}
	slices.SortFunc(tags, func(a, b access.Tag) int { return strings.Compare(a.Key, b.Key) })
	return tags
}

// intruders is a merge patch of spec that removes what somebody else put beside
// our fields; server-side apply alone would leave it.
func intruders(live *ackiam.Role, role access.Role) map[string]any {
	patch := map[string]any{}
	if len(live.Spec.Policies) > 0 {
		patch["policies"] = nil
	}
	if len(live.Spec.PolicyRefs) > 0 {
		patch["policyRefs"] = nil
	}
	if live.Spec.PermissionsBoundaryRef != nil {
		patch["permissionsBoundaryRef"] = nil
	}
	if live.Spec.PermissionsBoundary != nil && role.BoundaryARN == "" {
		patch["permissionsBoundary"] = nil
	}
	inline := map[string]any{}
	for name := range live.Spec.InlinePolicies {
		if name != role.InlinePolicy.Name {
			inline[name] = nil
		}
	}
	if len(inline) > 0 {
		patch["inlinePolicies"] = inline
	}
	return patch
}

// pathOf is the path that the role has in IAM, whatever the configuration says
// by now: IAM cannot change it, and ACK would try for ever.
func pathOf(live *ackiam.Role, configured string) string {
	_, resource, found := strings.Cut(arnOf(live), ":role/")
	if !found {
		return configured
	}
	return "/" + resource[:strings.LastIndex(resource, "/")+1]
}

// controlled says whether a Role is the lane's.
func controlled(live *ackiam.Role, owner *v1alpha1.PlatformLane) bool {
	return metav1.IsControlledBy(live, owner)
}
