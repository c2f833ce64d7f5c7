package wheeltest_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// TestPipInstallsStandIns installs wheels with the pip that comes with python3
// and imports what they install. pip itself does not notice a wrong RECORD, so
// that is compared afterwards.
func TestPipInstallsStandIns(t *testing.T) {
	dir := t.TempDir()
	venv := filepath.Join(dir, "venv")
	python := filepath.Join(venv, "bin", "python")
	run(t, "python3", "-m", "venv", venv)
	for _, w := range []wheeltest.Wheel{
		{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.8"},
		{Project: "torch", Version: "2.9.1+spyre.1", Build: "2", Tag: "py2.py3-none-any"},
		{Project: "Torch.XLA", Version: "2.10.0.dev20260101+spyre", PadTo: 6 << 20},
	} {
		data, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if len(data) < w.PadTo {
			t.Errorf("%s has %d bytes, asked for %d", w.Filename(), len(data), w.PadTo)
		}
		path := filepath.Join(dir, w.Filename())
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, python, "-m", "pip", "install", "--isolated", "--disable-pip-version-check", "--no-index", "--no-deps", path)
		module, _, _ := strings.Cut(w.Filename(), "-")
		if got := run(t, python, "-c", "import "+module+" as m; print(m.__version__)"); got != w.Version {
			t.Errorf("%s imports as version %q", w.Filename(), got)
		}
		if got := run(t, python, "-c", verifyRecord, w.Project); got != "ok" {
			t.Errorf("%s: %s", w.Filename(), got)
		}
	}
}

// verifyRecord compares every installed file with its line in RECORD. pip adds
// lines of its own (INSTALLER, RECORD, compiled files) without a hash.
const verifyRecord = `
import base64, hashlib, importlib.metadata, sys
hashed = 0
for file in importlib.metadata.distribution(sys.argv[1]).files:
    if file.hash is None:
        continue
    data = file.locate().read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    if digest != file.hash.value or len(data) != file.size:
        sys.exit(print("wrong RECORD line for", file))
    hashed += 1
print("ok" if hashed >= 3 else "RECORD lists %d files" % hashed)
`

// run starts a command with an environment that holds nothing but what finds
// the programs, and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\nThe test needs python3 with venv.", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestBytesAreDeterministic(t *testing.T) {
	w := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", PadTo: 64 << 10}
	first, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Error("two builds of one description differ")
	}
}
