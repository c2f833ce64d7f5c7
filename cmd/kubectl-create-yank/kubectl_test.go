package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// pluginName is how kubectl finds the command.
const pluginName = "kubectl-create-yank"

// TestThroughKubectl puts the plugin on the PATH of a real kubectl and creates
// Yanks with it.
func TestThroughKubectl(t *testing.T) {
	w := newWorld(t)
	program, path := realKubectl(t), t.TempDir()
	self, err := os.Executable()
	w.must(err)
	w.must(os.Symlink(self, filepath.Join(path, pluginName)))
	var out bytes.Buffer
	prepare := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = []string{"PATH=" + path, "HOME=" + path, "KUBECONFIG=" + w.kubeconfig}
		out.Reset()
		cmd.Stdout, cmd.Stderr = &out, &out
		return cmd
	}
	kubectl := func(args ...string) (string, int) {
		cmd := prepare(args...)
		if err := cmd.Run(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return out.String(), cmd.ProcessState.ExitCode()
	}

	w.operate(accepted, removed, blocked, purged, verified)
	text, code := kubectl(append([]string{"create", "yank"}, with("--wait", "--name", "k", "-n", w.namespace)...)...)
	if code != exitDone || !strings.Contains(text, "yank.distribution.pytorch.org/k created\n") || !strings.Contains(text, "2 files quarantined and verified") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	if stored := w.yanks(); len(stored) != 1 || stored[0].Spec.Mode != v1alpha1.YankQuarantine {
		t.Errorf("stored %v", stored)
	}
	if out, code := kubectl(append([]string{"create", "yank"}, with("--wait", "--timeout", "1s")...)...); code != exitUnfinished {
		t.Errorf("exit code %d, want that of the plugin, %d:\n%s", code, exitUnfinished, out)
	}
	// No terminal, no --yes: kubectl hands standard input through.
	if out, code := kubectl("create", "yank", "torch", "--lane", "spyre", "--mode", "harddelete", "--reason", "r"); code != exitFailed || !strings.Contains(out, "pass --yes") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if out, _ := kubectl("create", "yank", "--help"); !strings.Contains(out, "Usage:\n  kubectl create yank [REQUIREMENT]") {
		t.Errorf("--help:\n%s", out)
	}
	// Ctrl-C reaches the plugin, which takes kubectl's place.
	waiting := prepare(append([]string{"create", "yank"}, with("--wait", "--name", "i")...)...)
	w.meanwhile(func(context.Context, client.ObjectKey) {
		time.Sleep(200 * time.Millisecond) // the answer to the creation is under way
		if err := waiting.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	})
	if err := waiting.Run(); waiting.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(out.String(), "/i stands and the operator goes on") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	// What people see afterwards.
	if out, _ := kubectl("get", "yanks", "k"); !strings.Contains(out, "Quarantine") || !strings.Contains(out, "True") {
		t.Errorf("kubectl get yanks:\n%s", out)
	}
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
