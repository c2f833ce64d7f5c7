package plugin

import (
	"context"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// shown bounds how many names an error or a completion lists.
const shown = 100

// Cluster is the API server that the flags point to.
type Cluster struct {
	Client client.WithWatch
	// Host is its address, for messages.
	Host string
}

// Connect makes a client; it sends nothing yet.
func Connect(flags *genericclioptions.ConfigFlags) (*Cluster, error) {
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w; check --kubeconfig, --context and KUBECONFIG", err)
	}
	if unconfigured(flags) {
		return nil, fmt.Errorf("no cluster is configured: set KUBECONFIG, or use --kubeconfig or --server")
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	cl, err := client.NewWithWatch(config, client.Options{HTTPClient: httpClient, Scheme: scheme, Mapper: mapper()})
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	return &Cluster{Client: cl, Host: config.Host}, nil
}

// Namespace is the one that the flags and the kubeconfig choose.
func Namespace(flags *genericclioptions.ConfigFlags) (string, error) {
	namespace, _, err := flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return namespace, nil
}

// unconfigured is true when nothing says which cluster is meant. The client
// library would then try localhost:8080, which helps nobody.
func unconfigured(flags *genericclioptions.ConfigFlags) bool {
	if *flags.APIServer != "" || os.Getenv("KUBERNETES_MASTER") != "" {
		return false
	}
	if _, err := rest.InClusterConfig(); err == nil {
		return false
	}
	raw, err := flags.ToRawKubeConfigLoader().RawConfig()
	return err == nil && len(raw.Clusters) == 0
}

// mapper knows the resources that plugins use by heart, which spares the
// discovery requests.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion, corev1.SchemeGroupVersion})
	for _, known := range []struct {
		group                  schema.GroupVersion
		kind, plural, singular string
		scope                  meta.RESTScope
	}{
		{v1alpha1.GroupVersion, "Yank", "yanks", "yank", meta.RESTScopeNamespace},
		{v1alpha1.GroupVersion, "PlatformLane", "platformlanes", "platformlane", meta.RESTScopeNamespace},
		{corev1.SchemeGroupVersion, "ConfigMap", "configmaps", "configmap", meta.RESTScopeNamespace},
		{corev1.SchemeGroupVersion, "Namespace", "namespaces", "namespace", meta.RESTScopeRoot},
	} {
		m.AddSpecific(known.group.WithKind(known.kind), known.group.WithResource(known.plural), known.group.WithResource(known.singular), known.scope)
	}
	return m
}

// Lanes are the names of a namespace's lanes, a hundred at most.
func (k *Cluster) Lanes(ctx context.Context, namespace string) ([]string, error) {
	return k.names(ctx, v1alpha1.GroupVersion.WithKind("PlatformLaneList"), client.InNamespace(namespace))
}

// Namespaces are the names of the cluster's namespaces, a hundred at most.
func (k *Cluster) Namespaces(ctx context.Context) ([]string, error) {
	return k.names(ctx, corev1.SchemeGroupVersion.WithKind("NamespaceList"))
}

func (k *Cluster) names(ctx context.Context, kind schema.GroupVersionKind, options ...client.ListOption) ([]string, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind)
	if err := k.Client.List(ctx, list, append(options, client.Limit(shown))...); err != nil {
		return nil, err
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names, nil
}

// NoSuchLane is the error for a lane that is not there; it names those that are.
func (k *Cluster) NoSuchLane(ctx context.Context, namespace, name string) error {
	lanes, err := k.Lanes(ctx, namespace)
	switch {
	case err != nil:
		return fmt.Errorf("there is no lane %q in namespace %s", name, namespace)
	case len(lanes) == 0:
		return fmt.Errorf("there is no lane %q in namespace %s, nor any other; choose the vendor's namespace with -n", name, namespace)
	default:
		return fmt.Errorf("there is no lane %q in namespace %s; its lanes are: %s", name, namespace, strings.Join(lanes, ", "))
	}
}
