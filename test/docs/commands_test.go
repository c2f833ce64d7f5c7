package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// code are the commands of a page: what stands between backticks, and the lines
// of its blocks.
func code(text string) (out []string) {
	for _, block := range fenceRE.FindAllString(text, -1) {
		for line := range strings.Lines(block) {
			line, _, _ = strings.Cut(line, " #")
			out = append(out, strings.TrimPrefix(strings.TrimSpace(line), "$ "))
		}
	}
	for line := range strings.Lines(fenceRE.ReplaceAllString(text, "")) {
		for i, part := range strings.Split(line, "`") {
			if i%2 == 1 {
				out = append(out, part)
			}
		}
	}
	return out
}

var (
	flagRE = regexp.MustCompile(`(?:^|[\s,])(--?[a-zA-Z][a-z0-9-]*)`)
	wordRE = regexp.MustCompile(`^[a-z]+$`)
	makeRE = regexp.MustCompile(`^make ([a-z-]+)$`)
	runRE  = regexp.MustCompile(`\bgo (?:run|test) (?:-\S+ )*(\./[a-z0-9/_-]+)`)
)

// plugin is a kubectl plugin, with the help of its commands.
type plugin struct {
	// words are how a person calls it, binary is where it is built.
	words  []string
	binary string
	help   map[string]string
}

// helpOf is the help of a command of the plugin; empty if there is no such one.
func (p *plugin) helpOf(t *testing.T, command []string) string {
	t.Helper()
	key := strings.Join(command, " ")
	if text, ok := p.help[key]; ok {
		return text
	}
	raw, err := exec.CommandContext(t.Context(), p.binary, append(slices.Clone(command), "--help")...).CombinedOutput()
	text := string(raw)
	if err != nil || len(command) > 0 && !strings.Contains(text, "\n  "+strings.Join(append(slices.Clone(p.words), command...), " ")+" ") {
		text = ""
	}
	p.help[key] = text
	return text
}

// problem says what of a command line does not exist; empty if all does.
func (p *plugin) problem(t *testing.T, line string) string {
	t.Helper()
	words := strings.Fields(strings.TrimPrefix(line, strings.Join(p.words, " ")))
	var command []string
	help := p.helpOf(t, nil)
	for strings.Contains(help, "Available Commands:") && len(words) > 0 && wordRE.MatchString(words[0]) {
		command, words = append(command, words[0]), words[1:]
		if help = p.helpOf(t, command); help == "" {
			return "there is no such command"
		}
	}
	for _, m := range flagRE.FindAllStringSubmatch(line, -1) {
		has := regexp.MustCompile(`(?m)(^|[\s,])` + regexp.QuoteMeta(m[1]) + `\b`)
		if m[1] != "--help" && !has.MatchString(help) {
			return "it has no flag " + m[1]
		}
	}
	return ""
}

// plugins builds the plugins.
func plugins(t *testing.T) []*plugin {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/kubectl-lane", "./cmd/kubectl-create-yank")
	build.Dir = root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []*plugin{
		{[]string{"kubectl", "lane"}, filepath.Join(dir, "kubectl-lane"), map[string]string{}},
		{[]string{"kubectl", "create", "yank"}, filepath.Join(dir, "kubectl-create-yank"), map[string]string{}},
	}
}

func TestCommandsExist(t *testing.T) {
	known, seen := plugins(t), 0
	for _, path := range forNewcomers {
		for _, line := range code(read(t, path).text) {
			for _, p := range known {
				if call := strings.Join(p.words, " "); line == call || strings.HasPrefix(line, call+" ") {
					seen++
					if problem := p.problem(t, line); problem != "" {
						t.Errorf("%s: %q: %s", path, line, problem)
					}
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d calls of the plugins are found", seen)
	}
	lane := known[0]
	for line, want := range map[string]string{
		"kubectl lane": "",
		"kubectl lane suspend spyre --reason x -n y":            "",
		"kubectl lane index check https://a.example/ --project": "",
		"kubectl lane halt spyre":                               "there is no such command",
		"kubectl lane suspend spyre --because x":                "it has no flag --because",
		"kubectl lane index check https://a.example/ --halves":  "it has no flag --halves",
	} {
		if got := lane.problem(t, line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// TestTargetsAndProgramsExist: `make X` and `go run ./x` of every page.
func TestTargetsAndProgramsExist(t *testing.T) {
	makefile := read(t, "Makefile").text
	seen := 0
	for _, p := range everyPage(t) {
		for _, line := range code(p.text) {
			if m := makeRE.FindStringSubmatch(line); m != nil {
				seen++
				if !strings.Contains(makefile, "\n"+m[1]+":") {
					t.Errorf("%s: the Makefile has no target %s", p.path, m[1])
				}
			}
			if m := runRE.FindStringSubmatch(line); m != nil {
				seen++
				if info, err := os.Stat(filepath.Join(root(t), strings.TrimSuffix(m[1], "/..."))); err != nil || !info.IsDir() {
					t.Errorf("%s: %q: there is no folder %s", p.path, line, m[1])
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d are found", seen)
	}
}
