package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/job"
)

// World is the stage: the stack, the operator, and the tools of the people in
// the story.
type World struct {
	Stack  *sandbox.Stack
	Client client.Client
	// Root is the repository's folder, Dir one for the story's own files.
	Root, Dir string
	// Manager is the operator's program, Operator the process.
	Manager  string
	Operator *sandbox.OperatorProcess

	kubectl string
	path    string
	python  *python
	jobs    map[string]*job.Session
}

// Options say where the world is set up.
type Options struct {
	// Dir holds all data of the stack and the story.
	Dir string
	// Out shows the progress of builds.
	Out io.Writer
	// Operator says how the operator is run.
	Operator sandbox.OperatorOptions
}

// Open builds what is missing, starts the stack and the operator, and installs
// the CRDs.
func Open(ctx context.Context, o Options) (*World, error) {
	root, err := sandbox.RepositoryRoot()
	if err != nil {
		return nil, err
	}
	w := &World{Root: root, Dir: filepath.Join(o.Dir, "story"), jobs: map[string]*job.Session{}}
	if err := os.MkdirAll(w.Dir, 0o700); err != nil {
		return nil, err
	}
	w.python = newPython(filepath.Join(w.Dir, "venv")) // Takes seconds: goes on meanwhile.
	if w.Manager, err = sandbox.BuildOperator(ctx, o.Out); err != nil {
		return nil, err
	}
	plugin, err := sandbox.BuildPlugin(ctx, o.Out)
	if err != nil {
		return nil, err
	}
	if w.kubectl, err = findKubectl(root); err != nil {
		return nil, err
	}
	w.path = filepath.Dir(plugin)
	if w.Stack, err = sandbox.Start(ctx, sandbox.Options{Dir: filepath.Join(o.Dir, "stack"), Out: o.Out}); err != nil {
		return nil, err
	}
	if err := w.install(ctx, o.Operator); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *World) install(ctx context.Context, o sandbox.OperatorOptions) error {
	if err := w.Stack.InstallProduct(ctx); err != nil {
		return err
	}
	config, err := w.Stack.RESTConfig()
	if err != nil {
		return err
	}
	scheme, err := controllers.Scheme()
	if err != nil {
		return err
	}
	if w.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	w.Operator, err = w.Stack.StartOperator(ctx, w.Manager, o)
	return err
}

// Close ends everything that Open started.
func (w *World) Close() {
	if w.Stack != nil {
		w.Stack.Stop()
	}
}

// findKubectl takes $KUBECTL, the one that was built, or the one on the PATH.
func findKubectl(root string) (string, error) {
	if path := os.Getenv("KUBECTL"); path != "" {
		return path, nil
	}
	if built, err := filepath.Glob(filepath.Join(root, "bin", "sandbox", "kubectl-*")); err == nil && len(built) > 0 {
		return built[len(built)-1], nil
	}
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return "", fmt.Errorf("kubectl is missing: run `make demo` or `make test`, which build it")
	}
	return path, nil
}

// Kubectl types a command, with the plugin on the PATH.
func (w *World) Kubectl(ctx context.Context, args ...string) (string, error) {
	return w.kubectlInput(ctx, "", args...)
}

func (w *World) kubectlInput(ctx context.Context, stdin string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, w.kubectl, args...)
	command.Env = []string{
		"PATH=" + w.path + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + w.Dir, "KUBECONFIG=" + w.Stack.Kubeconfig,
	}
	command.Stdin = strings.NewReader(stdin)
	return output(command)
}

// output runs a command and returns what it printed; on failure the error says
// it too.
func output(command *exec.Cmd) (string, error) {
	var both bytes.Buffer
	command.Stdout, command.Stderr = &both, &both
	err := command.Run()
	text := strings.TrimSpace(both.String())
	if err != nil {
		return text, fmt.Errorf("%s: %w\n%s", filepath.Base(command.Path)+" "+strings.Join(command.Args[1:], " "), err, text)
	}
	return text, nil
}

// errNotYet is the reason to look again.
var errNotYet = errors.New("not yet")

// eventually looks again until check has no error, or says which it had last.
func eventually(ctx context.Context, within time.Duration, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %w", within, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lane reads a lane.
func (w *World) lane(ctx context.Context, l laneName) (*v1alpha1.PlatformLane, error) {
	lane := &v1alpha1.PlatformLane{}
	return lane, w.Client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: l.name}, lane)
}

// laneName is a lane of the samples.
type laneName struct{ namespace, name, sample string }

var (
	spyre = laneName{"vendor-ibm", "spyre", "distribution_v1alpha1_platformlane_spyre.yaml"}
	rbln  = laneName{"vendor-rebellions", "rbln", "distribution_v1alpha1_platformlane_rbln.yaml"}
)
