package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Apply applies every document of YAML files, as kubectl apply --server-side does.
func (s *Stack) Apply(ctx context.Context, files ...string) error {
	config, err := s.RESTConfig()
	if err != nil {
		return err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := applyFile(ctx, c, file); err != nil {
			return fmt.Errorf("apply %s: %w", file, err)
		}
	}
	return nil
}

func applyFile(ctx context.Context, c client.Client, file string) error {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	documents := yaml.NewYAMLOrJSONDecoder(f, 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if object.Object == nil {
			continue // Comments only.
		}
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("sandbox"), client.ForceOwnership); err != nil {
			return err
		}
	}
}

// InstallProduct installs what this repository gives a cluster, beside the
// operator itself: its CRDs and admission policies.
func (s *Stack) InstallProduct(ctx context.Context) error {
	root, err := RepositoryRoot()
	if err != nil {
		return err
	}
	if err := s.InstallCRDs(ctx, filepath.Join(root, "config", "crd", "bases")); err != nil {
		return err
	}
	for _, policies := range []string{"access.yaml", "requester.yaml"} {
		if err := s.Apply(ctx, filepath.Join(root, "config", "policy", policies)); err != nil {
			return err
		}
	}
	return nil
}
