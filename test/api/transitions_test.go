package api

import (
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	saysPlatformStays   = "platform cannot be changed, because wheels carry it in their names; create another lane for another platform"
	saysLaneStays       = "laneRef cannot be changed; create another Yank"
	saysSelectorStays   = "selector cannot be changed; create another Yank"
	saysReasonStays     = "reason cannot be changed: it stands in the public record; create another Yank"
	saysAdvisoryStays   = "advisory cannot be changed: it stands in the public record; create another Yank"
	saysOnBehalfOfStays = "onBehalfOf cannot be changed: it stands in the record; create another Yank"
	saysOnDeleteStays   = "onDelete cannot be changed; create another Yank"
	saysModeRises       = "mode may only be raised (Flag < IndexRemoval < Quarantine < HardDelete); to take a Yank back, create it with onDelete: Restore and delete it"
	saysNoWayBack       = "execution may only change from PlanOnly to Execute; what has been carried out cannot become a plan again"
)

// A transition is a change of a stored manifest; says is empty where it is
// allowed.
type transition struct {
	name     string
	base     string
	from, to string // JSON merge patches for spec
	field    string
	says     string
}

var transitions = []transition{
	{"platform", leastLane, "", "platform: rbln", "spec.platform", saysPlatformStays},
	{"opening an admitted lane", leastLane, "", "channels: [{name: release}], publishers: [{name: a, accessKey: {}}]", "", ""},
	{"suspending a lane", leastLane, "", "access: Suspended", "", ""},
	{"resuming a lane", leastLane, "access: Suspended", "access: Active", "", ""},

	{"lane of a Yank", leastYank, "", "laneRef: {name: rbln}", "spec", saysLaneStays},
	{"package of a selector", leastYank, "", "selector: {package: torchvision}", "spec", saysSelectorStays},
	{"wider selector", leastYank, "selector: {versions: '==2.9'}", "selector: {versions: null}", "spec", saysSelectorStays},
	{"narrower selector", leastYank, "", "selector: {files: ['*.whl']}", "spec", saysSelectorStays},
	{"one more hash", leastYank, "selector: {sha256: [" + aHash + "]}", "selector: {sha256: [" + aHash + ", a" + aHash[1:] + "]}", "spec", saysSelectorStays},
	{"reason", leastYank, "", "reason: another", "spec", saysReasonStays},
	{"advisory added", leastYank, "", "advisory: {id: CVE-2026-1}", "spec", saysAdvisoryStays},
	{"advisory removed", leastYank, "advisory: {id: CVE-2026-1}", "advisory: null", "spec", saysAdvisoryStays},
	{"advisory changed", leastYank, "advisory: {id: CVE-2026-1}", "advisory: {id: CVE-2026-2}", "spec", saysAdvisoryStays},
	{"claimant added", leastYank, "", "onBehalfOf: a", "spec", saysOnBehalfOfStays},
	{"claimant removed", leastYank, "onBehalfOf: a", "onBehalfOf: null", "spec", saysOnBehalfOfStays},
	{"claimant changed", leastYank, "onBehalfOf: a", "onBehalfOf: b", "spec", saysOnBehalfOfStays},
	{"no longer restorable", leastYank, "onDelete: Restore", "onDelete: KeepYanked", "spec", saysOnDeleteStays},
	{"restorable afterwards", leastYank, "", "onDelete: Restore", "spec", saysOnDeleteStays},
	{"onDelete left out", leastYank, "onDelete: Restore", "onDelete: null", "spec", saysOnDeleteStays},

	{"Flag to IndexRemoval", leastYank, "mode: Flag", "mode: IndexRemoval", "", ""},
	{"Flag to HardDelete", leastYank, "mode: Flag", "mode: HardDelete", "", ""},
	{"IndexRemoval to Quarantine", leastYank, "mode: IndexRemoval", "mode: Quarantine", "", ""},
	{"Quarantine to HardDelete", leastYank, "mode: Quarantine", "mode: HardDelete", "", ""},
	{"restorable Quarantine to HardDelete", leastYank, "mode: Quarantine, onDelete: Restore", "mode: HardDelete", "spec", saysNoRestore},
	{"IndexRemoval to Flag", leastYank, "mode: IndexRemoval", "mode: Flag", "spec", saysModeRises},
	{"Quarantine to IndexRemoval", leastYank, "mode: Quarantine", "mode: IndexRemoval", "spec", saysModeRises},
	{"HardDelete to Quarantine", leastYank, "mode: HardDelete", "mode: Quarantine", "spec", saysModeRises},
	{"plan carried out", leastYank, "execution: PlanOnly", "execution: Execute", "", ""},
	{"plan carried out further", leastYank, "execution: PlanOnly, mode: Flag", "execution: Execute, mode: Quarantine", "", ""},
	{"plan lowered", leastYank, "execution: PlanOnly, mode: Quarantine", "mode: Flag", "spec", saysModeRises},
	{"back to a plan", leastYank, "", "execution: PlanOnly", "spec", saysNoWayBack},
	{"execution left out", leastYank, "execution: PlanOnly", "execution: null", "", ""},
}

func TestTransitions(t *testing.T) {
	for _, test := range transitions {
		t.Run(test.name, func(t *testing.T) {
			object := manifest(t, test.base, test.from)
			object.SetName("")
			object.SetGenerateName("transition-")
			api := resource(t, object)
			stored, err := api.Create(t.Context(), object, strict)
			if err != nil {
				t.Fatalf("before the transition: %v", err)
			}
			_, err = api.Patch(t.Context(), stored.GetName(), types.MergePatchType, specPatch(t, test.to), metav1.PatchOptions{})
			switch {
			case test.says != "":
				expectCause(t, err, test.field, test.says)
			case err != nil:
				t.Errorf("is refused: %v", err)
			}
			remove(t, stored)
		})
	}
}

func specPatch(t *testing.T, change string) []byte {
	t.Helper()
	patch, err := yaml.YAMLToJSON([]byte("spec: {" + change + "}"))
	if err != nil {
		t.Fatal(err)
	}
	return patch
}

func remove(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	if err := resource(t, object).Delete(t.Context(), object.GetName(), metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// TestDefaults pins what a manifest that says little comes to mean.
func TestDefaults(t *testing.T) {
	for _, test := range []struct{ name, base, spec, want string }{
		{
			"lane", leastLane, "",
			`{platform: spyre, packages: [torch], access: Active, adopt: Never, provenance: Optional, deletionPolicy: Retain}`,
		},
		{
			"publishers", leastLane, "channels: [{name: nightly}, {name: release}], publishers: [{name: a, accessKey: {}}, {name: b, oidc: {issuer: 'https://gitlab.com', subjects: [abcd]}}]",
			`{platform: spyre, packages: [torch], access: Active, adopt: Never, provenance: Optional, deletionPolicy: Retain,
			channels: [{name: nightly}, {name: release}],
			publishers: [{name: a, accessKey: {rotationDays: 30, overlapHours: 24}}, {name: b, oidc: {issuer: 'https://gitlab.com', audience: sts.amazonaws.com, subjects: [abcd]}}]}`,
		},
		{
			"yank", leastYank, "",
			`{laneRef: {name: spyre}, selector: {package: torch}, mode: IndexRemoval, execution: Execute, reason: broken, onDelete: KeepYanked}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			object := manifest(t, test.base, test.spec)
			stored, err := resource(t, object).Create(t.Context(), object, strictDryRun)
			if err != nil {
				t.Fatal(err)
			}
			expectJSON(t, "spec", stored.Object["spec"], test.want)
			expectJSON(t, "status", stored.Object["status"], "{observedGeneration: -1}")
		})
	}
}

func expectJSON(t *testing.T, what string, got any, wantYAML string) {
	t.Helper()
	want, err := yaml.YAMLToJSON([]byte(wantYAML))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(want) {
		t.Errorf("%s is\n%s, want\n%s", what, text, want)
	}
}
