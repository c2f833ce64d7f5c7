package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

const (
	operatorFile = "testdata/operator.yaml"
	lanesFile    = "testdata/lanes.yaml"
)

func TestRender(t *testing.T) {
	plugintest.NoCluster(t)
	for name, args := range map[string][]string{
		"roles.yaml":   {"-n", "vendor-rebellions"},
		"roles.json":   {"-o", "json"},
		"trust.json":   {"--trust"},
		"policy.json":  {"--policy"},
		"resumed.json": {"--policy", "--sessions-not-before", "2026-03-01T12:00:00.5Z"},
	} {
		args = append([]string{"render", "-f", lanesFile, "--config", operatorFile}, args...)
		if name == "roles.yaml" { // Enforced for those that name another one.
			args[2] = "-"
		}
		text, err := os.ReadFile(lanesFile)
		if err != nil {
			t.Fatal(err)
		}
		input := strings.ReplaceAll(string(text), "vendor-ibm", "vendor-rebellions")
		code, out, errOut := commandWith(t, input, args...)
		if code != plugin.ExitDone || !strings.HasSuffix(errOut, "/metax is admitted only: it has no channels, and therefore no role\n") {
			t.Errorf("%s: exit code %d, error %q", name, code, errOut)
		}
		plugintest.Golden(t, name, out)
	}
}

func TestRenderSaysWhatIsLeftOut(t *testing.T) {
	plugintest.NoCluster(t)
	code, out, errOut := command(t, "render", "-f", "testdata/left-out.yaml", "--config", operatorFile)
	if code != exitLeftOut || !strings.Contains(out, "NoPublishers") {
		t.Errorf("exit code %d, output\n%s", code, out)
	}
	for _, text := range []string{"lane vendor-ibm/spyre, left out of the role:\n  spec.publishers[circle].oidc.issuer: the token issuer", "(UnknownIssuer)\n", "error: 1 of 1 lanes ask for something they do not get\n"} {
		if !strings.Contains(errOut, text) {
			t.Errorf("standard error does not say %q:\n%s", text, errOut)
		}
	}
	// Nothing to apply at all.
	tight := filepath.Join(t.TempDir(), "operator.yaml")
	text, err := os.ReadFile(operatorFile)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Replace(string(text), "roles:\n", "roles:\n  prefix: "+strings.Repeat("a", 32)+"\n", 1)
	if err := os.WriteFile(tight, []byte(long), 0o600); err != nil {
		t.Fatal(err)
	}
	big := "apiVersion: distribution.pytorch.org/v1alpha1\nkind: PlatformLane\nmetadata: {name: big}\nspec:\n  platform: " + strings.Repeat("b", 31) +
		"\n  channels: [{name: nightly}, {name: test}, {name: release}]\n  packages: ["
	for i := range 32 {
		big += strings.Repeat("p", 60) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ", "
	}
	code, out, errOut = commandWith(t, big+"]\n", "render", "-f", "-", "--config", tight)
	if code != exitLeftOut || out != "" || !strings.Contains(errOut, "in the way of any role") || !strings.Contains(errOut, "(DocumentTooLarge)") {
		t.Errorf("exit code %d, output %q, error\n%s", code, out, errOut)
	}
}

func TestRenderWrongUsage(t *testing.T) {
	plugintest.NoCluster(t)
	whole := []string{"render", "-f", lanesFile, "--config", operatorFile}
	with := func(more ...string) []string { return append(append([]string{}, whole...), more...) }
	wrong := filepath.Join(t.TempDir(), "wrong.yaml")
	if err := os.WriteFile(wrong, []byte("apiVersion: config.distribution.pytorch.org/v1alpha1\nkind: OperatorConfiguration\nlanes: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"no file", []string{"render", "--config", operatorFile}, "name a manifest with -f"},
		{"no configuration", whole[:3], "--config is required"},
		{"no such file", with("-f", "/does/not/exist"), "/does/not/exist"},
		{"no such configuration", append(whole[:3:3], "--config", "/does/not/exist"), "/does/not/exist"},
		{"a wrong configuration", append(whole[:3:3], "--config", wrong), `unknown field "lanes"`},
		{"no lane in it", []string{"render", "-f", operatorFile, "--config", operatorFile}, "holds no PlatformLane"},
		{"unknown output", with("-o", "xml"), "use yaml or json"},
		{"two documents at once", with("--trust", "--policy"), "trust"},
		{"a time that is none", with("--sessions-not-before", "yesterday"), "write a time like"},
		{"another namespace", with("-n", "elsewhere"), "metadata.namespace: is vendor-ibm, but elsewhere was asked for"},
		{"an argument", with("spyre"), "spyre"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, out, errOut := command(t, test.args...)
			if code != plugin.ExitFailed || out != "" || !strings.Contains(errOut, test.says) {
				t.Errorf("exit code %d, output %q, error %q; want code 1 and an error that says %q", code, out, errOut, test.says)
			}
		})
	}
}

// TestRendersWhatTheControllerWrites: every lane of the samples and of testdata is
// created through the API server, and what the controller would make of the stored
// lane is what render makes of the file.
func TestRendersWhatTheControllerWrites(t *testing.T) {
	w := plugintest.New(t)
	files, err := filepath.Glob("../../config/samples/*platformlane*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %d samples: %v", len(files), err)
	}
	files = append(files, lanesFile, "testdata/left-out.yaml", "testdata/defaults.yaml")
	cfg, err := operatorconfig.Load(operatorFile)
	w.Must(err)
	for _, file := range files {
		var want []byte
		for _, object := range lanesIn(t, file) {
			object.SetNamespace(w.Namespace)
			w.Must(w.Admin.Create(t.Context(), object, client.FieldValidation("Strict")))
			stored := &v1alpha1.PlatformLane{}
			w.Must(w.Admin.Get(t.Context(), client.ObjectKeyFromObject(object), stored))
			w.Must(w.Admin.Delete(t.Context(), object))
			if len(stored.Spec.Channels) == 0 {
				continue
			}
			stored.UID = ""
			role, _ := access.Render(stored, cfg.Access(), nil)
			raw, err := json.Marshal(ackrole.Manifest(stored, role).Object)
			w.Must(err)
			want = append(append(want, raw...), '\n')
		}
		text, err := os.ReadFile(file)
		w.Must(err)
		for _, line := range strings.Split(string(text), "\n") { // As if it were of this namespace.
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "namespace: "); ok {
				text = []byte(strings.ReplaceAll(string(text), "namespace: "+name, "namespace: "+w.Namespace))
			}
		}
		text = []byte(strings.ReplaceAll(string(text), "namespace: vendor-ibm}", "namespace: "+w.Namespace+"}"))
		code, out, errOut := commandWith(t, string(text), "render", "-f", "-", "--config", operatorFile, "-o", "json")
		if code != plugin.ExitDone && code != exitLeftOut {
			t.Errorf("%s: exit code %d: %s", file, code, errOut)
		}
		if diff := cmp.Diff(string(want), compact(t, out)); diff != "" {
			t.Errorf("%s (-the controller, +render):\n%s", file, diff)
		}
	}
}

// compact writes each of several JSON documents on a line.
func compact(t *testing.T, documents string) string {
	t.Helper()
	var out strings.Builder
	for decoder := json.NewDecoder(strings.NewReader(documents)); decoder.More(); {
		var object map[string]any
		if err := decoder.Decode(&object); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(raw, '\n'))
	}
	return out.String()
}

// lanesIn are the lanes of a file as they stand in it.
func lanesIn(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	for _, document := range strings.Split(string(text), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
			t.Fatal(err)
		}
		switch u.GetKind() {
		case "PlatformLane":
			out = append(out, u)
		case "List":
			items, _, _ := unstructured.NestedSlice(u.Object, "items")
			for _, item := range items {
				object, ok := item.(map[string]any)
				if !ok {
					t.Fatalf("%s: %v is no object", file, item)
				}
				out = append(out, &unstructured.Unstructured{Object: object})
			}
		}
	}
	return out
}
