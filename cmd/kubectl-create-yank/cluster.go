package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// fieldManager owns the fields that this program sets.
const fieldManager = "kubectl-create-yank"

// lanesShown bounds how many lanes an error or a completion lists.
const lanesShown = 100

// cluster is the API server that the flags point to.
type cluster struct {
	client client.WithWatch
	host   string
}

// connect makes a client; it sends nothing yet.
func (c *createYank) connect() (*cluster, error) {
	config, err := c.config.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w; check --kubeconfig, --context and KUBECONFIG", err)
	}
	if unconfigured(c.config) {
		return nil, fmt.Errorf("no cluster is configured: set KUBECONFIG, or use --kubeconfig or --server")
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	cl, err := client.NewWithWatch(config, client.Options{HTTPClient: httpClient, Scheme: scheme, Mapper: mapper()})
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	return &cluster{client: cl, host: config.Host}, nil
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

// mapper knows both resources by heart, which spares the discovery requests.
func mapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper([]schema.GroupVersion{v1alpha1.GroupVersion})
	for kind, names := range map[string][2]string{
		"Yank":         {"yanks", "yank"},
		"PlatformLane": {"platformlanes", "platformlane"},
	} {
		m.AddSpecific(v1alpha1.GroupVersion.WithKind(kind), v1alpha1.GroupVersion.WithResource(names[0]),
			v1alpha1.GroupVersion.WithResource(names[1]), meta.RESTScopeNamespace)
	}
	return m
}

// create stores the Yank, or with dryRun lets the API server judge it, and
// fills it with what the API server made of it.
func (k *cluster) create(ctx context.Context, y *v1alpha1.Yank, dryRun bool) error {
	if err := k.checkLane(ctx, y); err != nil {
		return err
	}
	options := []client.CreateOption{client.FieldOwner(fieldManager), client.FieldValidation("Strict")}
	if dryRun {
		options = append(options, client.DryRunAll)
	}
	err := k.client.Create(ctx, y, options...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, fmt.Errorf("interrupted while the Yank was being created; see whether it is there: kubectl get yank %s -n %s", y.Name, y.Namespace)}
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("a Yank %s/%s exists already; choose another --name, or raise the mode of the one there: kubectl patch yank %s -n %s --type merge -p '{\"spec\":{\"mode\":%q}}'",
			y.Namespace, y.Name, y.Name, y.Namespace, y.Spec.Mode)
	}
	return k.explain(err, "create", "yanks")
}

// checkLane refuses a lane that is not there, naming those that are. Who may
// not read lanes is not held up: the operator checks again.
func (k *cluster) checkLane(ctx context.Context, y *v1alpha1.Yank) error {
	name := y.Spec.LaneRef.Name
	err := k.client.Get(ctx, client.ObjectKey{Namespace: y.Namespace, Name: name}, &v1alpha1.PlatformLane{})
	switch {
	case err == nil || apierrors.IsForbidden(err):
		return nil
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, fmt.Errorf("interrupted; nothing was created")}
	case !apierrors.IsNotFound(err) || absent(err):
		return k.explain(err, "get", "platformlanes")
	}
	lanes, err := k.lanes(ctx, y.Namespace)
	switch {
	case err != nil:
		return fmt.Errorf("there is no lane %q in namespace %s", name, y.Namespace)
	case len(lanes) == 0:
		return fmt.Errorf("there is no lane %q in namespace %s, nor any other; choose the vendor's namespace with -n", name, y.Namespace)
	default:
		return fmt.Errorf("there is no lane %q in namespace %s; its lanes are: %s", name, y.Namespace, strings.Join(lanes, ", "))
	}
}

// lanes are the names of the lanes of a namespace.
func (k *cluster) lanes(ctx context.Context, namespace string) ([]string, error) {
	var list v1alpha1.PlatformLaneList
	if err := k.client.List(ctx, &list, client.InNamespace(namespace), client.Limit(lanesShown)); err != nil {
		return nil, err
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return names, nil
}
