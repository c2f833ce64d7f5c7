package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const modulePath = "github.com/pytorch/platform-lane-operator"

// RepositoryRoot is the folder of the main module, found upwards from the
// working directory.
func RepositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		raw, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.Contains(string(raw), "module "+modulePath+"\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the " + modulePath + " repository: run from a folder of it")
		}
		dir = parent
	}
}

// tool is the program that a side module pins.
type tool struct{ pkg, module, version string }

// pinnedTool reads a side module's one tool and the version of its module.
func pinnedTool(ctx context.Context, dir string) (tool, error) {
	raw, err := goCommand(ctx, dir, "mod", "edit", "-json")
	if err != nil {
		return tool{}, err
	}
	var mod struct {
		Tool    []struct{ Path string }
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(raw, &mod); err != nil {
		return tool{}, fmt.Errorf("%s/go.mod: %w", dir, err)
	}
	if len(mod.Tool) != 1 {
		return tool{}, fmt.Errorf("%s/go.mod has %d tools, want one", dir, len(mod.Tool))
	}
	t := tool{pkg: mod.Tool[0].Path}
	for _, r := range mod.Require {
		if (t.pkg == r.Path || strings.HasPrefix(t.pkg, r.Path+"/")) && len(r.Path) > len(t.module) {
			t.module, t.version = r.Path, r.Version
		}
	}
	if t.module == "" {
		return tool{}, fmt.Errorf("%s/go.mod requires no module that holds %s", dir, t.pkg)
	}
	return t, nil
}

// moduleDir is where a side module's dependency lies in the module cache; it is
// downloaded when it is not there.
func moduleDir(ctx context.Context, sideModule, module string) (string, error) {
	raw, err := goCommand(ctx, sideModule, "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var m struct{ Dir, Error string }
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, err)
	}
	if m.Error != "" || m.Dir == "" {
		return "", fmt.Errorf("go mod download %s: %s", module, m.Error)
	}
	return m.Dir, nil
}

func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = goEnvironment()
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), dir, err, trouble.String())
	}
	return out, nil
}

// goEnvironment is ours without what would make the go command build something
// else than the side module says.
func goEnvironment(extra ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "GOFLAGS", "GOWORK", "GOOS", "GOARCH":
		default:
			env = append(env, kv)
		}
	}
	return append(append(env, "GOWORK=off"), extra...)
}

// kubernetesVersionFlags tell the API server its own version, as its release
// build does.
func kubernetesVersionFlags(version string) string {
	const pkg = "k8s.io/component-base/version."
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) != 3 {
		return ""
	}
	return strings.Join([]string{
		"-X", pkg + "gitVersion=" + version, "-X", pkg + "gitMajor=" + parts[0],
		"-X", pkg + "gitMinor=" + parts[1], "-X", pkg + "gitTreeState=clean",
	}, " ")
}
