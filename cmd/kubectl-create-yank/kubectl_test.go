package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// pluginName is how kubectl finds the command.
const pluginName = "kubectl-create-yank"

// TestThroughKubectl puts the plugin on the PATH of a real kubectl and creates
// Yanks with it.
func TestThroughKubectl(t *testing.T) {
	w := newWorld(t)
	kubectl := w.Kubectl(pluginName)

	w.operate(accepted, removed, blocked, purged, verified)
	text, code := kubectl.Run(append([]string{"create", "yank"}, with("--wait", "--name", "k", "-n", w.Namespace)...)...)
	if code != plugin.ExitDone || !strings.Contains(text, "yank.distribution.pytorch.org/k created\n") || !strings.Contains(text, "2 files quarantined and verified") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	if stored := w.yanks(); len(stored) != 1 || stored[0].Spec.Mode != v1alpha1.YankQuarantine {
		t.Errorf("stored %v", stored)
	}
	if out, code := kubectl.Run(append([]string{"create", "yank"}, with("--wait", "--timeout", "1s")...)...); code != plugin.ExitUnfinished {
		t.Errorf("exit code %d, want that of the plugin, %d:\n%s", code, plugin.ExitUnfinished, out)
	}
	// No terminal, no --yes: kubectl hands standard input through.
	if out, code := kubectl.Run("create", "yank", "torch", "--lane", "spyre", "--mode", "harddelete", "--reason", "r"); code != plugin.ExitFailed || !strings.Contains(out, "pass --yes") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if out, _ := kubectl.Run("create", "yank", "--help"); !strings.Contains(out, "Usage:\n  kubectl create yank [REQUIREMENT]") {
		t.Errorf("--help:\n%s", out)
	}
	// Ctrl-C reaches the plugin, which takes kubectl's place.
	var out bytes.Buffer
	waiting := kubectl.Command(&out, append([]string{"create", "yank"}, with("--wait", "--name", "i")...)...)
	w.meanwhile(func(context.Context, client.ObjectKey) {
		time.Sleep(200 * time.Millisecond) // the answer to the creation is under way
		if err := waiting.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	})
	if err := waiting.Run(); waiting.ProcessState.ExitCode() != plugin.ExitInterrupted || !strings.Contains(out.String(), "/i stands and the operator goes on") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	// What people see afterwards.
	if out, _ := kubectl.Run("get", "yanks", "k"); !strings.Contains(out, "Quarantine") || !strings.Contains(out, "True") {
		t.Errorf("kubectl get yanks:\n%s", out)
	}
}
