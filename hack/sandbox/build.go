package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keepEdges is how many builds of the edge stay: a running stack may still use
// the one before.
const keepEdges = 3

// Binaries are the paths of the programs that make up the stack.
type Binaries struct {
	Etcd, KubeAPIServer, ACK, VersityGW, Edge string
}

// step is one program to build.
type step struct {
	name     string // what people call it
	version  string
	dir      string // where to run the build
	pkg      string
	ldflags  string
	expected string // how long it takes on 2 cores when nothing is cached
	target   string
	into     *string
}

// Build makes the stack's programs, from the exact versions that the side
// modules below hack/sandbox/build pin, and keeps them in bin/sandbox. Programs
// that are there already are not built again. Progress goes to out. Two callers
// at once do not build twice: the second waits. When KUBEBUILDER_ASSETS names a
// folder with etcd and kube-apiserver, those are used instead.
func Build(ctx context.Context, out io.Writer) (Binaries, error) {
	root, err := RepositoryRoot()
	if err != nil {
		return Binaries{}, err
	}
	var b Binaries
	steps, err := plan(ctx, root, &b)
	if err != nil {
		return Binaries{}, err
	}
	missing := absent(steps)
	if len(missing) == 0 {
		return b, nil
	}
	binDir := filepath.Join(root, "bin", "sandbox")
	if err := os.MkdirAll(binDir, 0o755); err != nil {
		return Binaries{}, err
	}
	unlock, err := lockFile(ctx, filepath.Join(binDir, ".lock"), func() {
		say(out, "another build of the sandbox is running; waiting for it")
	})
	if err != nil {
		return Binaries{}, err
	}
	defer unlock()
	missing = absent(missing)
	for i, s := range missing {
		if err := s.build(ctx, out, i+1, len(missing)); err != nil {
			return Binaries{}, err
		}
	}
	return b, pruneEdges(binDir, b.Edge)
}

func plan(ctx context.Context, root string, b *Binaries) ([]step, error) {
	side := filepath.Join(root, "hack", "sandbox", "build")
	steps := []step{
		{name: "versitygw", expected: "about 1 minute", into: &b.VersityGW},
		{name: "etcd", expected: "about half a minute", into: &b.Etcd},
		{name: "kube-apiserver", expected: "about 5 minutes", into: &b.KubeAPIServer},
		{name: "ack-iam-controller", expected: "about 3 minutes", into: &b.ACK},
	}
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		etcd, apiserver := filepath.Join(assets, "etcd"), filepath.Join(assets, "kube-apiserver")
		if isFile(etcd) && isFile(apiserver) {
			b.Etcd, b.KubeAPIServer = etcd, apiserver
			steps = slices.DeleteFunc(steps, func(s step) bool { return s.into == &b.Etcd || s.into == &b.KubeAPIServer })
		}
	}
	for i := range steps {
		s := &steps[i]
		s.dir = filepath.Join(side, s.name)
		tool, err := pinnedTool(ctx, s.dir)
		if err != nil {
			return nil, err
		}
		s.pkg, s.version = tool.pkg, tool.version
		if s.into == &b.KubeAPIServer {
			s.ldflags = kubernetesVersionFlags(tool.version)
		}
	}
	edge, err := edgeStep(root, &b.Edge)
	if err != nil {
		return nil, err
	}
	steps = append(steps, edge)
	for i := range steps {
		s := &steps[i]
		s.target = filepath.Join(root, "bin", "sandbox", s.name+"-"+s.version)
		*s.into = s.target
	}
	return steps, nil
}

func absent(steps []step) []step {
	return slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return isFile(s.target) })
}

// edgeStep names the edge's build after what it is built from.
func edgeStep(root string, into *string) (step, error) {
	dir := filepath.Join(root, "hack", "sandbox", "edge")
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if ext := filepath.Ext(path); ext != ".go" && ext != ".mod" && ext != ".sum" {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%s %d\n%s", path[len(dir):], len(raw), raw)
		return err
	})
	if err != nil {
		return step{}, fmt.Errorf("read the edge's sources: %w", err)
	}
	return step{
		name: "edge", version: hex.EncodeToString(sum.Sum(nil))[:12], dir: dir, pkg: ".",
		expected: "about 1 minute", into: into,
	}, nil
}

// build makes one program and puts it in place in one step, so that nobody runs
// half of it.
func (s *step) build(ctx context.Context, out io.Writer, n, of int) error {
	started := time.Now()
	label := fmt.Sprintf("[%d/%d] %s %s", n, of, s.name, s.version)
	say(out, "%s: building, %s on 2 cores the first time", label, s.expected)
	tmp := s.target + ".building"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", strings.TrimSpace("-s -w "+s.ldflags), "-o", tmp, s.pkg)
	cmd.Dir = s.dir
	cmd.Env = goEnvironment("CGO_ENABLED=0")
	var trouble strings.Builder
	cmd.Stdout, cmd.Stderr = &trouble, &trouble
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("build %s: %w", s.name, err)
	}
	finished := make(chan error, 1)
	go func() { finished <- cmd.Wait() }()
	tick := time.NewTicker(15 * time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-finished:
			if err != nil {
				_ = os.Remove(tmp)
				return fmt.Errorf("build %s in %s: %w\n%s", s.name, s.dir, err, trouble.String())
			}
			say(out, "%s: done in %s", label, time.Since(started).Round(time.Second))
			return os.Rename(tmp, s.target)
		case <-tick.C:
			say(out, "%s: still building, %s so far", label, time.Since(started).Round(time.Second))
		}
	}
}

// pruneEdges removes all but the newest builds of the edge.
func pruneEdges(dir, current string) error {
	old, err := filepath.Glob(filepath.Join(dir, "edge-*"))
	if err != nil {
		return err
	}
	age := func(path string) time.Time {
		info, err := os.Stat(path)
		if err != nil {
			return time.Time{}
		}
		return info.ModTime()
	}
	slices.SortFunc(old, func(a, b string) int { return age(b).Compare(age(a)) })
	for i, path := range old {
		if i >= keepEdges && path != current {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func say(out io.Writer, format string, args ...any) {
	if out != nil {
		_, _ = fmt.Fprintf(out, format+"\n", args...)
	}
}
