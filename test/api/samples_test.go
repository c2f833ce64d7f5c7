package api

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const samplesDir = "../../config/samples"

// TestSamplesApply creates every sample as it stands, in the namespace that it
// names.
func TestSamplesApply(t *testing.T) {
	for _, object := range objects(t, "namespaces.yaml") {
		apply(t, client, object)
	}
	files, err := filepath.Glob(filepath.Join(samplesDir, "distribution_*.yaml"))
	if err != nil || len(files) < 8 {
		t.Fatalf("found %d samples (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(text, []byte("# ")) {
				t.Error("the sample does not begin with a comment that says what it is for")
			}
			for _, object := range objects(t, filepath.Base(file)) {
				stored, err := resource(t, object).Create(t.Context(), object, strict)
				if err != nil {
					t.Fatal(err)
				}
				remove(t, stored)
			}
		})
	}
}

// TestSamplesKustomization: the overlay holds every lane and no Yank.
func TestSamplesKustomization(t *testing.T) {
	var listed struct{ Resources []string }
	text, err := os.ReadFile(filepath.Join(samplesDir, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &listed); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(samplesDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := file.Name()
		wanted := strings.Contains(name, "platformlane") || name == "namespaces.yaml"
		if slices.Contains(listed.Resources, name) != wanted {
			t.Errorf("kustomization.yaml lists %s: %t, want %t", name, !wanted, wanted)
		}
	}
}

// objects are the documents of a sample.
func objects(t *testing.T, file string) (out []*unstructured.Unstructured) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samplesDir, file))
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(document), &object.Object); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, object)
	}
	return out
}

var serverSideApply = metav1.ApplyOptions{FieldManager: "test", Force: true}
