package roles

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pytorch/platform-lane-operator/controllers"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// manager builds the operator once for all tests.
var manager = sync.OnceValues(func() (string, error) {
	return sandbox.BuildOperator(context.Background(), os.Stderr)
})

type world struct {
	*testing.T

	stack    *sandbox.Stack
	client   client.Client
	operator *sandbox.OperatorProcess
}

// open starts a stack with the operator. ACK gets further flags.
func open(t *testing.T, edit func(*operatorconfig.Config), ackFlags ...string) *world {
	t.Helper()
	ctx := t.Context()
	dir, err := os.MkdirTemp("", "roles-test-*") // Shorter than t.TempDir: sockets lie in it.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := manager()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t}
	if w.stack, err = sandbox.Start(ctx, sandbox.Options{Dir: dir, Out: os.Stderr, ACKFlags: ackFlags}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stack.Stop)
	if err := w.stack.InstallProduct(ctx); err != nil {
		t.Fatal(err)
	}
	config, err := w.stack.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 200
	scheme, err := controllers.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	if w.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if w.operator, err = w.stack.StartOperator(ctx, program, sandbox.OperatorOptions{Alone: true, Edit: edit}); err != nil {
		t.Fatal(err)
	}
	return w
}
