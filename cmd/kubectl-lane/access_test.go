package main

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/test/apiserver"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

// editor may do what platform-lane-editor may with lanes.
var editor = plugintest.Allow("platformlanes", "get", "list", "watch", "patch")

func suspend(more ...string) []string {
	return append([]string{"suspend", "spyre", "--reason", "token leaked, INC-1"}, more...)
}

func resume(more ...string) []string {
	return append([]string{"resume", "spyre", "--reason", "token rotated"}, more...)
}

// says is what the lane's annotations say: who, and why.
func says(lane *v1alpha1.PlatformLane) [2]string {
	return [2]string{lane.Annotations[v1alpha1.AccessChangedByAnnotation], lane.Annotations[v1alpha1.AccessReasonAnnotation]}
}

func TestSuspendAndResume(t *testing.T) {
	w := newWorld(t)
	alice := w.As("alice", editor)
	w.steady("spyre", synced)
	w.operate("spyre", syncing, suspended)
	code, out, errOut := command(t, suspend()...)
	want := `^platformlane\.distribution\.pytorch\.org/spyre suspended\n` +
		`( +\d+\.\ds  CredentialsReady RoleSyncing: ACK has not reported\n)?` +
		`every credential of lane ` + w.Namespace + `/spyre is refused, live sessions included \(\d+\.\ds\)\n$`
	if code != plugin.ExitDone || errOut != "" || !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("exit code %d, error %q, output\n%s", code, errOut, out)
	}
	lane := w.lane("spyre")
	if got := says(lane); lane.Spec.Access != v1alpha1.AccessSuspended || got != [2]string{alice, "token leaked, INC-1"} {
		t.Errorf("the lane is %s and says %q", lane.Spec.Access, got)
	}
	if other := w.lane("rbln"); other.Spec.Access != v1alpha1.AccessActive || other.Annotations != nil {
		t.Errorf("the other lane is %s and says %q", other.Spec.Access, other.Annotations)
	}

	bob := w.As("bob", editor)
	w.operate("spyre", syncing, synced)
	code, out, errOut = command(t, resume()...)
	if code != plugin.ExitDone || errOut != "" || !strings.HasPrefix(out, "platformlane.distribution.pytorch.org/spyre resumed\n") ||
		!strings.Contains(out, "the publishers of lane "+w.Namespace+"/spyre may obtain credentials; sessions from before a suspension stay dead (") {
		t.Errorf("exit code %d, error %q, output\n%s", code, errOut, out)
	}
	lane = w.lane("spyre")
	if got := says(lane); lane.Spec.Access != v1alpha1.AccessActive || got != [2]string{bob, "token rotated"} {
		t.Errorf("the lane is %s and says %q", lane.Spec.Access, got)
	}
}

// TestSameReasonTwice: words that were used before are no stale reason.
func TestSameReasonTwice(t *testing.T) {
	w := newWorld(t)
	alice := w.As("alice", editor)
	for _, verb := range []string{"suspend", "resume", "suspend"} {
		if code, _, errOut := command(t, verb, "spyre", "--reason", "drill", "--wait=false"); code != plugin.ExitDone {
			t.Fatalf("%s: exit code %d, error %q", verb, code, errOut)
		}
		if got := says(w.lane("spyre")); got != [2]string{alice, "drill"} {
			t.Errorf("after %s the lane says %q", verb, got)
		}
	}
}

// TestSuspendAgain: in the same words nothing is written; in others, who says
// them is recorded.
func TestSuspendAgain(t *testing.T) {
	w := newWorld(t)
	alice := w.As("alice", editor)
	w.operate("spyre", suspended)
	command(t, suspend()...)
	version := w.lane("spyre").ResourceVersion
	bob := w.As("bob", editor)
	code, out, _ := command(t, suspend()...)
	if lane := w.lane("spyre"); code != plugin.ExitDone || !strings.Contains(out, "is refused, live sessions included (0.") || lane.ResourceVersion != version || says(lane)[0] != alice {
		t.Errorf("exit code %d, the lane says %q, output\n%s", code, says(lane), out)
	}
	code, _, _ = command(t, "suspend", "spyre", "--reason", "worse than we thought")
	if got := says(w.lane("spyre")); code != plugin.ExitDone || got != [2]string{bob, "worse than we thought"} {
		t.Errorf("exit code %d, the lane says %q", code, got)
	}
}

// TestEndings: each way in which waiting ends, with its exit code.
func TestEndings(t *testing.T) {
	stuck := sets(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonRoleTerminal, "ACK has given up")
	for _, test := range []struct {
		name   string
		args   []string
		passes []pass
		code   int
		says   string
	}{
		{"nobody looks", suspend(), nil, plugin.ExitUnfinished, "is Suspended, but not in force after 1s: the operator has not looked at it yet; is it running?"},
		{"ACK does not answer", suspend(), []pass{syncing}, plugin.ExitUnfinished, "CredentialsReady RoleSyncing: ACK has not reported; the operator goes on"},
		{"a status of an earlier spec", suspend(), []pass{func(l *v1alpha1.PlatformLane) { suspended(l); l.Status.ObservedGeneration = ptr.To[int64](0) }}, plugin.ExitUnfinished, "not in force after 1s"},
		{"a condition of an earlier spec", suspend(), []pass{func(l *v1alpha1.PlatformLane) {
			suspended(l)
			l.Status.Conditions[len(l.Status.Conditions)-1].ObservedGeneration--
		}}, plugin.ExitUnfinished, "not in force after 1s"},
		{"stalled", suspend(), []pass{syncing, stuck}, plugin.ExitStalled, "that cannot come into force: Stalled RoleTerminal: ACK has given up"},
		{"stalled for another reason", suspend(), []pass{func(l *v1alpha1.PlatformLane) {
			suspended(l)
			sets(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonBucketMissing, "no bucket")(l)
		}}, plugin.ExitDone, ""},
		{"resumed for nobody", []string{"resume", "rbln", "--reason", "r"}, nil, plugin.ExitDone, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.As("alice", editor)
			w.steady("rbln", synced)
			w.operate("spyre", test.passes...)
			timeout := "20s"
			if test.code == plugin.ExitUnfinished {
				timeout = "1s"
			}
			code, _, errOut := command(t, append(test.args, "--timeout", timeout)...)
			if code != test.code || !strings.Contains(errOut, test.says) {
				t.Errorf("exit code %d, error %q; want code %d and %q", code, errOut, test.code, test.says)
			}
		})
	}
}

func TestAdmittedOnly(t *testing.T) {
	w := newWorld(t)
	w.create("metax", func(l *v1alpha1.PlatformLane) { l.Spec.Channels = nil })
	w.operate("metax", sets(v1alpha1.CredentialsReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonAdmittedOnly, "no channels"))
	code, out, _ := command(t, "suspend", "metax", "--reason", "r")
	if code != plugin.ExitDone || !strings.Contains(out, "/metax is admitted only: it has no credentials at all (") {
		t.Errorf("exit code %d, output\n%s", code, out)
	}
}

// TestTakenBack: somebody, or something, changes access again meanwhile.
func TestTakenBack(t *testing.T) {
	w := newWorld(t)
	w.As("alice", editor)
	w.meanwhile("spyre", func(ctx context.Context) {
		lane := &v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{Name: "spyre", Namespace: w.Namespace}}
		ctx = context.WithoutCancel(ctx) // the test may be over before the change is answered
		if err := w.Admin.Patch(ctx, lane, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"access":"Active"}}`))); err != nil {
			t.Error(err)
		}
	})
	code, _, errOut := command(t, suspend("--timeout", "20s")...)
	if code != plugin.ExitFailed || !strings.Contains(errOut, "is Active again: changed by admin") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

func TestDeletedMeanwhile(t *testing.T) {
	for _, finalizers := range [][]string{nil, {v1alpha1.LaneFinalizer}} {
		w := newWorld(t)
		w.create("gone", func(l *v1alpha1.PlatformLane) { l.Finalizers = finalizers })
		w.meanwhile("gone", func(ctx context.Context) {
			ctx = context.WithoutCancel(ctx)
			if err := w.Admin.Delete(ctx, &v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{Name: "gone", Namespace: w.Namespace}}); err != nil {
				t.Error(err)
			}
		})
		code, _, errOut := command(t, "suspend", "gone", "--reason", "r", "--timeout", "20s")
		if code != plugin.ExitFailed || !strings.Contains(errOut, "/gone is being deleted, and its credentials with it") {
			t.Errorf("exit code %d, error %q", code, errOut)
		}
	}
}

func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	ctx, interrupt := context.WithCancel(t.Context())
	w.operate("spyre", syncing, func(*v1alpha1.PlatformLane) { interrupt() })
	streams, _, _, errOut := genericiooptions.NewTestIOStreams()
	code := run(ctx, suspend(), streams)
	if want := "interrupted; spec.access of lane " + w.Namespace + "/spyre is Suspended and the operator goes on"; code != plugin.ExitInterrupted || !strings.Contains(errOut.String(), want) {
		t.Errorf("exit code %d, error %q, want %q", code, errOut, want)
	}
}

func TestOutput(t *testing.T) {
	w := newWorld(t)
	w.operate("spyre", syncing, suspended)
	code, out, errOut := command(t, suspend("-o", "json")...)
	var lane v1alpha1.PlatformLane
	if err := json.Unmarshal([]byte(out), &lane); err != nil {
		t.Fatalf("standard output is not one object: %v\n%s", err, out)
	}
	if code != plugin.ExitDone || lane.Kind != "PlatformLane" || judge(&lane, v1alpha1.AccessSuspended) != inForce || !strings.Contains(errOut, "live sessions included") {
		t.Errorf("exit code %d, standard error %q, object %+v", code, errOut, lane)
	}
	for args, want := range map[string]string{
		"--dry-run=server":        "platformlane.distribution.pytorch.org/spyre resumed (server dry run)\n",
		"--dry-run=client":        "platformlane.distribution.pytorch.org/spyre resumed (dry run)\n",
		"--dry-run=server -oname": "platformlane.distribution.pytorch.org/spyre\n",
	} {
		if _, out, errOut := command(t, resume(strings.Fields(args)...)...); out != want || errOut != "" {
			t.Errorf("%s printed %q and %q, want %q", args, out, errOut, want)
		}
	}
	alice := w.As("alice", editor)
	_, out, _ = command(t, resume("--dry-run=server", "-o", "yaml")...)
	for _, text := range []string{"access: Active\n", v1alpha1.AccessChangedByAnnotation + ": " + alice + "\n", v1alpha1.AccessReasonAnnotation + ": token rotated\n"} {
		if !strings.Contains(out, text) {
			t.Errorf("the server's dry run does not show %q:\n%s", text, out)
		}
	}
	_, out, _ = command(t, resume("--dry-run=client", "-o", "yaml")...)
	if !strings.Contains(out, "access: Active\n") || strings.Contains(out, v1alpha1.AccessChangedByAnnotation) {
		t.Errorf("the client's dry run shows\n%s", out)
	}
	if w.lane("spyre").Spec.Access != v1alpha1.AccessSuspended {
		t.Error("a dry run changed the lane")
	}
}

func TestGitOpsWarning(t *testing.T) {
	w := newWorld(t)
	w.create("argo", func(l *v1alpha1.PlatformLane) {
		l.Annotations = map[string]string{argoTracking: "lanes:distribution.pytorch.org/PlatformLane:x/argo"}
	})
	code, _, errOut := command(t, "suspend", "argo", "--reason", "r", "--wait=false")
	if want := "warning: lane " + w.Namespace + `/argo is kept by the Argo CD Application "lanes", which takes this back if it heals itself: commit "access: Suspended" to the lane's spec in git as well` + "\n"; code != plugin.ExitDone || errOut != want {
		t.Errorf("exit code %d, standard error %q, want %q", code, errOut, want)
	}
}

func TestKeeper(t *testing.T) {
	for _, test := range []struct {
		labels, annotations map[string]string
		want                string
	}{
		{nil, nil, ""},
		{map[string]string{"app.kubernetes.io/name": "x"}, nil, ""},
		{map[string]string{instanceLabel: "lanes"}, nil, `Argo CD (or Helm), as the instance "lanes"`},
		{map[string]string{instanceLabel: "lanes"}, map[string]string{argoTracking: "app:g/k:n/m"}, `the Argo CD Application "app"`},
		{map[string]string{fluxLabel: "lanes"}, nil, `the Flux Kustomization "lanes"`},
		{map[string]string{fluxHelmLabel: "lanes", instanceLabel: "x"}, nil, `the Flux HelmRelease "lanes"`},
	} {
		if got := keeperOf(&v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{Labels: test.labels, Annotations: test.annotations}}); got != test.want {
			t.Errorf("%v %v: %q, want %q", test.labels, test.annotations, got, test.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"unknown lane", []string{"suspend", "spyer", "--reason", "r"}, `there is no lane "spyer" in namespace ` + w.Namespace + "; its lanes are: rbln, spyre\n"},
		{"wrong namespace", suspend("-n", "default"), `there is no lane "spyre" in namespace default, nor any other; choose the vendor's namespace with -n`},
	} {
		code, out, errOut := command(t, test.args...)
		if code != plugin.ExitFailed || out != "" || !strings.Contains(errOut, test.says) {
			t.Errorf("%s: exit code %d, output %q, error %q", test.name, code, out, errOut)
		}
	}
	w.As("reader", plugintest.Allow("platformlanes", "get"))
	code, _, errOut := command(t, suspend()...)
	if code != plugin.ExitFailed || !strings.Contains(errOut, "cannot patch resource") || !strings.Contains(errOut, "ask for the cluster role platform-lane-editor in that namespace") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
	if w.lane("spyre").Spec.Access != v1alpha1.AccessActive {
		t.Error("the lane is suspended")
	}
}

func TestUnknownUser(t *testing.T) {
	w := newWorld(t)
	nobody := rest.AnonymousClientConfig(plugintest.Server(t).Config)
	nobody.BearerToken = "stale"
	w.Use(nobody)
	code, _, errOut := command(t, suspend()...)
	if code != plugin.ExitFailed || !strings.Contains(errOut, "does not know you: log in again") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

// TestWithoutPolicies: nobody is named who did not ask for this, and where the
// operator is not even installed, that is said.
func TestWithoutPolicies(t *testing.T) {
	crds, err := apiserver.OwnCRDs()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{plugintest.Elsewhere(t, apiserver.ForTest(t, crds))}
	w.create("spyre", func(l *v1alpha1.PlatformLane) {
		l.Annotations = map[string]string{v1alpha1.AccessChangedByAnnotation: "bob", v1alpha1.AccessReasonAnnotation: "old"}
	})
	code, _, errOut := command(t, suspend("--wait=false")...)
	if got := says(w.lane("spyre")); code != plugin.ExitDone || got != [2]string{"", "token leaked, INC-1"} {
		t.Errorf("exit code %d, error %q, the lane says %q", code, errOut, got)
	}
}

func TestOperatorNotInstalled(t *testing.T) {
	plugintest.Elsewhere(t, apiserver.ForTest(t))
	for _, args := range [][]string{suspend(), {"explain", "spyre"}} {
		code, _, errOut := command(t, args...)
		if code != plugin.ExitFailed || !strings.Contains(errOut, "does not know platformlanes.distribution.pytorch.org: the platform lane operator is not installed there") {
			t.Errorf("exit code %d, error %q", code, errOut)
		}
	}
}

// TestSurvivesOtherWriters: a lane that somebody else writes all the time can
// still be suspended.
func TestSurvivesOtherWriters(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := int32(0); ctx.Err() == nil; i++ {
			w.write(ctx, "spyre", func(l *v1alpha1.PlatformLane) { l.Status.FilesCount = ptr.To(i) })
			time.Sleep(5 * time.Millisecond)
		}
	}()
	for i := range 5 {
		args := suspend("--wait=false")
		if i%2 == 1 {
			args = resume("--wait=false")
		}
		if code, _, errOut := command(t, args...); code != plugin.ExitDone {
			t.Errorf("exit code %d, error %q", code, errOut)
		}
	}
	cancel()
	<-done
}

// TestSaidTwiceAtOnce: two people who say the same at the same moment both
// succeed, and one of them is recorded.
func TestSaidTwiceAtOnce(t *testing.T) {
	w := newWorld(t)
	w.As("alice", editor)
	k, err := plugin.Connect(genericclioptions.NewConfigFlags(true))
	w.Must(err)
	c := &changeAccess{access: v1alpha1.AccessSuspended, lane: "spyre", reason: "r", dryRun: plugin.DryRunNone}
	late := *k
	late.Client = behind{k.Client, func() { // alice has read the lane, and bob is faster
		_, err := (&changeAccess{access: c.access, lane: c.lane, reason: c.reason, dryRun: plugin.DryRunNone}).change(t.Context(), k, w.Namespace)
		w.Must(err)
	}}
	before := w.lane("spyre").ResourceVersion
	lane, err := c.change(t.Context(), &late, w.Namespace)
	if err != nil || lane.ResourceVersion == before || lane.Spec.Access != v1alpha1.AccessSuspended || says(lane)[1] != "r" {
		t.Errorf("%v: %+v", err, lane)
	}
}

// behind lets somebody else go first.
type behind struct {
	client.WithWatch
	first func()
}

func (b behind) Patch(ctx context.Context, o client.Object, patch client.Patch, options ...client.PatchOption) error {
	b.first()
	return b.WithWatch.Patch(ctx, o, patch, options...)
}

func TestCompletion(t *testing.T) {
	w := newWorld(t)
	for args, want := range map[string]string{
		"suspend s":                     "spyre\n:4\n",
		"explain r":                     "rbln\n:4\n",
		"resume spyre r":                ":4\n",
		"suspend -n " + w.Namespace[:9]: w.Namespace + "\n",
		"render --output j":             "json\n:4\n",
	} {
		if _, out, errOut := command(t, append([]string{"__complete"}, strings.Fields(args)...)...); !strings.Contains(out, want) {
			t.Errorf("%s completed %q (%s), want %q", args, out, errOut, want)
		}
	}
}
