package api

import (
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
)

// TestNobodyGetsPastTheOperator: none of the shipped roles lets a person write what
// stands between a lane and IAM, read its keys, or change the rules.
func TestNobodyGetsPastTheOperator(t *testing.T) {
	install(t)
	namespace := newNamespace(t)
	for role, user := range map[string]string{"platform-lane-yanker": "vendor", "platform-lane-editor": "releng", "platform-lane-viewer": "reader"} {
		bind(t, namespace, role, user)
		for _, of := range []authorizationv1.ResourceAttributes{
			{Group: "iam.services.k8s.aws", Resource: "roles"},
			{Group: "iam.services.k8s.aws", Resource: "roles", Subresource: "status"},
			{Group: "services.k8s.aws", Resource: "adoptedresources"},
			{Resource: "secrets"},
			{Group: "admissionregistration.k8s.io", Resource: "mutatingadmissionpolicies"},
			{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"},
			{Group: "rbac.authorization.k8s.io", Resource: "rolebindings"},
		} {
			for _, verb := range []string{"create", "update", "patch", "delete"} {
				of.Verb, of.Namespace = verb, namespace
				ask(t, user, nil, of, false)
			}
		}
		ask(t, user, nil, authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets", Namespace: namespace}, false)
	}
}
