// Package cdn_test proves that the CDN's functions (config/cdn) let installers
// find a lane's pages, as HTML and as JSON, and leave the rest of the index
// alone: under Node, and with real pip and uv through the local stack's CDN,
// which runs the very files that are deployed.
package cdn_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/claim"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// maxFunctionBytes is CloudFront's limit for a function's code.
const maxFunctionBytes = 10 << 10

// node runs Node in the repository's root and returns what it printed.
func node(t *testing.T, args ...string) []byte {
	t.Helper()
	program, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("this test needs Node 20 or later, for example: apt-get install nodejs: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %q: %v\n%s\n%s", args, err, out, stderr.Bytes())
	}
	return out
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := sandbox.RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFunctionsUnderNode(t *testing.T) {
	out := node(t, "--test", "--test-reporter=tap", "config/cdn")
	passed := regexp.MustCompile(`(?m)^# pass ([0-9]+)$`).FindSubmatch(out)
	if passed == nil {
		t.Fatalf("Node does not say how many tests passed:\n%s", out)
	}
	if n, err := strconv.Atoi(string(passed[1])); err != nil || n < 100 {
		t.Errorf("%s tests passed, want all of them, more than 100", passed[1])
	}
}

func TestFunctionsFitIntoCloudFront(t *testing.T) {
	for _, name := range []string{"viewer-request.js", "viewer-response.js"} {
		info, err := os.Stat(filepath.Join(root(t), "config", "cdn", name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > maxFunctionBytes {
			t.Errorf("%s has %d bytes, CloudFront takes %d", name, info.Size(), maxFunctionBytes)
		}
	}
}

// servedAsLane is a program that reads names from its first argument and prints
// those whose folders the function takes for a lane's.
const servedAsLane = `
const fs = require('fs'), vm = require('vm');
const context = vm.createContext({});
vm.runInContext(fs.readFileSync('config/cdn/viewer-request.js', 'utf8'), context);
const lane = (uri) => context.handler({ request: { method: 'GET', uri, headers: {}, querystring: {}, cookies: {} } }).uri !== uri;
const forms = ['/whl/X', '/whl/X/', '/whl/X/torch/', '/whl/nightly/X/', '/whl/test/X/torch/', '/libtorch/X/', '/libtorch/nightly/X/'];
console.log(JSON.stringify(JSON.parse(process.argv[1]).filter((name) => forms.some((form) => lane(form.replace('X', name))))));
`

// TestTheFunctionKnowsTheReservedNames compares the names that the function
// leaves alone with those that the operator refuses. Were a folder of the index
// itself taken for a lane's, its installs would ask for a JSON page that is not
// there.
func TestTheFunctionKnowsTheReservedNames(t *testing.T) {
	reserved := append(literals(t, "controllers/claim/reserved.go"),
		"cu", "cu118", "cu128", "cu13x", "rocm", "rocm7", "torch", "torchao", "torchvision", "torchx")
	free := []string{"spyre", "gaudi", "rbln", "metax", "tenstorrent", "ascend", "musa", "x2", "custom", "cupola", "rocky", "tests", "nightlyx", "ninjax", "cpux"}
	for _, name := range reserved {
		if _, ok := claim.Reserved(name); !ok {
			t.Errorf("%s is not reserved: this test reads the wrong list", name)
		}
	}
	for _, name := range free {
		if why, ok := claim.Reserved(name); ok {
			t.Errorf("%s is reserved: %s", name, why)
		}
	}
	if len(reserved) < 100 {
		t.Fatalf("only %d reserved names: this test reads the wrong list", len(reserved))
	}
	names, err := json.Marshal(slices.Concat(reserved, free))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := json.Unmarshal(node(t, "-e", servedAsLane, string(names)), &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, free) {
		t.Errorf("the function takes for lanes\n%q, want\n%q:\nbring the lists in config/cdn/viewer-request.js and controllers/claim/reserved.go in step", got, free)
	}
}

// literals are the names in a Go file: all its string literals that could be a
// lane's name.
func literals(t *testing.T, file string) (out []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)
	ast.Inspect(parsed, func(n ast.Node) bool {
		if _, ok := n.(*ast.ImportSpec); ok {
			return false
		}
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if value, err := strconv.Unquote(literal.Value); err == nil && name.MatchString(value) {
				out = append(out, value)
			}
		}
		return true
	})
	return out
}
