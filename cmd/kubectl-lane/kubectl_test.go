package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// TestThroughKubectl puts the plugin on the PATH of a real kubectl.
func TestThroughKubectl(t *testing.T) {
	w := newWorld(t)
	alice := w.As("alice", editor)
	kubectl := w.Kubectl(pluginName)
	w.operate("spyre", suspended)
	out, code := kubectl.Run(append([]string{"lane"}, suspend("-n", w.Namespace)...)...)
	if code != plugin.ExitDone || !strings.Contains(out, "live sessions included") || says(w.lane("spyre"))[0] != alice {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if out, code := kubectl.Run(append([]string{"lane"}, resume("--timeout", "1s")...)...); code != plugin.ExitUnfinished {
		t.Errorf("exit code %d, want that of the plugin, %d:\n%s", code, plugin.ExitUnfinished, out)
	}
	if out, code := kubectl.Run("lane", "explain", "spyre", "--config", operatorFile); code != plugin.ExitDone || !strings.Contains(out, "Lane "+w.Namespace+"/spyre") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if out, code := kubectl.Run("lane", "suspnd", "spyre"); code != plugin.ExitFailed || !strings.Contains(out, `there is no command "suspnd"; did you mean suspend? (the commands are `) {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	for _, args := range [][]string{{"lane"}, {"lane", "--help"}} {
		out, code := kubectl.Run(args...)
		if code != plugin.ExitDone || !strings.Contains(out, "Usage:\n  kubectl lane [command]\n") || !strings.Contains(out, "\n  suspend ") || strings.Contains(out, "no-help") {
			t.Errorf("%q: exit code %d:\n%s", args, code, out)
		}
	}
	if out, _ := kubectl.Run("lane", "suspend", "--help"); !strings.Contains(out, "Usage:\n  kubectl lane suspend NAME --reason TEXT") || !strings.Contains(out, "  130  interrupted") {
		t.Errorf("--help:\n%s", out)
	}
	// Ctrl-C reaches the plugin, which takes kubectl's place.
	var text bytes.Buffer
	waiting := kubectl.Command(&text, append([]string{"lane"}, suspend()...)...)
	w.meanwhile("spyre", func(context.Context) {
		time.Sleep(200 * time.Millisecond) // the answer to the change is under way
		if err := waiting.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	})
	if err := waiting.Run(); waiting.ProcessState.ExitCode() != plugin.ExitInterrupted || !strings.Contains(text.String(), "is Suspended and the operator goes on") {
		t.Errorf("%v:\n%s", err, text.String())
	}
}

// TestCompletionThroughKubectl: a link to the plugin answers a Tab.
func TestCompletionThroughKubectl(t *testing.T) {
	w := newWorld(t)
	kubectl := w.Kubectl(pluginName)
	kubectl.Link("kubectl_complete-lane")
	if out, _ := kubectl.Run("__complete", "lane", "suspend", "s"); !strings.Contains(out, "spyre\n") {
		t.Errorf("completed\n%s", out)
	}
	if out, _ := kubectl.Run("__complete", "lane", "su"); !strings.Contains(out, "suspend") {
		t.Errorf("completed\n%s", out)
	}
}

func TestWrongUsage(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"no lane", []string{"suspend", "--reason", "r"}, "name the lane: kubectl lane suspend NAME --reason TEXT"},
		{"two lanes", []string{"suspend", "a", "b", "--reason", "r"}, `expected one lane, got 2: ["a" "b"]`},
		{"no reason", []string{"suspend", "spyre"}, "--reason is required: one line that says why"},
		{"blank reason", []string{"resume", "spyre", "--reason", " "}, "--reason is required"},
		{"two lines", suspend("--reason", "a\nb"), "--reason is one line of plain text"},
		{"upside down", suspend("--reason", "a\u202eb"), "--reason is one line of plain text"},
		{"too long", suspend("--reason", strings.Repeat("é", 513)), "--reason has 513 characters and may have 512"},
		{"unknown dry run", suspend("--dry-run=maybe"), "use none, client or server"},
		{"unknown output", suspend("-o", "xml"), `"xml"`},
		{"no time to wait", suspend("--timeout", "0s"), "above zero"},
		{"unknown flag", suspend("--force"), "--force"},
		{"unreachable", suspend("--server", "https://127.0.0.1:1"), "cannot reach the API server at https://127.0.0.1:1"},
		{"unknown command", []string{"status"}, `there is no command "status"`},
	} {
		code, out, errOut := command(t, test.args...)
		if code != plugin.ExitFailed || out != "" || !strings.Contains(errOut, test.says) {
			t.Errorf("%s: exit code %d, output %q, error %q; want code 1 and an error that says %q", test.name, code, out, errOut, test.says)
		}
	}
	if lane := w.lane("spyre"); lane.Generation != 1 {
		t.Errorf("the lane was changed: %+v", lane.Spec)
	}
	longest := strings.Repeat("é", 512)
	if code, _, errOut := command(t, suspend("--reason", longest, "--wait=false")...); code != plugin.ExitDone || says(w.lane("spyre"))[1] != longest {
		t.Errorf("a reason of 512 characters: exit code %d, error %q", code, errOut)
	}
}
