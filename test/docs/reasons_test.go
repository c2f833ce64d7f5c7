package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// sources are the files of a package without its tests.
func sources(t *testing.T, pattern string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root(t), pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no source like %s (%v)", pattern, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// group is one declaration of constants: their string values by their names.
type group map[string]string

func groups(t *testing.T, pattern string) (out []group) {
	t.Helper()
	for _, file := range sources(t, pattern) {
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			g := group{}
			for _, spec := range gen.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for i, name := range value.Names {
					if i < len(value.Values) {
						if text, ok := literal(value.Values[i]); ok {
							g[name.Name] = text
						}
					}
				}
			}
			out = append(out, g)
		}
	}
	return out
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// prefixed are the values of all constants whose names begin like that.
func prefixed(t *testing.T, pattern, prefix string) (values []string) {
	t.Helper()
	for _, g := range groups(t, pattern) {
		for name, value := range g {
			if strings.HasPrefix(name, prefix) {
				values = append(values, value)
			}
		}
	}
	return values
}

// rejections are the reasons that the engine writes out where it rejects.
func rejections(t *testing.T) (values []string) {
	t.Helper()
	for _, file := range sources(t, "controllers/index/*.go") {
		ast.Inspect(file, func(n ast.Node) bool {
			if pair, ok := n.(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Reason" {
					if text, ok := literal(pair.Value); ok {
						values = append(values, text)
					}
				}
			}
			return true
		})
	}
	return values
}

// table are the rows of the first table below a heading: the names in their first
// cells, without backticks.
func table(t *testing.T, p page, heading string) (names []string) {
	t.Helper()
	_, section, ok := strings.Cut(p.text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("%s has no heading %q", p.path, heading)
	}
	rows := 0
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "|") {
			if rows > 0 {
				break
			}
			continue
		}
		if rows++; rows <= 2 {
			continue // The heading and the line below it.
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i, cell := range cells {
			if strings.TrimSpace(cell) == "" {
				t.Errorf("%s: cell %d of %q is empty", p.path, i+1, strings.TrimSpace(cells[0]))
			}
		}
		names = append(names, strings.Trim(strings.TrimSpace(cells[0]), "`"))
	}
	return names
}

// differences compares a table with what the code has.
func differences(named, have []string) (out []string) {
	for _, name := range have {
		if !slices.Contains(named, name) {
			out = append(out, name+" is missing")
		}
	}
	for i, name := range named {
		if !slices.Contains(have, name) {
			out = append(out, name+" does not exist")
		}
		if slices.Contains(named[:i], name) {
			out = append(out, name+" stands there twice")
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func compare(t *testing.T, p page, heading string, have []string) {
	t.Helper()
	if len(have) < 6 {
		t.Fatalf("only %q are found in the code", have)
	}
	for _, difference := range differences(table(t, p, heading), have) {
		t.Errorf("%s, %s: %s", p.path, heading, difference)
	}
}

func TestEveryReasonOfCredentialsReadyIsExplained(t *testing.T) {
	// Two reasons of all conditions come up in this one.
	have := []string{v1alpha1.ReasonPending, v1alpha1.ReasonDeleting}
	for _, g := range groups(t, "api/v1alpha1/conditions_platformlane.go") {
		if g["CredentialsReadyCondition"] == "" {
			continue
		}
		for name, value := range g {
			if strings.HasPrefix(name, "Reason") {
				have = append(have, value)
			}
		}
	}
	compare(t, read(t, "docs/lanes.md"), "### What CredentialsReady says", have)
}

func TestEveryRejectionIsExplained(t *testing.T) {
	have := slices.Concat(prefixed(t, "controllers/wheel/*.go", "Reason"), prefixed(t, "controllers/provenance/*.go", "Reason"),
		prefixed(t, "controllers/index/*.go", "reason"), rejections(t))
	compare(t, read(t, "docs/index.md"), "### Reasons", have)
}

func TestEveryStateIsExplained(t *testing.T) {
	compare(t, read(t, "docs/index.md"), "### States of a file", prefixed(t, "controllers/catalog/*.go", "State"))
}

// camelRE is a name like MirrorBehind: of a reason, a condition, an Event, a kind or
// a code of AWS.
var camelRE = regexp.MustCompile(`^[A-Z][a-z]+(?:[A-Z][a-z]+)+$`)

// TestNamesExist: reasons, conditions, Events and modes that pages name stand in the
// code.
func TestNamesExist(t *testing.T) {
	literals := map[string]bool{}
	for _, pattern := range []string{"api/v1alpha1/*.go", "controllers/*/*.go", "controllers/*/*/*.go"} {
		for _, file := range sources(t, pattern) {
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok {
					if text, ok := literal(lit); ok {
						literals[text] = true
					}
				}
				return true
			})
		}
	}
	seen := 0
	for _, path := range forNewcomers {
		for _, name := range code(read(t, path).text) {
			if !camelRE.MatchString(name) {
				continue
			}
			if seen++; !literals[name] {
				t.Errorf("%s: nothing in the code is called %s", path, name)
			}
		}
	}
	if seen < 60 {
		t.Errorf("only %d names are found", seen)
	}
}

func TestDifferencesAreFoundOut(t *testing.T) {
	p := page{"x.md", "\n### A\n\ntext\n\n| a | b |\n|---|---|\n| `One` | x |\n| `Two` | x |\n| `Two` | x |\n\n| other | table |\n|---|---|\n| `Nine` | x |\n"}
	got := differences(table(t, p, "### A"), []string{"One", "Three"})
	if want := []string{"Three is missing", "Two does not exist", "Two stands there twice"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
