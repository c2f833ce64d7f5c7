package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Manifests with every field of each kind set, status included.
const (
	wholeLane = `
apiVersion: distribution.pytorch.org/v1alpha1
kind: PlatformLane
metadata: {generateName: whole-}
spec:
  platform: spyre
  channels: [{name: nightly, retentionDays: 90, keepVersions: 3}, {name: release, retainSeries: 3}]
  packages: [torch]
  publishers:
  - name: github
    gitHubActions: {repository: a/b, repositoryID: 1, repositoryOwnerID: 2, environment: e, refs: [refs/heads/main], workflowRefs: [a/b/.github/workflows/u.yml@refs/heads/main]}
  - name: gitlab
    oidc: {issuer: https://gitlab.com, audience: a, subjects: [abcd], claims: [{key: project_id, values: ["1"]}]}
  - name: key
    accessKey: {rotationDays: 30, overlapHours: 24}
  access: Active
  latestSupportedRelease: "2.9"
  maintainers: [{name: a, email: a@b.example, gitHub: c}]
  adopt: Never
  dependencies: [{project: sympy, indexURL: https://index.example.com/simple/}]
  provenance: Optional
  deletionPolicy: Retain
status:
  conditions: [{type: Ready, status: "True", reason: Ready, message: m, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z"}]
  observedGeneration: 1
  role: {name: r, arn: a}
  accessKey: {userName: u, secretName: s, keyID: k, createdAt: "2026-01-01T00:00:00Z", rotatesAt: "2026-01-01T00:00:00Z", previousKeyID: k, previousExpiresAt: "2026-01-01T00:00:00Z"}
  access: Active
  accessChange: {access: Active, by: b, reason: r, time: "2026-01-01T00:00:00Z"}
  publishesTo: nightly,release
  sessionsNotBefore: "2026-01-01T00:00:00Z"
  channels: [{name: nightly, prefix: p, indexURL: i, installCommand: c, projects: 1, files: 1, lastUpload: "2026-01-01T00:00:00Z", retention: {dueFiles: 1, dueBytes: 1, dueSince: "2026-01-01T00:00:00Z", removesAt: "2026-01-01T00:00:00Z", keys: [k]}}]
  rejectedFiles: [{key: k, reason: r, message: m}]
  rejectedFilesCount: 1
  dependencies: [{project: p, files: 1, lastRefreshed: "2026-01-01T00:00:00Z", message: m}]
  filesCount: 1
`
	wholeYank = `
apiVersion: distribution.pytorch.org/v1alpha1
kind: Yank
metadata: {generateName: whole-}
spec:
  laneRef: {name: spyre}
  selector:
    package: torch
    versions: ==2.9.0
    channels: [nightly]
    files: ["*"]
    sha256: [` + aHash + `]
  mode: Flag
  execution: Execute
  reason: r
  advisory: {id: CVE-2026-1, url: https://example.com}
  onBehalfOf: o
  onDelete: KeepYanked
status:
  conditions: [{type: Ready, status: "True", reason: Ready, message: m, observedGeneration: 1, lastTransitionTime: "2026-01-01T00:00:00Z"}]
  observedGeneration: 1
  requester: r
  artifactsCount: 1
  verifiedCount: 1
  artifacts: [{key: k, sha256: ` + aHash + `, sizeBytes: 1, state: Planned}]
  warnings: [w]
  record: r
  plannedTime: "2026-01-01T00:00:00Z"
  indexRemovedTime: "2026-01-01T00:00:00Z"
  accessBlockedTime: "2026-01-01T00:00:00Z"
  verifiedTime: "2026-01-01T00:00:00Z"
`
)

// A breach is a value that breaks one bound of the schema.
type breach struct {
	node  string // path in the schema
	field string // path in the object, as the API server spells it
	kind  metav1.CauseType
	says  string
	apply func(whole map[string]any)
}

// TestEveryBoundHolds breaks every bound of both schemas, one at a time, and
// expects the refusal to name the field and the bound. Each field must have its
// bounds, so none can be dropped unnoticed.
func TestEveryBoundHolds(t *testing.T) {
	for _, whole := range []string{wholeLane, wholeYank} {
		original := manifest(t, whole, "")
		kind := original.GetKind()
		schema := schemas(t)[kind]
		for _, part := range []string{"spec", "status"} {
			t.Run(kind+"/"+part, func(t *testing.T) {
				if err := submit(t, part, original, original.DeepCopy()); err != nil {
					t.Fatalf("the whole manifest is refused: %v", err)
				}
				walk := &walker{t: t, visited: map[string]bool{}}
				walk.value(schema.Properties[part], part, part, original.Object[part], root(part))
				for path, node := range nodes(part, schema.Properties[part]) {
					if !walk.visited[path] {
						t.Errorf("the whole manifest does not set %s", path)
					}
					expectBounds(t, part, path, node)
				}
				for _, breach := range walk.breaches {
					broken := original.DeepCopy()
					breach.apply(broken.Object)
					expectBreach(t, breach, submit(t, part, original, broken))
				}
				if len(walk.breaches) < 20 {
					t.Errorf("only %d bounds were tried", len(walk.breaches))
				}
			})
		}
	}
}

// submit creates the object, or for status writes it over the original's.
func submit(t *testing.T, part string, original, broken *unstructured.Unstructured) error {
	t.Helper()
	api := resource(t, original)
	if part == "spec" {
		_, err := api.Create(t.Context(), broken, strictDryRun)
		return err
	}
	stored, err := api.Create(t.Context(), original, strict)
	if err != nil {
		t.Fatal(err)
	}
	defer remove(t, stored)
	stored.Object["status"] = broken.Object["status"]
	_, err = api.UpdateStatus(t.Context(), stored, metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict})
	return err
}

func expectBreach(t *testing.T, want breach, err error) {
	t.Helper()
	for _, cause := range causes(err) {
		if cause.Type == want.kind && cause.Field == want.field && strings.Contains(cause.Message, want.says) {
			return
		}
	}
	if want.kind == "" && apierrors.IsBadRequest(err) && strings.Contains(err.Error(), want.says) {
		return
	}
	t.Errorf("%s: got %v, want %s %q", want.field, err, want.kind, want.says)
}

// expectBounds: strings have both lengths, an enum or a format; lists have a
// length; numbers of a spec have both ends.
func expectBounds(t *testing.T, part, path string, node apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	condition := strings.HasPrefix(path, "status.conditions[]") // metav1.Condition has its own
	switch {
	case condition:
	case node.Type == "string" && node.Enum == nil && node.Format == "" && (node.MaxLength == nil || node.MinLength == nil):
		t.Errorf("%s: a string without minLength and maxLength", path)
	case node.Type == "array" && node.MaxItems == nil:
		t.Errorf("%s: a list without maxItems", path)
	case node.Type == "array" && part == "spec" && node.MinItems == nil:
		t.Errorf("%s: a list without minItems", path)
	case node.Type == "integer" && (node.Minimum == nil || part == "spec" && node.Maximum == nil):
		t.Errorf("%s: a number without minimum and maximum", path)
	}
}

// place reads and writes one value inside a whole manifest.
type place struct {
	set    func(whole map[string]any, value any)
	remove func(whole map[string]any)
}

func root(part string) place {
	return place{
		set:    func(whole map[string]any, value any) { whole[part] = value },
		remove: func(whole map[string]any) { delete(whole, part) },
	}
}

type walker struct {
	t        *testing.T
	visited  map[string]bool
	breaches []breach
}

// value records the breaches of a node of the schema at a value of the whole
// manifest, and those of everything below it.
func (w *walker) value(schema apiextensionsv1.JSONSchemaProps, node, field string, value any, at place) {
	first := !w.visited[node]
	w.visited[node] = true
	add := func(kind metav1.CauseType, says string, broken any) {
		if first {
			w.breaches = append(w.breaches, breach{node, field, kind, says, func(whole map[string]any) { at.set(whole, broken) }})
		}
	}
	invalid, required := metav1.CauseTypeFieldValueInvalid, metav1.CauseTypeFieldValueRequired
	switch schema.Type {
	case "string":
		if schema.MinLength != nil && *schema.MinLength > 0 {
			add(invalid, fmt.Sprintf("at least %d chars long", *schema.MinLength), strings.Repeat("a", int(*schema.MinLength)-1))
		}
		if schema.MaxLength != nil {
			add("FieldValueTooLong", fmt.Sprintf("may not be more than %d bytes", *schema.MaxLength), strings.Repeat("a", int(*schema.MaxLength)+1))
		}
		if schema.Enum != nil {
			add(metav1.CauseTypeFieldValueNotSupported, "supported values", "Nonsense")
		}
		if schema.Format == "date-time" {
			add("FieldValueTypeInvalid", "must be of type date-time", "yesterday")
		} else {
			add("FieldValueTypeInvalid", "must be of type string", int64(7))
		}
	case "integer":
		if schema.Minimum != nil {
			add(invalid, fmt.Sprintf("greater than or equal to %g", *schema.Minimum), int64(*schema.Minimum)-1)
		}
		if schema.Maximum != nil {
			add(invalid, "less than or equal to", int64(*schema.Maximum)+1)
		}
	case "array":
		items, ok := value.([]any)
		if !ok {
			w.t.Fatalf("%s: the whole manifest holds no list", node)
		}
		w.list(schema, node, field, items, at, add)
	case "object":
		object, ok := value.(map[string]any)
		if !ok {
			w.t.Fatalf("%s: the whole manifest holds no object", node)
		}
		if schema.Properties == nil {
			w.t.Errorf("%s: an object of unknown fields", node)
		}
		for _, name := range schema.Required {
			if first {
				w.breaches = append(w.breaches, breach{node, field + "." + name, required, "Required value", member(at, object, name).remove})
			}
		}
		if schema.MinProperties != nil {
			add(invalid, fmt.Sprintf("at least %d properties", *schema.MinProperties), map[string]any{})
		}
		for name, property := range schema.Properties {
			if child, set := object[name]; set {
				w.value(property, node+"."+name, field+"."+name, child, member(at, object, name))
			}
		}
		misspelt := deepCopy(w.t, object)
		misspelt["nonsense"] = "x"
		add("", fmt.Sprintf("unknown field %q", field+".nonsense"), misspelt)
	default:
		w.t.Errorf("%s: the walk knows no type %q", node, schema.Type)
	}
}

func (w *walker) list(schema apiextensionsv1.JSONSchemaProps, node, field string, items []any, at place, add func(metav1.CauseType, string, any)) {
	if schema.MinItems != nil {
		add(metav1.CauseTypeFieldValueInvalid, fmt.Sprintf("at least %d items", *schema.MinItems), []any{})
	}
	if schema.MaxItems != nil {
		add("FieldValueTooMany", fmt.Sprintf("must have at most %d items", *schema.MaxItems), slices.Repeat(items[:1], int(*schema.MaxItems)+1))
	}
	// Duplicates show at the second item.
	if schema.XListType != nil && *schema.XListType != "atomic" && (schema.MaxItems == nil || *schema.MaxItems > 1) {
		twice := []any{items[0], items[0]}
		w.breaches = append(w.breaches, breach{
			node, field + "[1]", metav1.CauseTypeFieldValueDuplicate, "Duplicate value",
			func(whole map[string]any) { at.set(whole, twice) },
		})
	}
	for i, item := range items {
		w.value(*schema.Items.Schema, node+"[]", fmt.Sprintf("%s[%d]", field, i), item, place{
			set: func(whole map[string]any, value any) {
				changed := slices.Clone(items)
				changed[i] = value
				at.set(whole, changed)
			},
		})
	}
}

// member is the place of a field of the object at a place.
func member(at place, object map[string]any, name string) place {
	with := func(change func(map[string]any)) func(map[string]any) {
		return func(whole map[string]any) {
			changed := map[string]any{}
			for k, v := range object {
				changed[k] = v
			}
			change(changed)
			at.set(whole, changed)
		}
	}
	return place{
		set: func(whole map[string]any, value any) {
			with(func(changed map[string]any) { changed[name] = value })(whole)
		},
		remove: with(func(changed map[string]any) { delete(changed, name) }),
	}
}

func deepCopy(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
