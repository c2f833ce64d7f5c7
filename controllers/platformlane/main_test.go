package platformlane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	"github.com/pytorch/platform-lane-operator/test/apiserver"
)

// admin reaches the API server past every cache. It knows the index of lanes by
// platform, which only a cache has.
var (
	admin  client.WithWatch
	config *rest.Config
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	log.SetLogger(logr.Discard()) // What matters is in conditions and Events.
	crds, err := apiserver.OwnCRDs()
	if err != nil {
		return 0, err
	}
	roleCRD, err := apiserver.ACKRoleCRD(context.Background())
	if err != nil {
		return 0, err
	}
	server, err := apiserver.Start(context.Background(), crds, roleCRD)
	if err != nil {
		return 0, err
	}
	defer func() {
		if stopErr := server.Stop(); err == nil {
			err = stopErr
		}
	}()
	scheme := runtime.NewScheme()
	if err := errors.Join(addToScheme(scheme)...); err != nil {
		return 0, err
	}
	direct, err := client.NewWithWatch(server.Config, client.Options{Scheme: scheme})
	if err != nil {
		return 0, err
	}
	config, admin = server.Config, interceptor.NewClient(direct, interceptor.Funcs{List: byPlatform})
	return m.Run(), nil
}

func addToScheme(scheme *runtime.Scheme) (errs []error) {
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, ackrole.AddToScheme} {
		errs = append(errs, add(scheme))
	}
	return errs
}

// byPlatform answers what the index of lanes by platform would.
func byPlatform(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
	var options client.ListOptions
	options.ApplyOptions(opts)
	lanes, ok := list.(*v1alpha1.PlatformLaneList)
	if !ok || options.FieldSelector == nil {
		return c.List(ctx, list, opts...)
	}
	platform, _ := options.FieldSelector.RequiresExactMatch(platformIndex)
	if err := c.List(ctx, lanes); err != nil {
		return err
	}
	lanes.Items = slices.DeleteFunc(lanes.Items, func(l v1alpha1.PlatformLane) bool { return l.Spec.Platform != platform })
	return nil
}
