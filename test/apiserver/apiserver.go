package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// startTimeout is how long etcd and the API server may each take on a busy
// machine.
const startTimeout = 2 * time.Minute

// Server is a running API server.
type Server struct {
	env *envtest.Environment
	// Config is the administrator's client configuration, without client-side
	// throttling.
	Config *rest.Config
}

// Start brings up etcd and an API server on free loopback ports and installs the
// CustomResourceDefinitions found in the files and folders. KUBEBUILDER_ASSETS,
// when set, names the folder of the two programs; otherwise the sandbox's are
// used, and built first if need be.
func Start(ctx context.Context, crds ...string) (*Server, error) {
	etcd, apiserver, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{
		CRDDirectoryPaths:        crds,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  startTimeout,
	}
	server := env.ControlPlane.GetAPIServer()
	server.Path = apiserver
	// Otherwise it looks for another interface than the loopback, and does not
	// start on a machine without one.
	server.Configure().Set("advertise-address", "127.0.0.1").Set("endpoint-reconciler-type", "none")
	env.ControlPlane.Etcd = &envtest.Etcd{Path: etcd}
	env.ControlPlane.Etcd.Configure().Set("unsafe-no-fsync", "true")
	config, err := env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start an API server from %s: %w", apiserver, err), env.Stop())
	}
	config.QPS = -1
	return &Server{env: env, Config: config}, nil
}

// Stop ends the API server and etcd and removes their data.
func (s *Server) Stop() error { return s.env.Stop() }

// AddUser makes another user of the cluster, who may do what RBAC says.
func (s *Server) AddUser(name string, groups ...string) (*rest.Config, error) {
	user, err := s.env.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return nil, fmt.Errorf("add the user %s: %w", name, err)
	}
	config := user.Config()
	config.QPS = -1
	return config, nil
}

// ForTest starts an API server that ends with the test.
func ForTest(t testing.TB, crds ...string) *rest.Config {
	t.Helper()
	server, err := Start(t.Context(), crds...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	return server.Config
}

// OwnCRDs is the folder of this repository's CustomResourceDefinitions.
func OwnCRDs() (string, error) {
	root, err := sandbox.RepositoryRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "config", "crd", "bases"), nil
}

// ACKRoleCRD is the file with the CustomResourceDefinition of ACK's Role, in the
// version that go.mod names.
func ACKRoleCRD(ctx context.Context) (string, error) {
	const module = "github.com/aws-controllers-k8s/iam-controller"
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		return "", fmt.Errorf("find the module %s: run go mod download first: %w", module, err)
	}
	return filepath.Join(dir, "config", "crd", "bases", "iam.services.k8s.aws_roles.yaml"), nil
}

// programs are the paths of etcd and kube-apiserver.
func programs(ctx context.Context) (etcd, apiserver string, err error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		return filepath.Join(assets, "etcd"), filepath.Join(assets, "kube-apiserver"), nil
	}
	root, err := sandbox.RepositoryRoot()
	if err != nil {
		return "", "", err
	}
	etcd, foundEtcd := only(filepath.Join(root, "bin", "sandbox", "etcd-v*"))
	apiserver, foundServer := only(filepath.Join(root, "bin", "sandbox", "kube-apiserver-v*"))
	if foundEtcd && foundServer {
		return etcd, apiserver, nil
	}
	built, err := sandbox.Build(ctx, os.Stderr)
	if err != nil {
		return "", "", fmt.Errorf("build the API server for tests: %w", err)
	}
	return built.Etcd, built.KubeAPIServer, nil
}

// only is the one file that matches; with several versions at hand, the
// sandbox's build decides which one counts.
func only(pattern string) (string, bool) {
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return "", false
	}
	return found[0], true
}
