package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/account"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

func TestExplainFile(t *testing.T) {
	plugintest.NoCluster(t)
	file := []string{"explain", "-f", lanesFile, "--config", operatorFile, "-n", "vendor-ibm"}
	code, out, errOut := command(t, file...)
	if code != plugin.ExitDone || errOut != "" {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
	for _, text := range []string{
		"Lane vendor-ibm/spyre, platform spyre\n", "\n\nLane vendor-ibm/rbln, platform rbln\n", "The lane is suspended", "admitted only", "whl/nightly/spyre/torch-*+spyre*-*.whl",
	} {
		if !strings.Contains(out, text) {
			t.Errorf("the explanation does not say %q:\n%s", text, out)
		}
	}
	_, out, _ = command(t, append(file, "-o", "json", "--sessions-not-before", "2026-03-01T12:00:00Z")...)
	var first access.Explanation
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&first); err != nil || first.Lane != "vendor-ibm/spyre" || first.SessionsNotBefore == nil {
		t.Errorf("%v: %+v in\n%s", err, first, out)
	}
	_, out, _ = command(t, append(file, "-o", "yaml")...)
	var second access.Explanation
	if documents := strings.Split(out, "\n---\n"); len(documents) != 3 {
		t.Errorf("%d documents in\n%s", len(documents), out)
	} else if err := yaml.UnmarshalStrict([]byte(documents[1]), &second); err != nil || !second.Suspended {
		t.Errorf("%v: %+v", err, second)
	}
}

func TestExplainWrongUsage(t *testing.T) {
	plugintest.NoCluster(t)
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"nothing":             {[]string{"explain"}, "name the lane: kubectl lane explain NAME | -f FILE"},
		"both":                {[]string{"explain", "spyre", "-f", lanesFile}, "but not both"},
		"two lanes":           {[]string{"explain", "spyre", "rbln"}, "expected one lane, got 2"},
		"no configuration":    {[]string{"explain", "-f", lanesFile}, "--config is required"},
		"unknown output":      {[]string{"explain", "spyre", "-o", "xml"}, "use text, yaml or json"},
		"no cluster":          {[]string{"explain", "spyre"}, "no cluster is configured"},
		"bootstrap from what": {[]string{"bootstrap"}, "--config is required"},
		"no such document":    {[]string{"bootstrap", "--config", operatorFile, "-o", "json", "--only", "x"}, "\"x\"; there are:\n  permissions-boundary"},
		"which document":      {[]string{"bootstrap", "--config", operatorFile, "-o", "json"}, "name it with --only:\n  permissions-boundary"},
		"a document as YAML":  {[]string{"bootstrap", "--config", operatorFile, "--only", "operator"}, "add -o json"},
		"bootstrap as XML":    {[]string{"bootstrap", "--config", operatorFile, "-o", "xml"}, "use yaml or json"},
	} {
		code, out, errOut := command(t, test.args...)
		if code != plugin.ExitFailed || out != "" || !strings.Contains(errOut, test.says) {
			t.Errorf("%s: exit code %d, output %q, error %q; want %q", name, code, out, errOut, test.says)
		}
	}
}

// TestExplainFromTheCluster: with the configuration that the operator runs with,
// for those who may read it, or with a file.
func TestExplainFromTheCluster(t *testing.T) {
	w := newWorld(t)
	operator := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "operator-"}}
	w.Must(w.Admin.Create(t.Context(), operator))
	reader := w.As("reader", plugintest.Allow("platformlanes", "get"))
	at := []string{"explain", "spyre", "--operator-namespace", operator.Name}

	refused := func(why, says string) {
		t.Helper()
		if code, out, errOut := command(t, at...); code != plugin.ExitFailed || out != "" || !strings.Contains(errOut, says) {
			t.Errorf("%s: exit code %d, output %q, error %q", why, code, out, errOut)
		}
	}
	refused("forbidden", "you may not read the operator's configuration, the ConfigMap "+operator.Name+"/platform-lane-operator-config: pass the file with --config, or ask for the role platform-lane-config-reader")
	if code, out, errOut := command(t, append(at, "--config", operatorFile)...); code != plugin.ExitDone || !strings.Contains(out, "Lane "+w.Namespace+"/spyre") {
		t.Errorf("with a file: exit code %d, output %q, error %q", code, out, errOut)
	}
	w.Grant(operator.Name, reader, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{configMapName}, Verbs: []string{"get"}})
	refused("absent", "there is no ConfigMap "+operator.Name+"/platform-lane-operator-config")

	text, err := os.ReadFile(operatorFile)
	w.Must(err)
	stored := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: configMapName, Namespace: operator.Name}}
	w.Must(w.Admin.Create(t.Context(), stored))
	refused("without the key", "has no key operator.yaml")
	stored.Data = map[string]string{configMapKey: "kind: Nothing"}
	w.Must(w.Admin.Update(t.Context(), stored))
	refused("broken", "the operator's configuration in the ConfigMap "+operator.Name+"/platform-lane-operator-config: apiVersion")
	stored.Data = map[string]string{configMapKey: string(text)}
	w.Must(w.Admin.Update(t.Context(), stored))

	// The lane as it stands in the cluster: suspended once, and resumed.
	resumed := metav1.Now().Rfc3339Copy()
	w.steady("spyre", func(l *v1alpha1.PlatformLane) { l.Status.SessionsNotBefore = &resumed })
	code, out, errOut := command(t, at...)
	if code != plugin.ExitDone || errOut != "" || !strings.Contains(out, "Role arn:aws:iam::123456789012:role/platform-lanes/platform-lane-spyre\n") || !strings.Contains(out, resumed.UTC().Format(time.RFC3339)) {
		t.Errorf("exit code %d, error %q, output\n%s", code, errOut, out)
	}
	if code, _, errOut := command(t, append(at, "-n", "default")...); code != plugin.ExitFailed || !strings.Contains(errOut, "ask for the cluster role platform-lane-viewer") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
	w.Use(plugintest.Server(t).Config)
	if code, _, errOut := command(t, "explain", "spyer"); code != plugin.ExitFailed || !strings.Contains(errOut, `there is no lane "spyer"`) {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

// TestConfigIsWhereTheOperatorHasIt: the names that explain reads are those that
// the manifests give.
func TestConfigIsWhereTheOperatorHasIt(t *testing.T) {
	text, err := os.ReadFile("../../config/manager/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		ConfigMapGenerator []struct {
			Name, Namespace string
			Files           []string
			Options         struct{ DisableNameSuffixHash bool }
		}
	}
	if err := yaml.Unmarshal(text, &made); err != nil || len(made.ConfigMapGenerator) != 1 {
		t.Fatalf("%v: %+v", err, made)
	}
	if m := made.ConfigMapGenerator[0]; m.Name != configMapName || m.Namespace != defaultOperatorNamespace || len(m.Files) != 1 || m.Files[0] != configMapKey || !m.Options.DisableNameSuffixHash {
		t.Errorf("the operator's configuration is made as %+v", m)
	}
	var role rbacv1.Role
	if text, err = os.ReadFile("../../config/rbac/config_reader_role.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &role); err != nil || role.Namespace != defaultOperatorNamespace || role.Name != "platform-lane-config-reader" || role.Rules[0].ResourceNames[0] != configMapName {
		t.Errorf("%v: %+v", err, role)
	}
}

func TestBootstrap(t *testing.T) {
	plugintest.NoCluster(t)
	cfg, err := operatorconfig.Load(operatorFile)
	if err != nil {
		t.Fatal(err)
	}
	want, err := account.Template(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if code, out, errOut := command(t, "bootstrap", "--config", operatorFile); code != plugin.ExitDone || out != string(want) || errOut != "" {
		t.Errorf("exit code %d, error %q, output\n%s", code, errOut, out)
	}
	documents, err := account.Documents(cfg)
	if err != nil || len(documents) < 5 {
		t.Fatalf("%d documents: %v", len(documents), err)
	}
	for _, d := range documents {
		code, out, errOut := command(t, "bootstrap", "--config", operatorFile, "-o", "json", "--only", d.Name)
		if code != plugin.ExitDone || out != string(d.JSON) || errOut != "" {
			t.Errorf("%s: exit code %d, error %q, output\n%s", d.Name, code, errOut, out)
		}
	}
}
