package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, "kubectl-none", func() {}) }

const head = "apiVersion: distribution.pytorch.org/v1alpha1\nkind: PlatformLane\nmetadata: {name: spyre}\n"

func read1(t *testing.T, text, namespace string) (*v1alpha1.PlatformLane, error) {
	t.Helper()
	lanes, err := Read(t.Context(), strings.NewReader(text), "f", Namespace{Name: namespace})
	if err == nil && len(lanes) != 1 {
		t.Fatalf("%d lanes in\n%s", len(lanes), text)
	}
	if err != nil {
		return nil, err
	}
	return lanes[0], nil
}

// TestAgreesWithTheAPIServer: what is taken and what is refused, with which words,
// and what is made of it.
func TestAgreesWithTheAPIServer(t *testing.T) {
	w := plugintest.New(t)
	k := &plugin.Cluster{}
	refused := 0
	for _, spec := range []string{
		"spec: {platform: spyre}",
		"spec: {platform: spyre, channels: [{name: nightly}, {name: release, retainSeries: 2}], packages: [torch, torch-tensorrt]}",
		"spec: {platform: spyre, publishers: [{name: a, oidc: {issuer: 'https://gitlab.com', subjects: [abcd]}}, {name: b, accessKey: {}}]}",
		"spec: {platform: spyre, latestSupportedRelease: null, channels: null}",
		"spec: {platform: spyre, access: Suspended, maintainers: [{name: a, email: a@b.example}], dependencies: [{project: sympy, indexURL: 'https://download.pytorch.org/whl/'}]}",
		// Refused, each for another reason.
		"spec: {}",
		"{}",
		"spec: {platform: Spyre}",
		"spec: {platform: torch}",
		"spec: {platform: 7}",
		"spec: {platform: [spyre]}",
		"spec: spyre",
		"spec: {platform: spyre, access: Off}",
		"spec: {platform: spyre, channels: []}",
		"spec: {platform: spyre, channels: [{name: nightly}, {name: nightly}]}",
		"spec: {platform: spyre, channels: [{name: stable}]}",
		"spec: {platform: spyre, channels: [{name: release, retentionDays: 3}]}",
		"spec: {platform: spyre, channels: [{name: nightly, retentionDays: 3.5}]}",
		"spec: {platform: spyre, channels: [{name: nightly, retentionDays: 99999}]}",
		"spec: {platform: spyre, packages: [torch, torch]}",
		"spec: {platform: spyre, packages: [Torch_Foo]}",
		"spec: {platform: spyre, packages: [" + strings.Repeat("a", 65) + "]}",
		"spec: {platform: spyre, publishers: [{name: a}]}",
		"spec: {platform: spyre, publishers: [{name: a, gitHubActions: {repository: a/b}}]}",
		"spec: {platform: spyre, publishers: [{name: a, gitHubActions: {repository: 'a/${b}', repositoryID: 1, repositoryOwnerID: 1, refs: ['refs/heads/*/x']}}]}",
		"spec: {platform: spyre, publishers: [{name: a, accessKey: {}}, {name: b, accessKey: {}}]}",
		"spec: {platform: spyre, latestSupportedRelease: v2.9, maintainers: [{name: a, email: nobody}]}",
	} {
		text := head + spec + "\n"
		if spec == "{}" {
			text = head
		}
		object := &unstructured.Unstructured{}
		w.Must(yaml.Unmarshal([]byte(text), &object.Object))
		object.SetNamespace(w.Namespace)
		verdict := w.Admin.Create(t.Context(), object, client.FieldValidation("Strict"), client.DryRunAll)
		lane, err := read1(t, text, w.Namespace)
		if verdict == nil {
			var stored v1alpha1.PlatformLane
			raw, _ := yaml.Marshal(object.Object)
			w.Must(yaml.Unmarshal(raw, &stored))
			if err != nil {
				t.Errorf("%s: the API server takes it, and we say %v", spec, err)
			} else if diff := cmp.Diff(stored.Spec, lane.Spec); diff != "" {
				t.Errorf("%s (-the API server, +ours):\n%s", spec, diff)
			}
			continue
		}
		refused++
		var invalid *Invalid
		if !apierrors.IsInvalid(verdict) || !errors.As(err, &invalid) {
			t.Errorf("%s: the API server says %v, and we say %v", spec, verdict, err)
			continue
		}
		want := strings.Split(k.Explain(verdict, plugin.Request{Kind: "lane"}).Error(), "\n  ")[1:]
		unchecked := func(line string) bool { return strings.HasPrefix(line, "some ") }
		if slices.ContainsFunc(want, unchecked) != slices.ContainsFunc(invalid.Lines, unchecked) {
			t.Errorf("%s: rules are left unchecked by one of the two: %q, %q", spec, want, invalid.Lines)
		}
		want = slices.DeleteFunc(want, unchecked)
		got := slices.DeleteFunc(invalid.Lines, unchecked)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-the API server, +ours):\n%s", spec, diff)
		}
	}
	if refused < 20 {
		t.Errorf("only %d manifests are refused", refused)
	}
}

func TestUnknownFields(t *testing.T) {
	w := plugintest.New(t)
	text := head + "speck: 1\nspec: {platform: spyre, colour: red, channels: [{name: nightly, retentiondays: 3}], publishers: [{name: a, oidc: {issuer: 'https://gitlab.com', subject: x, subjects: [abcd]}}]}\n"
	text = strings.Replace(text, "{name: spyre}", "{name: spyre, label: {a: b}}", 1)
	object := &unstructured.Unstructured{}
	w.Must(yaml.Unmarshal([]byte(text), &object.Object))
	object.SetNamespace(w.Namespace)
	verdict := w.Admin.Create(t.Context(), object, client.FieldValidation("Strict"), client.DryRunAll)
	_, err := read1(t, text, w.Namespace)
	for _, field := range []string{"speck", "metadata.label", "spec.colour", "spec.channels[0].retentiondays", "spec.publishers[0].oidc.subject"} {
		if !strings.Contains(fmt.Sprint(verdict), fmt.Sprintf("unknown field %q", field)) {
			t.Errorf("the API server does not refuse %s: %v", field, verdict)
		}
		if !strings.Contains(fmt.Sprint(err), "  "+field+": there is no such field") {
			t.Errorf("%s is not refused: %v", field, err)
		}
	}
}

func TestWholeFiles(t *testing.T) {
	lane := head + "spec: {platform: spyre}\n"
	for _, test := range []struct {
		name, text string
		namespace  Namespace
		lanes      int
		says       []string
	}{
		{"one", lane, Namespace{Name: "n"}, 1, nil},
		{"JSON", `{"apiVersion":"distribution.pytorch.org/v1alpha1","kind":"PlatformLane","metadata":{"name":"a"},"spec":{"platform":"spyre"}}`, Namespace{Name: "n"}, 1, nil},
		{"comments, and a marker at either end", "# hello\n---\n" + lane + "---\n# bye\n", Namespace{Name: "n"}, 1, nil},
		{"beside others", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n" + lane, Namespace{Name: "n"}, 1, nil},
		{"what the cluster prints", strings.Replace(lane, "{name: spyre}", "{name: spyre, namespace: 'n', uid: u, resourceVersion: '7', generation: 2, creationTimestamp: '2026-01-01T00:00:00Z', managedFields: []}", 1) +
			"status: {observedGeneration: 2, sessionsNotBefore: '2026-01-01T00:00:00Z', conditions: []}\n", Namespace{Name: "n"}, 1, nil},
		{"empty", "", Namespace{Name: "n"}, 0, []string{"f: holds no PlatformLane of distribution.pytorch.org/v1alpha1"}},
		{"another kind", "apiVersion: v1\nkind: Namespace\n", Namespace{Name: "n"}, 0, []string{"holds no PlatformLane"}},
		{"another version", strings.Replace(lane, "v1alpha1", "v9", 1), Namespace{Name: "n"}, 0, []string{"holds no PlatformLane"}},
		{"a text", "hello", Namespace{Name: "n"}, 0, []string{"f, document 1: is no manifest"}},
		{"no kind", "a: b", Namespace{Name: "n"}, 0, []string{"it says no apiVersion or no kind"}},
		{"no YAML", "a: [", Namespace{Name: "n"}, 0, []string{"f, document 1: yaml:"}},
		{"a key twice", lane + "spec: {platform: rbln}\n", Namespace{Name: "n"}, 0, []string{`key "spec" already set`}},
		{"no name", strings.Replace(lane, "{name: spyre}", "{}", 1), Namespace{Name: "n"}, 0, []string{"metadata.name: "}},
		{"a name that is none", strings.Replace(lane, "{name: spyre}", "{name: Spyre_1}", 1), Namespace{Name: "n"}, 0, []string{"f: lane Spyre_1 is not valid:\n  metadata.name: "}},
		{"a namespace that is a number", strings.Replace(lane, "{name: spyre}", "{name: a, namespace: 7}", 1), Namespace{Name: "n"}, 0, []string{"f: "}},
		{"another namespace", strings.Replace(lane, "{name: spyre}", "{name: a, namespace: b}", 1), Namespace{Name: "c", Enforced: true}, 0, []string{"metadata.namespace: is b, but c was asked for"}},
		{"the good one beside two bad ones", strings.Join([]string{lane, head, strings.Replace(lane, "platform: spyre", "platform: 7", 1)}, "---\n"), Namespace{Name: "n"}, 1, []string{"f, document 2: lane spyre", "f, document 3: lane spyre"}},
		{"a list with a bad one", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: distribution.pytorch.org/v1alpha1, kind: PlatformLane, metadata: {name: a}, spec: {platform: X}}\n- 7\n", Namespace{Name: "n"}, 0, []string{"f, items[0]: lane a is not valid"}},
	} {
		lanes, err := Read(t.Context(), strings.NewReader(test.text), "f", test.namespace)
		if len(lanes) != test.lanes || (err != nil) != (len(test.says) > 0) {
			t.Errorf("%s: %d lanes, %v", test.name, len(lanes), err)
		}
		for _, text := range test.says {
			if !strings.Contains(fmt.Sprint(err), text) {
				t.Errorf("%s: the error does not say %q: %v", test.name, text, err)
			}
		}
		for _, l := range lanes {
			if l.Namespace != "n" || len(l.Spec.Packages) != 1 {
				t.Errorf("%s: read %+v", test.name, l)
			}
		}
	}
}

func TestTooMuch(t *testing.T) {
	_, err := Read(t.Context(), strings.NewReader(strings.Repeat("#\n", maxBytes/2+1)), "f", Namespace{})
	if err == nil || !strings.Contains(err.Error(), "split the file") {
		t.Errorf("%v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(head + "spec: {platform: spyre}\n")
	f.Add("apiVersion: v1\nkind: List\nitems: [{items: [[]]}]\n---\n")
	f.Fuzz(func(t *testing.T, text string) {
		lanes, err := Read(t.Context(), strings.NewReader(text), "f", Namespace{Name: "n"})
		if err == nil && len(lanes) == 0 {
			t.Error("no lane, and no error")
		}
		for _, l := range lanes {
			if l.Spec.Platform == "" || l.Name == "" || l.Namespace == "" {
				t.Errorf("%+v", l)
			}
		}
	})
}
