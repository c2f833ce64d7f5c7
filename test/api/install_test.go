package api

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// install renders config/default and applies it, object by object.
func install(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../../config/default")
	if err != nil {
		t.Fatalf("rendering config/default: %v", err)
	}
	var out []*unstructured.Unstructured
	for _, r := range rendered.Resources() {
		object, err := r.Map()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, &unstructured.Unstructured{Object: object})
	}
	// As kubectl does: what others live in comes first.
	slices.SortStableFunc(out, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	for _, object := range out {
		apply(t, client, object)
	}
	return out
}

func rank(object *unstructured.Unstructured) int {
	if object.GetKind() == "Namespace" {
		return 0
	}
	return 1
}

// apply is kubectl apply --server-side with strict validation of fields.
func apply(t *testing.T, client dynamic.Interface, object *unstructured.Unstructured) {
	t.Helper()
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(clientset.Discovery()))
	gvk := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		t.Fatalf("%s: %v", gvk, err)
	}
	_, err = client.Resource(mapping.Resource).Namespace(object.GetNamespace()).
		Apply(t.Context(), object.GetName(), object, serverSideApply)
	if err != nil {
		t.Fatalf("%s %s: %v", gvk.Kind, object.GetName(), err)
	}
}

func TestInstall(t *testing.T) {
	installed := install(t)
	for _, object := range installed {
		if object.GetLabels()["app.kubernetes.io/part-of"] != "platform-lane-operator" {
			t.Errorf("%s %s lacks the label part-of", object.GetKind(), object.GetName())
		}
	}
	t.Run("Deployment", func(t *testing.T) { deploymentIsRestricted(t) })
	t.Run("operator", func(t *testing.T) {
		t.Run("elects a leader", may("platform-lane-operator", "update", "coordination.k8s.io", "leases", "", operatorNamespace, true))
		t.Run("reviews tokens", may("platform-lane-operator", "create", "authentication.k8s.io", "tokenreviews", "", "", true))
		t.Run("writes status", may("platform-lane-operator", "patch", group, "yanks", "status", "any", true))
		t.Run("edits no RBAC", may("platform-lane-operator", "update", "rbac.authorization.k8s.io", "clusterroles", "", "", false))
	})
}

const (
	operatorNamespace = "platform-lane-system"
	group             = "distribution.pytorch.org"
)

// may asks the API server what a service account of the operator's namespace
// may do.
func may(account, verb, apiGroup, resource, subresource, namespace string, want bool) func(*testing.T) {
	return func(t *testing.T) {
		ask(t, "system:serviceaccount:"+operatorNamespace+":"+account, nil, authorizationv1.ResourceAttributes{
			Verb: verb, Group: apiGroup, Resource: resource, Subresource: subresource, Namespace: namespace,
		}, want)
	}
}

func ask(t *testing.T, user string, groups []string, attributes authorizationv1.ResourceAttributes, want bool) {
	t.Helper()
	// The API server takes up new roles and bindings a moment after they were
	// written: what is to be allowed may take that long.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		review, err := clientset.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: &attributes},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed == want {
			return
		}
		if !want || time.Now().After(deadline) {
			t.Errorf("%s may %s %s/%s in %q: %t, want %t", user, attributes.Verb, attributes.Resource, attributes.Subresource,
				attributes.Namespace, review.Status.Allowed, want)
			return
		}
	}
}

// deploymentIsRestricted: the operator's namespace enforces the restricted pod
// security standard, and a Pod of the Deployment gets in.
func deploymentIsRestricted(t *testing.T) {
	deployment, err := clientset.AppsV1().Deployments(operatorNamespace).Get(t.Context(), "platform-lane-operator", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if *deployment.Spec.Replicas != 2 {
		t.Errorf("%d replicas, want 2", *deployment.Spec.Replicas)
	}
	pod := podOf(deployment)
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := clientset.CoreV1().Pods(operatorNamespace).Create(t.Context(), pod, dryRun); err != nil {
		t.Errorf("the operator's Pod is refused: %v", err)
	}
	pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil
	if _, err := clientset.CoreV1().Pods(operatorNamespace).Create(t.Context(), pod, dryRun); !apierrors.IsForbidden(err) {
		t.Errorf("a Pod that may escalate privileges got %v, want Forbidden", err)
	}
}

func podOf(deployment *appsv1.Deployment) *corev1.Pod {
	pod := &corev1.Pod{Spec: *deployment.Spec.Template.Spec.DeepCopy()}
	pod.Name = "one"
	return pod
}

// TestRoles: what the shipped cluster roles allow, and what they do not.
func TestRoles(t *testing.T) {
	install(t)
	namespace := newNamespace(t)
	for role, user := range map[string]string{"platform-lane-yanker": "vendor", "platform-lane-editor": "releng", "platform-lane-viewer": "reader"} {
		bind(t, namespace, role, user)
	}
	for _, test := range []struct {
		user, verb, resource string
		want                 bool
	}{
		{"vendor", "create", "yanks", true},
		{"vendor", "patch", "yanks", true},
		{"vendor", "watch", "yanks", true},
		{"vendor", "get", "platformlanes", true},
		{"vendor", "delete", "yanks", false},
		{"vendor", "create", "platformlanes", false},
		{"vendor", "patch", "platformlanes", false},
		{"releng", "create", "platformlanes", true},
		{"releng", "delete", "platformlanes", true},
		{"releng", "create", "yanks", false},
		{"reader", "list", "yanks", true},
		{"reader", "list", "platformlanes", true},
		{"reader", "create", "yanks", false},
		{"reader", "patch", "platformlanes", false},
	} {
		for where, want := range map[string]bool{namespace: test.want, metav1.NamespaceDefault: false} {
			ask(t, test.user, nil, authorizationv1.ResourceAttributes{Verb: test.verb, Group: group, Resource: test.resource, Namespace: where}, want)
		}
		ask(t, test.user, nil, authorizationv1.ResourceAttributes{Verb: "patch", Group: group, Resource: test.resource, Subresource: "status", Namespace: namespace}, false)
	}
}

// TestTheOperatorSeesSecretsWhereItIsLet: it may touch no Secret of the cluster,
// and where its role is bound it may neither list nor watch them.
func TestTheOperatorSeesSecretsWhereItIsLet(t *testing.T) {
	install(t)
	namespace := newNamespace(t)
	operator := "system:serviceaccount:" + operatorNamespace + ":platform-lane-operator"
	verbs := map[string]bool{"get": true, "create": true, "patch": true, "delete": true, "list": false, "watch": false, "update": false, "deletecollection": false}
	for _, bound := range []bool{false, true} {
		if bound {
			bind(t, namespace, "platform-lane-operator-access-keys", operator)
		}
		for verb, needed := range verbs {
			for where, let := range map[string]bool{namespace: bound && needed, operatorNamespace: false, "": false} {
				ask(t, operator, nil, authorizationv1.ResourceAttributes{Verb: verb, Resource: "secrets", Namespace: where}, let)
			}
		}
	}
}

func bind(t *testing.T, namespace, role, user string) {
	t.Helper()
	object := map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"metadata": map[string]any{"name": role, "namespace": namespace},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
		"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}},
	}
	apply(t, client, &unstructured.Unstructured{Object: runtime.DeepCopyJSON(object)})
}
