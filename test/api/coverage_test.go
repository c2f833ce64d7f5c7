package api

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/pytorch/platform-lane-operator/test/apiserver"
)

// TestEveryRuleIsTested: the message of every CEL rule of both kinds is what
// some bad manifest or transition above is refused with.
func TestEveryRuleIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, bad := range append(append([]badManifest{}, badLanes...), badYanks...) {
		tested[bad.says] = true
	}
	for _, test := range transitions {
		tested[test.says] = true
	}
	rules := 0
	for kind, schema := range schemas(t) {
		for path, node := range nodes("", schema) {
			for _, rule := range node.XValidations {
				rules++
				switch {
				case rule.Message == "":
					t.Errorf("%s%s: the rule %s has no message", kind, path, rule.Rule)
				case !tested[rule.Message]:
					t.Errorf("%s%s: no bad manifest is refused with %q", kind, path, rule.Message)
				}
			}
		}
	}
	if rules < 40 {
		t.Errorf("found %d rules; the walk does not reach them all", rules)
	}
}

// schemas are the OpenAPI schemas of both kinds.
func schemas(t *testing.T) map[string]apiextensionsv1.JSONSchemaProps {
	t.Helper()
	dir, err := apiserver.OwnCRDs()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]apiextensionsv1.JSONSchemaProps{}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatal(err)
		}
		out[crd.Spec.Names.Kind] = *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	if len(out) != 2 {
		t.Fatalf("found %d kinds below %s, want 2", len(out), dir)
	}
	return out
}

// nodes are the schema and everything below it, by path; [] stands for the
// items of a list.
func nodes(path string, schema apiextensionsv1.JSONSchemaProps) map[string]apiextensionsv1.JSONSchemaProps {
	out := map[string]apiextensionsv1.JSONSchemaProps{path: schema}
	for name, property := range schema.Properties {
		maps.Copy(out, nodes(path+"."+name, property))
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		maps.Copy(out, nodes(path+"[]", *schema.Items.Schema))
	}
	return out
}
