package api

import (
	"encoding/json"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// The least that each kind needs. The tables below change one thing in it.
const (
	leastLane = `
apiVersion: distribution.pytorch.org/v1alpha1
kind: PlatformLane
metadata: {name: spyre}
spec: {platform: spyre}
`
	leastYank = `
apiVersion: distribution.pytorch.org/v1alpha1
kind: Yank
metadata: {name: broken}
spec:
  laneRef: {name: spyre}
  selector: {package: torch}
  mode: IndexRemoval
  reason: broken
`
)

// manifest is base with a JSON merge patch, written as YAML, laid over its spec.
func manifest(t *testing.T, base, specPatch string) *unstructured.Unstructured {
	t.Helper()
	original, err := yaml.YAMLToJSON([]byte(base))
	if err != nil {
		t.Fatalf("%v in\n%s", err, base)
	}
	change, err := yaml.YAMLToJSON([]byte("spec: {" + specPatch + "}"))
	if err != nil {
		t.Fatalf("%v in %s", err, specPatch)
	}
	merged, err := jsonpatch.MergePatch(original, change)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(merged, &object.Object); err != nil {
		t.Fatal(err)
	}
	return object
}

var strict = metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}

var strictDryRun = metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict, DryRun: []string{metav1.DryRunAll}}
