package wheel_test

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// publishedNames are names of wheels on download.pytorch.org, each with the
// reason for which it is refused or an empty one: a sample of all projects and
// version shapes there.
func publishedNames(tb testing.TB) map[string]wheel.Reason {
	tb.Helper()
	file, err := os.Open(filepath.Join("testdata", "names.tsv"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	names := map[string]wheel.Reason{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, reason, found := strings.Cut(lines.Text(), "\t")
		if !found {
			tb.Fatalf("no tab in %q", lines.Text())
		}
		names[name] = wheel.Reason(reason)
	}
	if err := lines.Err(); err != nil || len(names) < 100 {
		tb.Fatalf("read %d names: %v", len(names), err)
	}
	return names
}

func TestParseFilenameReadsPublishedNames(t *testing.T) {
	for name, want := range publishedNames(t) {
		f, err := wheel.ParseFilename(name)
		var rejection *wheel.Rejection
		switch errors.As(err, &rejection); {
		case want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case want != "" && (rejection == nil || rejection.Reason != want):
			t.Errorf("%s: got %v, want %s", name, err, want)
		case want == "" && (f.Project == "" || f.Version.IsZero() || len(f.Tags()) == 0):
			t.Errorf("%s: %+v", name, f)
		}
	}
}
