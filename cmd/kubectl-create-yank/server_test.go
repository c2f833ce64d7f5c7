package main

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/test/apiserver"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

func TestMain(m *testing.M) { plugintest.Main(m, pluginName, main) }

// A world is a namespace with two lanes, and a kubeconfig whose context points
// to it.
type world struct{ *plugintest.World }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{plugintest.New(t)}
	for _, name := range []string{"spyre", "rbln"} {
		w.Must(w.Admin.Create(t.Context(), &v1alpha1.PlatformLane{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace},
			Spec:       v1alpha1.PlatformLaneSpec{Platform: name},
		}))
	}
	return w
}

// yanks are the stored ones.
func (w *world) yanks() []v1alpha1.Yank {
	w.T.Helper()
	var list v1alpha1.YankList
	w.Must(w.Admin.List(w.T.Context(), &list, client.InNamespace(w.Namespace)))
	return list.Items
}

var quarantine = []string{"torch==2.9.0+spyre", "--lane", "spyre", "--mode", "Quarantine", "--reason", "under investigation"}

func with(more ...string) []string { return append(append([]string{}, quarantine...), more...) }

func TestCreates(t *testing.T) {
	w := newWorld(t)
	code, out, errOut := command(t, quarantine...)
	if code != plugin.ExitDone || errOut != "" {
		t.Fatalf("exit code %d, error %q", code, errOut)
	}
	stored := w.yanks()
	if len(stored) != 1 {
		t.Fatalf("%d Yanks are stored, want 1", len(stored))
	}
	y := stored[0]
	if want := "yank.distribution.pytorch.org/" + y.Name + " created\n"; out != want || !strings.HasPrefix(y.Name, "torch-2.9.0-spyre-") {
		t.Errorf("printed %q, want %q", out, want)
	}
	if y.Spec.LaneRef.Name != "spyre" || y.Spec.Selector.Package != "torch" || y.Spec.Selector.Versions != "==2.9.0+spyre" ||
		y.Spec.Mode != v1alpha1.YankQuarantine || y.Spec.Execution != v1alpha1.ExecutionExecute || y.Spec.Reason != "under investigation" {
		t.Errorf("stored %+v", y.Spec)
	}
	if owner := y.ManagedFields[0].Manager; owner != fieldManager {
		t.Errorf("the fields belong to %q, want %q", owner, fieldManager)
	}
}

func TestDryRuns(t *testing.T) {
	w := newWorld(t)
	if code, _, errOut := command(t, with("--dry-run=client", "--server", "https://127.0.0.1:1")...); code != plugin.ExitDone {
		t.Errorf("--dry-run=client reached for the API server: %s", errOut)
	}
	code, out, errOut := command(t, with("--dry-run=server", "-o", "yaml")...)
	if code != plugin.ExitDone || errOut != "" {
		t.Fatalf("exit code %d, error %q", code, errOut)
	}
	for _, text := range []string{"execution: Execute\n", "onDelete: KeepYanked\n", "observedGeneration: -1\n", "namespace: " + w.Namespace + "\n", "uid: "} {
		if !strings.Contains(out, text) {
			t.Errorf("the server's dry run does not show %q:\n%s", text, out)
		}
	}
	if _, line, _ := command(t, with("--dry-run=server", "--name", "x")...); line != "yank.distribution.pytorch.org/x created (server dry run)\n" {
		t.Errorf("printed %q", line)
	}
	code, _, _ = command(t, with("--dry-run=server", "--mode", "HardDelete")...)
	if code != plugin.ExitDone {
		t.Error("a dry run of a HardDelete asked for confirmation")
	}
	if n := len(w.yanks()); n != 0 {
		t.Errorf("%d Yanks are stored after dry runs", n)
	}
}

func TestHardDeleteWithYes(t *testing.T) {
	w := newWorld(t)
	if code, _, errOut := command(t, with("--mode", "HardDelete", "--yes")...); code != plugin.ExitDone {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
	if code, _, errOut := command(t, with("--mode", "HardDelete", "--plan")...); code != plugin.ExitDone {
		t.Errorf("a plan asked for confirmation: exit code %d, error %q", code, errOut)
	}
	if n := len(w.yanks()); n != 2 {
		t.Errorf("%d Yanks are stored, want 2", n)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.Must(w.Admin.Create(t.Context(), &v1alpha1.Yank{
		ObjectMeta: metav1.ObjectMeta{Name: "taken", Namespace: w.Namespace},
		Spec: v1alpha1.YankSpec{
			LaneRef: v1alpha1.LaneReference{Name: "spyre"}, Selector: v1alpha1.YankSelector{Package: "torch"},
			Mode: v1alpha1.YankFlag, Reason: "r",
		},
	}))
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"unknown lane", with("--lane", "spyer"), `there is no lane "spyer" in namespace ` + w.Namespace + "; its lanes are: rbln, spyre\n"},
		{"wrong namespace", with("-n", "default"), `there is no lane "spyre" in namespace default, nor any other; choose the vendor's namespace with -n`},
		{"name taken", with("--name", "taken"), "a Yank " + w.Namespace + "/taken exists already"},
		{
			"several rules", with("--mode", "HardDelete", "--yes", "--restore-on-delete", "--reason", "a\nb", "--sha256", "abc"),
			"the API server refuses the Yank:\n" +
				"  spec.selector.sha256[0]: spec.selector.sha256[0] in body should be at least 64 chars long\n" +
				"  spec.selector.sha256[0]: a sha256 is 64 lower-case hexadecimal digits, as sha256sum prints it\n" +
				"  spec.reason: reason is one line of text that says why; it is shown to users\n" +
				"  spec: HardDelete destroys the bytes and cannot be restored;",
		},
		{"too long", with("--reason", strings.Repeat("a", 513)), "  spec.reason: Too long: may not be more than 512 bytes\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, out, errOut := command(t, test.args...)
			if code != plugin.ExitFailed || out != "" || !sameLines(errOut, test.says) {
				t.Errorf("exit code %d, output %q, error\n%s\nwant an error that says\n%s", code, out, errOut, test.says)
			}
		})
	}
	if n := len(w.yanks()); n != 1 {
		t.Errorf("%d Yanks are stored, want 1", n)
	}
}

// sameLines is true when every line of want is in got; rules are checked in no
// particular order.
func sameLines(got, want string) bool {
	for line := range strings.Lines(want) {
		if !strings.Contains(got, line) {
			return false
		}
	}
	return true
}

func TestForbidden(t *testing.T) {
	w := newWorld(t)
	w.As("reader", plugintest.Allow("platformlanes", "get"))
	code, _, errOut := command(t, quarantine...)
	if code != plugin.ExitFailed || !strings.Contains(errOut, "cannot create resource") || !strings.Contains(errOut, "ask for the cluster role platform-lane-yanker") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

// TestLaneUnreadable: who may create Yanks but not read lanes is not held up.
func TestLaneUnreadable(t *testing.T) {
	w := newWorld(t)
	w.As("writer", plugintest.Allow("yanks", "create"))
	if code, _, errOut := command(t, quarantine...); code != plugin.ExitDone {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

func TestUnknownUser(t *testing.T) {
	w := newWorld(t)
	server := plugintest.Server(t)
	nobody := rest.AnonymousClientConfig(server.Config)
	nobody.BearerToken = "stale"
	w.Use(nobody)
	code, _, errOut := command(t, quarantine...)
	if code != plugin.ExitFailed || !strings.Contains(errOut, "does not know you: log in again") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

func TestOperatorNotInstalled(t *testing.T) {
	config := apiserver.ForTest(t)
	plugintest.Elsewhere(t, config)
	for _, args := range [][]string{quarantine, with("--dry-run=server")} {
		code, _, errOut := command(t, args...)
		if code != plugin.ExitFailed || !strings.Contains(errOut, "does not know platformlanes.distribution.pytorch.org: the platform lane operator is not installed there") {
			t.Errorf("exit code %d, error %q", code, errOut)
		}
	}
}

func TestCompletesLanes(t *testing.T) {
	newWorld(t)
	if _, out, errOut := command(t, "__complete", "--lane", "s"); out != "spyre\n:4\n" {
		t.Errorf("completed %q (%s)", out, errOut)
	}
}
