package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
	"github.com/pytorch/platform-lane-operator/test/apiserver"
)

// theServer is the one API server of a package's tests, started by the first
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

// Server is the API server of the package's tests.
func Server(t testing.TB) *apiserver.Server {
	t.Helper()
	server, err := theServer()
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// Main runs a package's tests and ends its API server. Under the name of the
// plugin, the test program is the plugin; see Kubectl.
func Main(m *testing.M, name string, main func()) {
	if base := filepath.Base(os.Args[0]); base == name || strings.HasPrefix(base, "kubectl_complete-") {
		main()
	}
	plugin.Quiet()
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

// NoCluster points every default of the client library at nothing.
func NoCluster(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("KUBECONFIG", filepath.Join(home, "none"))
	t.Setenv("KUBERNETES_MASTER", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("KUBERNETES_SERVICE_PORT", "")
}

// A World is a namespace of its own, and a kubeconfig whose context points to it.
type World struct {
	T         *testing.T
	Namespace string
	// Admin may do everything.
	Admin client.WithWatch
	// Kubeconfig is the file; KUBECONFIG names it too.
	Kubeconfig string
}

// New makes a World and becomes its administrator.
func New(t *testing.T) *World {
	t.Helper()
	server := Server(t)
	w := &World{T: t, Admin: adminOf(t, server.Config)}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "vendor-"}}
	w.Must(w.Admin.Create(t.Context(), namespace))
	w.Namespace = namespace.Name
	w.Use(server.Config)
	return w
}

// Elsewhere is a World on another API server, in the namespace default.
func Elsewhere(t *testing.T, config *rest.Config) *World {
	t.Helper()
	w := &World{T: t, Namespace: metav1.NamespaceDefault, Admin: adminOf(t, config)}
	w.Use(config)
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

// Must ends the test on an error.
func (w *World) Must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// Use writes a kubeconfig for this user and makes it the one that counts.
func (w *World) Use(config *rest.Config) {
	w.T.Helper()
	NoCluster(w.T)
	w.Kubeconfig = filepath.Join(w.T.TempDir(), "kubeconfig")
	w.Must(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"u": {
			ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
		}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u", Namespace: w.Namespace}},
		CurrentContext: "x",
	}, w.Kubeconfig))
	w.T.Setenv("KUBECONFIG", w.Kubeconfig)
}

// Allow is a rule about a resource of the operator's API.
func Allow(resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{resource}, Verbs: verbs}
}

// As switches to a user who may do this much and no more in the namespace, and
// returns the user's full name.
func (w *World) As(name string, rules ...rbacv1.PolicyRule) string {
	w.T.Helper()
	user := name + "-" + w.Namespace
	config, err := Server(w.T).AddUser(user)
	w.Must(err)
	w.grant(w.Namespace, name, user, rules)
	w.Use(config)
	return user
}

// Grant lets a user of As do more, in any namespace.
func (w *World) Grant(namespace, user string, rules ...rbacv1.PolicyRule) {
	w.T.Helper()
	w.grant(namespace, user, user, rules)
}

func (w *World) grant(namespace, name, user string, rules []rbacv1.PolicyRule) {
	w.T.Helper()
	meta := metav1.ObjectMeta{Name: name, Namespace: namespace}
	w.Must(w.Admin.Create(w.T.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}))
	w.Must(w.Admin.Create(w.T.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}))
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			w.waitAllowed(namespace, user, rule, verb)
		}
	}
}

// waitAllowed waits until the API server has taken up a new binding.
func (w *World) waitAllowed(namespace, user string, rule rbacv1.PolicyRule, verb string) {
	w.T.Helper()
	attributes := authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: rule.APIGroups[0], Resource: rule.Resources[0]}
	if len(rule.ResourceNames) > 0 {
		attributes.Name = rule.ResourceNames[0]
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &attributes}}
		w.Must(w.Admin.Create(w.T.Context(), review))
		if review.Status.Allowed {
			return
		}
		if time.Now().After(deadline) {
			w.T.Fatalf("%s may still not %s %s", user, verb, rule.Resources[0])
		}
	}
}

// Apply applies the manifests of files, whose paths begin at the repository's
// root, as the administrator.
func (w *World) Apply(files ...string) {
	w.T.Helper()
	root, err := sandbox.RepositoryRoot()
	w.Must(err)
	for _, name := range files {
		file, err := os.Open(filepath.Join(root, name))
		w.Must(err)
		decoder := utilyaml.NewYAMLOrJSONDecoder(file, 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				w.T.Fatalf("%s: %v", name, err)
			}
			w.Must(w.Admin.Apply(w.T.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"), client.ForceOwnership))
		}
		w.Must(file.Close())
	}
}
