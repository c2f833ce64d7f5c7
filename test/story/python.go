package story

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// python is a user's virtual environment, made in the background.
type python struct {
	dir  string
	done chan struct{}
	err  error
}

func newPython(dir string) *python {
	p := &python{dir: dir, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		command := exec.Command("python3", "-m", "venv", "--clear", dir)
		command.Env = p.environment()
		if _, err := output(command); err != nil {
			p.err = fmt.Errorf("make a virtual environment: %w; python3 with venv is needed", err)
		}
	}()
	return p
}

// environment holds nothing that would change what pip does.
func (p *python) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(p.dir), "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1"}
}

// pip types a pip command.
func (p *python) pip(ctx context.Context, args ...string) (string, error) {
	return p.run(ctx, append([]string{"-m", "pip"}, args...)...)
}

// run runs python.
func (p *python) run(ctx context.Context, args ...string) (string, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if p.err != nil {
		return "", p.err
	}
	command := exec.CommandContext(ctx, filepath.Join(p.dir, "bin", "python"), args...)
	command.Env = p.environment()
	return output(command)
}

// install installs one requirement from an index, with its hash demanded.
func (p *python) install(ctx context.Context, index, requirement, sha256 string) (string, error) {
	file := filepath.Join(filepath.Dir(p.dir), "requirements.txt")
	if err := os.WriteFile(file, []byte(requirement+" --hash=sha256:"+sha256+"\n"), 0o600); err != nil {
		return "", err
	}
	return p.pip(ctx, "install", "--no-cache-dir", "--force-reinstall", "--require-hashes", "--index-url", index, "-r", file)
}
