package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCauseLine(t *testing.T) {
	for _, test := range []struct{ field, message, want string }{
		{"spec.reason", `Invalid value: "a\nb": reason is one line`, "spec.reason: reason is one line"},
		{"spec.selector", `Invalid value: "object": set package: or both`, "spec.selector: set package: or both"},
		{"spec.selector", `Invalid value: "a: \"b\": c": said`, "spec.selector: said"},
		{"spec.selector", `Invalid value: {"a":1}: said`, `spec.selector: {"a":1}: said`},
		{"spec", "Invalid value: set \"a\" or b: c", "spec: set \"a\" or b: c"},
		{"spec.mode", `Unsupported value: "x": supported values: "Flag"`, `spec.mode: Unsupported value: "x": supported values: "Flag"`},
		{"<nil>", `Invalid value: "": some rules were not checked`, "some rules were not checked"},
		{"<nil>", `Invalid value: null: some rules were not checked`, "some rules were not checked"},
		{"", "said", "said"},
	} {
		if diff := cmp.Diff(test.want, CauseLine(test.field, test.message)); diff != "" {
			t.Errorf("%s %s: %s", test.field, test.message, diff)
		}
	}
}
