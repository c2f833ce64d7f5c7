package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/test/apiserver"
)

// theServer is the one API server of this package's tests, started by the first
// that needs it.
var theServer = sync.OnceValues(func() (*apiserver.Server, error) {
	crds, err := apiserver.OwnCRDs()
	if err != nil {
		return nil, err
	}
	started = true
	return apiserver.Start(context.Background(), crds)
})

var started bool

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == pluginName {
		main() // this test program, linked as the plugin; see TestThroughKubectl
	}
	quiet()
	code := m.Run()
	if started {
		if server, err := theServer(); err == nil {
			if err := server.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// A world is a namespace with two lanes, and a kubeconfig whose context points
// to it.
type world struct {
	t          *testing.T
	namespace  string
	admin      client.WithWatch
	kubeconfig string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server, err := theServer()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, admin: adminOf(t, server.Config)}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "vendor-"}}
	w.must(w.admin.Create(t.Context(), namespace))
	w.namespace = namespace.Name
	for _, name := range []string{"spyre", "rbln"} {
		w.must(w.admin.Create(t.Context(), &v1alpha1.PlatformLane{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.namespace},
			Spec:       v1alpha1.PlatformLaneSpec{Platform: name},
		}))
	}
	w.use(server.Config)
	return w
}

func adminOf(t *testing.T, config *rest.Config) client.WithWatch {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	admin, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return admin
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// use writes a kubeconfig for this user and makes it the one that counts.
func (w *world) use(config *rest.Config) {
	w.t.Helper()
	noCluster(w.t)
	w.kubeconfig = filepath.Join(w.t.TempDir(), "kubeconfig")
	w.must(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": {
			ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
		}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u", Namespace: w.namespace}},
		CurrentContext: "x",
	}, w.kubeconfig))
	w.t.Setenv("KUBECONFIG", w.kubeconfig)
}

// as switches to a user who may do this much and no more in the namespace.
func (w *world) as(name string, rules ...rbacv1.PolicyRule) {
	w.t.Helper()
	server, err := theServer()
	w.must(err)
	user := name + "-" + w.namespace
	config, err := server.AddUser(user)
	w.must(err)
	meta := metav1.ObjectMeta{Name: name, Namespace: w.namespace}
	w.must(w.admin.Create(w.t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}))
	w.must(w.admin.Create(w.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			w.waitAllowed(user, rule, verb)
		}
	}
	w.use(config)
}

// waitAllowed waits until the API server has taken up a new binding.
func (w *world) waitAllowed(user string, rule rbacv1.PolicyRule, verb string) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: w.namespace, Verb: verb, Group: rule.APIGroups[0], Resource: rule.Resources[0],
			},
		}}
		w.must(w.admin.Create(w.t.Context(), review))
		if review.Status.Allowed {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s may still not %s %s", user, verb, rule.Resources[0])
		}
	}
}

func allow(resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{resource}, Verbs: verbs}
}

// yanks are the stored ones.
func (w *world) yanks() []v1alpha1.Yank {
	w.t.Helper()
	var list v1alpha1.YankList
	w.must(w.admin.List(w.t.Context(), &list, client.InNamespace(w.namespace)))
	return list.Items
}

var quarantine = []string{"torch==2.9.0+spyre", "--lane", "spyre", "--mode", "Quarantine", "--reason", "under investigation"}

func with(more ...string) []string { return append(append([]string{}, quarantine...), more...) }

func TestCreates(t *testing.T) {
	w := newWorld(t)
	code, out, errOut := command(t, quarantine...)
	if code != exitDone || errOut != "" {
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
	if code, _, errOut := command(t, with("--dry-run=client", "--server", "https://127.0.0.1:1")...); code != exitDone {
		t.Errorf("--dry-run=client reached for the API server: %s", errOut)
	}
	code, out, errOut := command(t, with("--dry-run=server", "-o", "yaml")...)
	if code != exitDone || errOut != "" {
		t.Fatalf("exit code %d, error %q", code, errOut)
	}
	for _, text := range []string{"execution: Execute\n", "onDelete: KeepYanked\n", "observedGeneration: -1\n", "namespace: " + w.namespace + "\n", "uid: "} {
		if !strings.Contains(out, text) {
			t.Errorf("the server's dry run does not show %q:\n%s", text, out)
		}
	}
	if _, line, _ := command(t, with("--dry-run=server", "--name", "x")...); line != "yank.distribution.pytorch.org/x created (server dry run)\n" {
		t.Errorf("printed %q", line)
	}
	code, _, _ = command(t, with("--dry-run=server", "--mode", "HardDelete")...)
	if code != exitDone {
		t.Error("a dry run of a HardDelete asked for confirmation")
	}
	if n := len(w.yanks()); n != 0 {
		t.Errorf("%d Yanks are stored after dry runs", n)
	}
}

func TestHardDeleteWithYes(t *testing.T) {
	w := newWorld(t)
	if code, _, errOut := command(t, with("--mode", "HardDelete", "--yes")...); code != exitDone {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
	if code, _, errOut := command(t, with("--mode", "HardDelete", "--plan")...); code != exitDone {
		t.Errorf("a plan asked for confirmation: exit code %d, error %q", code, errOut)
	}
	if n := len(w.yanks()); n != 2 {
		t.Errorf("%d Yanks are stored, want 2", n)
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.must(w.admin.Create(t.Context(), &v1alpha1.Yank{
		ObjectMeta: metav1.ObjectMeta{Name: "taken", Namespace: w.namespace},
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
		{"unknown lane", with("--lane", "spyer"), `there is no lane "spyer" in namespace ` + w.namespace + "; its lanes are: rbln, spyre\n"},
		{"wrong namespace", with("-n", "default"), `there is no lane "spyre" in namespace default, nor any other; choose the vendor's namespace with -n`},
		{"name taken", with("--name", "taken"), "a Yank " + w.namespace + "/taken exists already"},
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
			if code != exitFailed || out != "" || !sameLines(errOut, test.says) {
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
	w.as("reader", allow("platformlanes", "get"))
	code, _, errOut := command(t, quarantine...)
	if code != exitFailed || !strings.Contains(errOut, "cannot create resource") || !strings.Contains(errOut, "ask for the cluster role platform-lane-yanker") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

// TestLaneUnreadable: who may create Yanks but not read lanes is not held up.
func TestLaneUnreadable(t *testing.T) {
	w := newWorld(t)
	w.as("writer", allow("yanks", "create"))
	if code, _, errOut := command(t, quarantine...); code != exitDone {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

func TestUnknownUser(t *testing.T) {
	w := newWorld(t)
	server, err := theServer()
	w.must(err)
	nobody := rest.AnonymousClientConfig(server.Config)
	nobody.BearerToken = "stale"
	w.use(nobody)
	code, _, errOut := command(t, quarantine...)
	if code != exitFailed || !strings.Contains(errOut, "does not know you: log in again") {
		t.Errorf("exit code %d, error %q", code, errOut)
	}
}

func TestOperatorNotInstalled(t *testing.T) {
	config := apiserver.ForTest(t)
	(&world{t: t, namespace: "default"}).use(config)
	for _, args := range [][]string{quarantine, with("--dry-run=server")} {
		code, _, errOut := command(t, args...)
		if code != exitFailed || !strings.Contains(errOut, "does not know platformlanes.distribution.pytorch.org: the platform lane operator is not installed there") {
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
