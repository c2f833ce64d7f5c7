package api

import (
	"context"
	"fmt"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/test/apiserver"
)

// The one API server of this package's tests; each test has its own namespace
// or leaves nothing behind.
var (
	server    *apiserver.Server
	config    *rest.Config
	clientset *kubernetes.Clientset
	client    *dynamic.DynamicClient
)

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	crds, err := apiserver.OwnCRDs()
	if err != nil {
		return 0, err
	}
	if server, err = apiserver.Start(context.Background(), crds); err != nil {
		return 0, err
	}
	defer server.Stop() //nolint:errcheck // the tests have their verdict
	config = server.Config
	if clientset, err = kubernetes.NewForConfig(config); err != nil {
		return 0, err
	}
	if client, err = dynamic.NewForConfig(config); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// resource is the client of the object's kind in the object's namespace, which
// is default unless the object says otherwise.
func resource(t *testing.T, object *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	plural := map[string]string{"PlatformLane": "platformlanes", "Yank": "yanks"}[object.GetKind()]
	if plural == "" {
		t.Fatalf("kind %q is none of ours", object.GetKind())
	}
	namespace := object.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return client.Resource(schema.GroupVersionResource{
		Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: plural,
	}).Namespace(namespace)
}

// newNamespace makes a namespace with a name of its own.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace, err := clientset.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}
