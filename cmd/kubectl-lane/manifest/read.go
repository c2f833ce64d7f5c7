package manifest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

const (
	// maxBytes bounds a file.
	maxBytes = 16 << 20
	// maxLanes bounds how many lanes a file may hold.
	maxLanes = 10000
)

// kind of the manifests that are read.
const kind = "PlatformLane"

// Namespace is the one of manifests that name none.
type Namespace struct {
	Name string
	// Enforced says that it was asked for: a manifest that names another one is
	// refused.
	Enforced bool
}

// Read reads the lanes of a file, which errors call by its name. Documents of
// other kinds are passed over, as a file may hold a lane beside its Namespace; it
// is an error if there is no lane at all. The error is about the whole file, or
// joins an Invalid for each manifest that is not valid.
func Read(ctx context.Context, in io.Reader, name string, namespace Namespace) ([]*v1alpha1.PlatformLane, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxBytes {
		return nil, fmt.Errorf("%s: more than %d bytes; split the file", name, maxBytes)
	}
	objects, err := split(data, name)
	if err != nil {
		return nil, err
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf("%s: holds no PlatformLane of %s", name, v1alpha1.GroupVersion)
	}
	judge, err := lanes()
	if err != nil {
		return nil, err
	}
	var out []*v1alpha1.PlatformLane
	var invalid []error
	for _, o := range objects {
		lane, err := judge.lane(ctx, o, namespace)
		if err != nil {
			invalid = append(invalid, err)
			continue
		}
		out = append(out, lane)
	}
	return out, errors.Join(invalid...)
}

// found is one manifest of a lane.
type found struct {
	source string
	object map[string]any
}

// split finds the manifests of lanes in a file of several documents and lists.
func split(data []byte, name string) ([]found, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var documents []found
	for n := 1; ; n++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		source := fmt.Sprintf("%s, document %d", name, n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		object, err := decode(document)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		if object != nil {
			documents = append(documents, found{source, object})
		}
	}
	if len(documents) == 1 {
		documents[0].source = name
	}
	var out []found
	for _, d := range documents {
		out = append(out, d.lanes()...)
	}
	if len(out) > maxLanes {
		return nil, fmt.Errorf("%s: holds %d lanes, at most %d are read; split the file", name, len(out), maxLanes)
	}
	return out, nil
}

// decode is nil for a document that holds nothing.
func decode(document []byte) (map[string]any, error) {
	raw, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, nil
	}
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, errors.New("is no manifest: it is not an object with apiVersion, kind, metadata and spec")
	}
	u := unstructured.Unstructured{Object: object}
	if u.GetKind() == "" || u.GetAPIVersion() == "" {
		return nil, errors.New("is no manifest: it says no apiVersion or no kind")
	}
	return object, nil
}

// lanes are the document itself or the items of a list.
func (f found) lanes() []found {
	u := unstructured.Unstructured{Object: f.object}
	if u.GetKind() == kind && u.GetAPIVersion() == v1alpha1.GroupVersion.String() {
		return []found{f}
	}
	if !u.IsList() {
		return nil
	}
	items, _, _ := unstructured.NestedSlice(f.object, "items")
	var out []found
	for i, item := range items {
		if object, ok := item.(map[string]any); ok {
			out = append(out, found{fmt.Sprintf("%s, items[%d]", f.source, i), object}.lanes()...)
		}
	}
	return out
}

// lane completes and judges one manifest.
func (s *schema) lane(ctx context.Context, f found, namespace Namespace) (*v1alpha1.PlatformLane, error) {
	u := &unstructured.Unstructured{Object: f.object}
	unknown, err := s.unknown(u.Object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.source, err)
	}
	invalid := &Invalid{Source: f.source, Name: u.GetName()}
	switch {
	case u.GetNamespace() == "":
		u.SetNamespace(namespace.Name)
	case namespace.Enforced && u.GetNamespace() != namespace.Name:
		invalid.Lines = append(invalid.Lines, fmt.Sprintf("metadata.namespace: is %s, but %s was asked for", u.GetNamespace(), namespace.Name))
	}
	for _, path := range unknown {
		invalid.Lines = append(invalid.Lines, path+": there is no such field (names are case-sensitive)")
	}
	s.complete(u.Object)
	for _, problem := range s.judge(ctx, u) {
		invalid.Lines = append(invalid.Lines, line(problem))
	}
	if len(invalid.Lines) > 0 {
		return nil, invalid
	}
	lane := &v1alpha1.PlatformLane{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, lane); err != nil {
		return nil, fmt.Errorf("%s: %w", f.source, err)
	}
	return lane, nil
}
