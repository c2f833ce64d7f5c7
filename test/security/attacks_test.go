package security

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// reference is how the table names a test: its folder, its function and perhaps a
// case of it, between backticks.
var reference = regexp.MustCompile("`([a-z0-9/]+)[.]((?:Test|Fuzz)[A-Za-z0-9_]+)(?:/([^`]+))?`")

// attack is a line of the table.
type attack struct{ what, tests string }

func TestEveryAttackIsTried(t *testing.T) {
	root, err := sandbox.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	attacks := table(string(page))
	if len(attacks) < 30 {
		t.Fatalf("%d attacks are found in the table: has its heading changed?", len(attacks))
	}
	tests := tests{root: root}
	for _, a := range attacks {
		named := reference.FindAllStringSubmatch(a.tests, -1)
		if len(named) == 0 || len(named) != strings.Count(a.tests, "`")/2 {
			t.Errorf("%q: name the tests like `folder.TestName` or `folder.TestName/case`, not %s", a.what, a.tests)
		}
		for _, n := range named {
			if missing := tests.missing(n[1], n[2], n[3]); missing != "" {
				t.Errorf("%q: %s", a.what, missing)
			}
		}
	}
}

// table are the lines of the table of attacks, without its headings.
func table(page string) []attack {
	_, rest, _ := strings.Cut(page, "\n## Table of attacks\n")
	rest, _, _ = strings.Cut(rest, "\n## ")
	var out []attack
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		heading := cells[0] == "attack" || strings.HasPrefix(cells[0], "---") || strings.HasPrefix(cells[0], "**")
		if !heading {
			out = append(out, attack{cells[0], cells[2]})
		}
	}
	return out
}

// tests are the sources of tests, by folder.
type tests struct {
	root    string
	sources map[string]string
}

// missing says what of a test is not there; empty if all is.
func (s *tests) missing(folder, function, subtest string) string {
	source, ok := s.sources[folder]
	if !ok {
		files, err := filepath.Glob(filepath.Join(s.root, folder, "*_test.go"))
		if err != nil || len(files) == 0 {
			return folder + " holds no tests"
		}
		slices.Sort(files)
		var all strings.Builder
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err.Error()
			}
			all.Write(text)
		}
		source = all.String()
		if s.sources == nil {
			s.sources = map[string]string{}
		}
		s.sources[folder] = source
	}
	switch {
	case !strings.Contains(source, "\nfunc "+function+"("):
		return folder + " has no " + function
	case subtest != "" && !strings.Contains(source, `"`+subtest+`"`):
		return folder + "." + function + " has no case " + subtest
	}
	return ""
}

// A table whose tests are gone is found out.
func TestGoneTestsAreFoundOut(t *testing.T) {
	root, err := sandbox.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	s := tests{root: root}
	for _, c := range []struct {
		folder, function, subtest string
		found                     bool
	}{
		{"test/security", "TestGoneTestsAreFoundOut", "", true},
		{"test/security", "TestGoneTestsAreFound", "", false},
		{"test/nowhere", "TestGoneTestsAreFoundOut", "", false},
		{"test/identity", "TestWhoMayPublish", "a recycled name", true},
		{"test/identity", "TestWhoMayPublish", "a recycled game", false},
	} {
		if got := s.missing(c.folder, c.function, c.subtest); (got == "") != c.found {
			t.Errorf("%+v: %q", c, got)
		}
	}
	page := "\n## Table of attacks\n| attack | held by | tests |\n|---|---|---|\n| **With** | | |\n| one | 2 | `a.TestB/c d` |\n\n## More\n| x | y | z |\n"
	if got := table(page); len(got) != 1 || got[0] != (attack{"one", "`a.TestB/c d`"}) {
		t.Errorf("the table reads %v", got)
	}
}
