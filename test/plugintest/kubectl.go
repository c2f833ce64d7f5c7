package plugintest

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// Kubectl is a real kubectl that finds a plugin on its PATH.
type Kubectl struct {
	t             *testing.T
	program, path string
	kubeconfig    string
}

// Kubectl is the pinned kubectl with this test program on its PATH under the
// plugin's name; Main sees to the rest.
func (w *World) Kubectl(name string) *Kubectl {
	w.T.Helper()
	k := &Kubectl{t: w.T, program: realKubectl(w.T), path: w.T.TempDir(), kubeconfig: w.Kubeconfig}
	k.Link(name)
	return k
}

// Link puts this test program on the PATH under another name.
func (k *Kubectl) Link(name string) {
	k.t.Helper()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(k.path, name))
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// Command is kubectl with these arguments; what it prints, on either stream,
// goes to out.
func (k *Kubectl) Command(out *bytes.Buffer, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(k.t.Context(), k.program, args...)
	cmd.Env = []string{"PATH=" + k.path, "HOME=" + k.path, "KUBECONFIG=" + k.kubeconfig}
	out.Reset()
	cmd.Stdout, cmd.Stderr = out, out
	return cmd
}

// Run runs kubectl and returns what it printed, on either stream, and its exit
// code.
func (k *Kubectl) Run(args ...string) (string, int) {
	k.t.Helper()
	var out bytes.Buffer
	cmd := k.Command(&out, args...)
	if err := cmd.Run(); cmd.ProcessState == nil {
		k.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// realHome is the one that holds Go's caches, before tests change it.
var realHome = os.Getenv("HOME")

// realKubectl is the pinned kubectl, built from its side module if need be.
func realKubectl(t *testing.T) string {
	t.Helper()
	root, err := sandbox.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(root, "bin", "sandbox")
	if found, err := filepath.Glob(filepath.Join(bin, "kubectl-v*")); err == nil && len(found) == 1 {
		return found[0]
	}
	target := filepath.Join(bin, "kubectl")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", target, "k8s.io/kubernetes/cmd/kubectl")
	build.Dir = filepath.Join(root, "hack", "sandbox", "build", "kubectl")
	build.Env = append(os.Environ(), "HOME="+realHome)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build kubectl: %v\n%s", err, out)
	}
	return target
}

var update = flag.Bool("update", false, "write the golden files anew")

// Golden compares with a file below testdata; -update writes it anew.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}
