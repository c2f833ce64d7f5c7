package manifest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	schemavalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/config/crd"
)

// schema judges lanes.
type schema struct {
	structural *structuralschema.Structural
	openAPI    schemavalidation.SchemaValidator
	rules      *cel.Validator
}

// lanes is the schema of the version that this program speaks. Compiling its
// rules takes a moment, so it is done once and only if needed.
var lanes = sync.OnceValues(func() (*schema, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.PlatformLanes, &definition); err != nil {
		return nil, fmt.Errorf("the built-in definition of platformlanes: %w", err)
	}
	for _, version := range definition.Spec.Versions {
		if version.Name == v1alpha1.GroupVersion.Version {
			return newSchema(version.Schema.OpenAPIV3Schema)
		}
	}
	return nil, fmt.Errorf("the built-in definition of platformlanes has no version %s", v1alpha1.GroupVersion.Version)
})

func newSchema(properties *apiextensionsv1.JSONSchemaProps) (*schema, error) {
	var internal apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(properties, &internal, nil); err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(&internal)
	if err != nil {
		return nil, err
	}
	openAPI, _, err := schemavalidation.NewSchemaValidator(&internal)
	if err != nil {
		return nil, err
	}
	return &schema{structural, openAPI, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// unknown removes the fields that the schema does not have and returns their
// paths.
func (s *schema) unknown(object map[string]any) ([]string, error) {
	_, _, unknown, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return nil, err
	}
	unknown = append(unknown, pruning.PruneWithOptions(object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})...)
	return unknown, nil
}

// complete sets the defaults.
func (s *schema) complete(object map[string]any) {
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
}

// judge returns what the API server would refuse about a new lane, in its order:
// the rules of CEL are not looked at as long as the values do not even have the
// right form.
func (s *schema) judge(ctx context.Context, u *unstructured.Unstructured) field.ErrorList {
	object := u.Object
	problems := validation.ValidateObjectMetaAccessor(u, true, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	problems = append(problems, schemavalidation.ValidateCustomResource(nil, object, s.openAPI)...)
	problems = append(problems, objectmeta.Validate(ctx, nil, object, s.structural, false)...)
	problems = append(problems, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	for _, p := range problems {
		switch p.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return append(problems, field.Invalid(nil, nil, "some rules were not checked; correct this first"))
		}
	}
	broken, _ := s.rules.Validate(ctx, nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(problems, broken...)
}

// An Invalid is everything that is wrong with one manifest.
type Invalid struct {
	// Source is the file and, if it holds several, the document; Name is what the
	// manifest calls itself.
	Source, Name string
	// Lines say what is wrong, each beginning with the field.
	Lines []string
}

func (e *Invalid) Error() string {
	name := ""
	if e.Name != "" {
		name = ": lane " + e.Name
	}
	return fmt.Sprintf("%s%s is not valid:\n  %s", e.Source, name, strings.Join(e.Lines, "\n  "))
}

func line(problem *field.Error) string {
	at := problem.Field
	if at == "<nil>" {
		at = ""
	}
	body := problem.ErrorBody()
	if problem.Type == field.ErrorTypeInvalid && problem.BadValue == nil {
		body = problem.Detail
	}
	return plugin.Printable(plugin.CauseLine(at, body))
}
