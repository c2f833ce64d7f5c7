package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// DefaultDir is the data folder below the repository.
const DefaultDir = ".sandbox"

// startTimeout bounds a start, builds excluded.
const startTimeout = 2 * time.Minute

// Options say where a stack lives.
type Options struct {
	// Dir is the data folder; the default is DefaultDir in the repository.
	Dir string
	// Out gets progress in plain words; nil discards it.
	Out io.Writer
	// ACKFlags are further flags for ACK's iam-controller; they win over the
	// stack's own.
	ACKFlags []string
}

// Stack is a running stack. Its methods are safe for concurrent use.
type Stack struct {
	Info

	out      io.Writer
	ackFlags []string
	binaries Binaries
	settings *settings
	pki      *pki
	unlock   func()

	mu        sync.Mutex
	processes []*process // in order of start
	stopped   bool
}

// Start builds what is missing and brings the stack up; it returns once every
// part answers and the account and ACK's CRDs are in place. When it fails, or
// the context ends before that, nothing is left running. The context does not
// bound the stack's life: call Stop.
func Start(ctx context.Context, o Options) (*Stack, error) {
	binaries, err := Build(ctx, o.Out)
	if err != nil {
		return nil, err
	}
	s, err := open(o, binaries)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.bringUp(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("start the sandbox on %s: %w", s.Dir, err)
	}
	return s, nil
}

// open takes the folder and prepares its files.
func open(o Options, binaries Binaries) (*Stack, error) {
	dir, err := resolveDir(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	unlock, err := tryLock(filepath.Join(dir, "lock"))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("a sandbox is running on %s already; stop it (make sandbox-down), or choose another folder", dir)
	}
	if err != nil {
		return nil, err
	}
	s := &Stack{out: o.Out, ackFlags: o.ACKFlags, binaries: binaries, unlock: unlock}
	if err := s.prepare(dir); err != nil {
		unlock()
		return nil, err
	}
	return s, nil
}

func resolveDir(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	root, err := RepositoryRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, DefaultDir), nil
}

func (s *Stack) prepare(dir string) error {
	for _, sub := range []string{"logs", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	// We hold the folder's lock, so whatever still runs there lost its parent.
	ended, err := endLeftovers(filepath.Join(dir, "run"), 3*time.Second)
	if err != nil {
		return err
	}
	for _, name := range ended {
		say(s.out, "ended %s, left behind by an earlier run", name)
	}
	if s.settings, err = openSettings(dir); err != nil {
		return err
	}
	if s.pki, err = openPKI(filepath.Join(dir, "pki")); err != nil {
		return err
	}
	s.Info = newInfo(dir, filepath.Dir(s.binaries.Edge), s.settings)
	return s.writeAccess()
}

// writeAccess writes the files by which clients find the stack.
func (s *Stack) writeAccess() error {
	for _, client := range []struct{ path, user string }{
		{s.Kubeconfig, "sandbox-admin"}, {s.path("ack.kubeconfig"), ackUser},
	} {
		raw, err := s.pki.kubeconfig(s.KubeAPIServer, client.user, []string{"system:masters"})
		if err != nil {
			return err
		}
		if err := os.WriteFile(client.path, raw, 0o600); err != nil {
			return err
		}
	}
	return writeJSON(infoFile(s.Dir), s.Info)
}

// KubeconfigFor returns a kubeconfig for another user of the cluster, whose
// rights are RBAC's to decide.
func (s *Stack) KubeconfigFor(user string, groups ...string) ([]byte, error) {
	return s.pki.kubeconfig(s.KubeAPIServer, user, groups)
}

// bringUp starts the two halves, the cluster and the account, side by side.
func (s *Stack) bringUp(ctx context.Context) error {
	say(s.out, "starting the sandbox in %s", s.Dir)
	started := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, half := range []func(context.Context) error{s.startCluster, s.startAccount} {
		wg.Go(func() {
			if err := half(ctx); err != nil {
				cancel(err) // the first reason is the one to report
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := s.startACK(ctx); err != nil {
		return err
	}
	say(s.out, "the sandbox is up after %s", time.Since(started).Round(100*time.Millisecond))
	return nil
}

func (s *Stack) startCluster(ctx context.Context) error {
	if err := s.run(Etcd, s.etcdCommand(), 5*time.Second); err != nil {
		return err
	}
	if err := s.run(KubeAPIServer, s.apiServerCommand(), 5*time.Second); err != nil {
		return err
	}
	if err := s.ready(ctx, KubeAPIServer); err != nil {
		return err
	}
	say(s.out, "  kube-apiserver answers at %s", s.KubeAPIServer)
	dirs, err := ackCRDs(ctx)
	if err != nil {
		return err
	}
	return s.InstallCRDs(ctx, dirs...)
}

func (s *Stack) startAccount(ctx context.Context) error {
	edge, err := s.edgeCommand()
	if err != nil {
		return err
	}
	if err := s.run(Edge, edge, 5*time.Second); err != nil {
		return err
	}
	// versitygw will not start without the webhook it is to notify.
	if err := s.dial(ctx, Edge, s.settings.addr("events")); err != nil {
		return err
	}
	versity, err := s.versityCommand()
	if err != nil {
		return err
	}
	if err := s.run(S3, versity, 5*time.Second); err != nil {
		return err
	}
	if err := s.ready(ctx, S3); err != nil {
		return err
	}
	if err := s.ready(ctx, Edge); err != nil {
		return err
	}
	say(s.out, "  S3 answers at %s, IAM and STS at %s, the CDN at %s", s.S3Endpoint, s.IAMEndpoint, s.CDNURL)
	return nil
}

func (s *Stack) startACK(ctx context.Context) error {
	if err := s.run(ACK, s.ackCommand(), 5*time.Second); err != nil {
		return err
	}
	if err := s.ready(ctx, ACK); err != nil {
		return err
	}
	say(s.out, "  ACK's iam-controller is ready")
	return nil
}

// run starts a part of the stack.
func (s *Stack) run(name string, command func() *exec.Cmd, grace time.Duration) error {
	p := &process{
		name: name, command: command, grace: grace,
		logPath: filepath.Join(s.LogDir, name+".log"),
		pidPath: s.path("run", name+".pid"),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return errors.New("the sandbox has been stopped")
	case slices.ContainsFunc(s.processes, func(other *process) bool { return other.name == name }):
		return fmt.Errorf("%s runs in this sandbox already; use Restart", name)
	}
	if err := p.start(); err != nil {
		return err
	}
	s.processes = append(s.processes, p)
	return nil
}

// Spawn runs another program under the stack's supervision: its own log, process
// group and pid file, ended by Stop before the parts it needs. command is a
// template: Restart runs it again.
func (s *Stack) Spawn(name string, command *exec.Cmd) error {
	path, args, dir, env := command.Path, command.Args, command.Dir, command.Env
	if command.Err != nil {
		return command.Err
	}
	return s.run(name, func() *exec.Cmd {
		return &exec.Cmd{Path: path, Args: slices.Clone(args), Dir: dir, Env: slices.Clone(env)}
	}, 20*time.Second)
}

func (s *Stack) process(name string) (*process, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("the sandbox has no part named %q", name)
}

// Kill ends a part at once, as a crash would (SIGKILL to its process group).
func (s *Stack) Kill(name string) error {
	p, err := s.process(name)
	if err == nil {
		p.kill()
	}
	return err
}

// Terminate ends a part the polite way (SIGTERM, SIGKILL after its grace period).
func (s *Stack) Terminate(name string) error {
	p, err := s.process(name)
	if err == nil {
		p.stop()
	}
	return err
}

// Restart starts a part again, ending it first if it runs, and waits until it
// answers. Parts started by Spawn are not waited for.
func (s *Stack) Restart(ctx context.Context, name string) error {
	p, err := s.process(name)
	if err != nil {
		return err
	}
	p.stop()
	if err := p.start(); err != nil {
		return err
	}
	return s.ready(ctx, name)
}

// Wait returns when the named part has ended, with the reason if it ended by
// itself, or when the context ends.
func (s *Stack) Wait(ctx context.Context, name string) error {
	p, err := s.process(name)
	if err != nil {
		return err
	}
	select {
	case <-p.done():
		return p.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WaitAny returns when any part has ended by itself, with the reason, or when
// the context ends, with nil.
func (s *Stack) WaitAny(ctx context.Context) error {
	for {
		s.mu.Lock()
		processes := slices.Clone(s.processes)
		s.mu.Unlock()
		for _, p := range processes {
			if err := p.failure(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Stop ends every part, what was started last first, and gives the folder free.
// It may be called more than once.
func (s *Stack) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.stopped = true
	for _, group := range stopOrder(s.processes) {
		var wg sync.WaitGroup
		for _, p := range group {
			wg.Go(p.stop)
		}
		wg.Wait()
	}
	s.unlock()
}

// stopOrder ends those who use something before what they use: spawned programs
// one by one, then ACK, then both halves side by side.
func stopOrder(processes []*process) [][]*process {
	rank := map[string]int{ACK: 0, KubeAPIServer: 1, S3: 1, Etcd: 2, Edge: 2}
	parts := make([][]*process, 3)
	var order [][]*process
	for _, p := range slices.Backward(processes) {
		if r, ok := rank[p.name]; ok {
			parts[r] = append(parts[r], p)
		} else {
			order = append(order, []*process{p})
		}
	}
	return append(order, parts...)
}
