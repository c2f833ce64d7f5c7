package api

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// TestRequester: the API server writes who created a Yank, whatever the request
// says, and nobody changes it afterwards.
func TestRequester(t *testing.T) {
	install(t)
	alice := yanksAs(t, "alice@example.com")

	forged := yankNamed("forged")
	forged.SetAnnotations(map[string]string{v1alpha1.RequesterAnnotation: "bob@example.com", "team": "psirt"})
	created := createUntilStamped(t, alice, forged, "alice@example.com")
	if created.GetAnnotations()["team"] != "psirt" {
		t.Errorf("other annotations are lost: %v", created.GetAnnotations())
	}
	for why, change := range map[string]string{
		"changed":     `{"metadata":{"annotations":{"` + v1alpha1.RequesterAnnotation + `":"bob@example.com"}}}`,
		"removed":     `{"metadata":{"annotations":{"` + v1alpha1.RequesterAnnotation + `":null}}}`,
		"all removed": `{"metadata":{"annotations":null}}`,
	} {
		_, err := alice.Patch(t.Context(), "forged", "application/merge-patch+json", []byte(change), metav1.PatchOptions{})
		if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot be changed or removed") {
			t.Errorf("%s: %v, want a refusal", why, err)
		}
	}
	if _, err := alice.Patch(t.Context(), "forged", "application/merge-patch+json", []byte(`{"metadata":{"annotations":{"team":"x"}}}`), metav1.PatchOptions{}); err != nil {
		t.Errorf("another annotation cannot be changed: %v", err)
	}
}

func yanksAs(t *testing.T, user string) dynamic.ResourceInterface {
	t.Helper()
	as, err := server.AddUser(user, "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	c, err := dynamic.NewForConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	return c.Resource(v1alpha1.GroupVersion.WithResource("yanks")).Namespace("default")
}

func yankNamed(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "Yank",
		"metadata": map[string]any{"name": name, "namespace": "default"},
		"spec": map[string]any{
			"laneRef": map[string]any{"name": "spyre"}, "selector": map[string]any{"package": "torch"},
			"mode": "Flag", "reason": "test",
		},
	}}
}

// createUntilStamped creates a Yank again and again until the policy, which the
// API server takes up a moment after it was installed, has stamped it.
func createUntilStamped(t *testing.T, yanks dynamic.ResourceInterface, y *unstructured.Unstructured, want string) *unstructured.Unstructured {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		created, err := yanks.Create(ctx, y, metav1.CreateOptions{})
		if err == nil && created.GetAnnotations()[v1alpha1.RequesterAnnotation] == want {
			return created
		}
		if ctx.Err() != nil {
			t.Fatalf("the requester is not stamped: %v, %v", created.GetAnnotations(), err)
		}
		_ = yanks.Delete(ctx, y.GetName(), metav1.DeleteOptions{})
		time.Sleep(100 * time.Millisecond)
	}
}
