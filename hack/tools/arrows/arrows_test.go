package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	repository = "../../.."
	module     = "github.com/pytorch/platform-lane-operator"

	api         = module + "/api/v1alpha1"
	controllers = module + "/controllers/"
	clientGo    = "k8s.io/client-go/kubernetes"
	runtime     = "sigs.k8s.io/controller-runtime/pkg/client"
	awsConfig   = "github.com/aws/aws-sdk-go-v2/config"
	s3SDK       = "github.com/aws/aws-sdk-go-v2/service/s3"
	s3Manager   = "github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	cloudFront  = "github.com/aws/aws-sdk-go-v2/service/cloudfront"
	sqsSDK      = "github.com/aws/aws-sdk-go-v2/service/sqs"
	iamSDK      = "github.com/aws/aws-sdk-go-v2/service/iam"
	ack         = "github.com/aws-controllers-k8s/iam-controller/apis/v1alpha1"
)

// probe says which lists refuse the imports of one file.
type probe struct {
	file    string
	imports []string
	lists   []string // none: every import is allowed
}

var probes = slices.Concat([]probe{
	{"api/v1alpha1/up.go", []string{controllers + "access"}, []string{"api"}},
	{"api/v1alpha1/command.go", []string{module + "/cmd/manager/app"}, []string{"api"}},
	{"api/v1alpha1/client.go", []string{clientGo}, []string{"api-product"}},
	{"api/v1alpha1/runtime.go", []string{runtime}, []string{"api-product"}},
	{"api/v1alpha1/aws.go", []string{awsConfig}, []string{"api-product"}},
	{"api/v1alpha1/apimachinery.go", []string{"k8s.io/apimachinery/pkg/apis/meta/v1"}, nil},
	{"api/v1alpha1/server_test.go", []string{clientGo, runtime}, nil},

	{"controllers/index/client.go", []string{clientGo}, []string{"index"}},
	{"controllers/index/runtime.go", []string{runtime}, []string{"index"}},
	{"controllers/index/aws.go", []string{awsConfig}, []string{"index"}},
	{"controllers/index/s3.go", []string{controllers + "objectstore/s3"}, []string{"index"}},
	{"controllers/index/cloudfront.go", []string{controllers + "cdn/cloudfront"}, []string{"index"}},
	{"controllers/index/sqs.go", []string{controllers + "events/sqs"}, []string{"index"}},
	{"controllers/index/ackrole.go", []string{controllers + "ackrole"}, []string{"index"}},
	{"controllers/index/accesskey.go", []string{controllers + "accesskey"}, []string{"index"}},
	{"controllers/index/lane.go", []string{controllers + "platformlane"}, []string{"index"}},
	{"controllers/index/yank.go", []string{controllers + "yank"}, []string{"index"}},
	{"controllers/index/kit.go", []string{controllers + "reconcilekit"}, []string{"index"}},
	{"controllers/index/command.go", []string{module + "/cmd/manager/app"}, []string{"controllers"}},
	{"controllers/index/down.go", []string{api, controllers + "pages", controllers + "yankplan", controllers + "objectstore", controllers + "cdn", controllers + "events"}, nil},

	{"controllers/reconcilekit/index.go", []string{controllers + "index"}, []string{"reconcilekit"}},
	{"controllers/reconcilekit/lane.go", []string{controllers + "platformlane"}, []string{"reconcilekit"}},
	{"controllers/reconcilekit/yank.go", []string{controllers + "yank"}, []string{"reconcilekit"}},
	{"controllers/reconcilekit/down.go", []string{api, controllers + "yankplan", clientGo, runtime}, nil},

	{"controllers/platformlane/yank.go", []string{controllers + "yank"}, []string{"platformlane"}},
	{"controllers/platformlane/down.go", []string{controllers + "index", controllers + "ackrole", controllers + "yankplan", clientGo, runtime}, nil},
	{"controllers/yank/lane.go", []string{controllers + "platformlane"}, []string{"yank"}},
	{"controllers/yank/down.go", []string{controllers + "index", controllers + "yankplan", clientGo, runtime}, nil},

	{"controllers/objectstore/aws.go", []string{awsConfig}, []string{"aws-free-ports"}},
	{"controllers/objectstore/sdk.go", []string{s3SDK}, []string{"aws-free-ports", "only-objectstore-s3"}},
	{"controllers/objectstore/s3/sdk.go", []string{controllers + "objectstore", awsConfig, s3SDK, s3Manager}, nil},
	{"controllers/objectstore/s3/cloudfront.go", []string{cloudFront}, []string{"only-cdn-cloudfront"}},
	{"controllers/cdn/aws.go", []string{awsConfig}, []string{"aws-free-ports"}},
	{"controllers/cdn/cloudfront/sdk.go", []string{controllers + "cdn", awsConfig, cloudFront}, nil},
	{"controllers/cdn/cloudfront/sqs.go", []string{sqsSDK}, []string{"only-events-sqs"}},
	{"controllers/probe/aws.go", []string{awsConfig}, []string{"aws-free-ports"}},
	{"controllers/upstream/aws.go", []string{awsConfig}, []string{"aws-free-ports"}},
	{"controllers/simpleindex/crawl/aws.go", []string{awsConfig}, []string{"aws-free-ports"}},
	{"controllers/simpleindex/crawl/down.go", []string{controllers + "simpleindex", controllers + "objectstore"}, nil},
	{"controllers/pages/crawl.go", []string{controllers + "simpleindex/crawl"}, []string{"pure"}},
	{"controllers/events/aws.go", []string{awsConfig}, []string{"aws-free-ports"}},
	{"controllers/events/sqs/sdk.go", []string{controllers + "events", awsConfig, sqsSDK}, nil},
	{"controllers/events/sqs/s3.go", []string{s3SDK}, []string{"only-objectstore-s3"}},
	{"controllers/accesskey/aws.go", []string{awsConfig}, []string{"aws-free-ports"}},
	{"controllers/accesskey/down.go", []string{controllers + "access"}, nil},
	{"controllers/accesskey/iam/sdk.go", []string{controllers + "accesskey", awsConfig, iamSDK}, nil},
	{"controllers/accesskey/iam/s3.go", []string{s3SDK}, []string{"only-objectstore-s3"}},
	{"controllers/ackrole/iam.go", []string{iamSDK}, []string{"only-accesskey-iam"}},
	{"controllers/ackrole/ack.go", []string{controllers + "access", ack, clientGo, runtime}, nil},

	{"controllers/setup.go", []string{controllers + "platformlane", controllers + "yank", controllers + "index", controllers + "objectstore/s3"}, nil},
	{"controllers/platformlane/sdk.go", []string{s3Manager}, []string{"only-objectstore-s3"}},
	{"controllers/platformlane/cloudfront.go", []string{cloudFront}, []string{"only-cdn-cloudfront"}},
	{"controllers/platformlane/ack.go", []string{ack}, []string{"only-ackrole"}},

	{"cmd/manager/main.go", []string{module + "/controllers", controllers + "platformlane", controllers + "yank", controllers + "objectstore/s3", awsConfig, clientGo, runtime}, nil},
	{"cmd/manager/s3.go", []string{s3SDK}, []string{"only-objectstore-s3"}},
	{"cmd/kubectl-create-yank/main.go", []string{api, controllers + "yankplan", controllers + "pep440", clientGo}, nil},
	{"cmd/kubectl-create-yank/lane.go", []string{controllers + "platformlane"}, []string{"kubectl-plugins"}},
	{"cmd/kubectl-create-yank/yank.go", []string{controllers + "yank"}, []string{"kubectl-plugins"}},
	{"cmd/kubectl-create-yank/index.go", []string{controllers + "index"}, []string{"kubectl-plugins"}},
	{"cmd/kubectl-lane/main.go", []string{api, module + "/cmd/plugin", controllers + "access", controllers + "account", controllers + "operatorconfig", controllers + "ackrole", controllers + "objectstore/s3", clientGo, runtime}, nil},
	{"cmd/kubectl-lane/manifest/read.go", []string{api, module + "/config/crd", "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"}, nil},
	{"cmd/kubectl-lane/kit.go", []string{controllers + "reconcilekit"}, []string{"kubectl-plugins"}},
	{"cmd/kubectl-lane/keys.go", []string{controllers + "accesskey"}, []string{"kubectl-plugins"}},
	{"cmd/kubectl-lane/cdn.go", []string{controllers + "cdn"}, []string{"kubectl-plugins"}},
	{"cmd/kubectl-lane/events.go", []string{controllers + "events"}, []string{"kubectl-plugins"}},
	{"cmd/kubectl-lane/aws.go", []string{awsConfig}, []string{"kubectl-plugins"}},
	{"cmd/kubectl-lane/ack.go", []string{ack}, []string{"kubectl-plugins", "only-ackrole"}},
	{"cmd/plugin/cluster.go", []string{api, clientGo, runtime}, nil},
	{"cmd/plugin/lane.go", []string{controllers + "access"}, []string{"plugin"}},
	{"cmd/plugin/aws.go", []string{awsConfig}, []string{"plugin"}},

	{"cmd/manager/hack.go", []string{module + "/hack/sandbox"}, []string{"product"}},
	{"controllers/yank/test.go", []string{module + "/test/story"}, []string{"product"}},
	{"controllers/yank/story_test.go", []string{module + "/test/story", module + "/hack/sandbox"}, nil},
	{"hack/sandbox/sdk.go", []string{s3SDK, cloudFront, sqsSDK, ack, module + "/test/story"}, nil},
	{"test/story/sdk.go", []string{s3SDK, cloudFront, sqsSDK, ack}, nil},
}, pure(), ports())

func pure() (out []probe) {
	names := []string{"access", "account", "wheel", "pep440", "operatorconfig", "layout", "catalog", "pages", "claim", "provenance", "retention", "simpleindex", "yankplan"}
	down := []string{"encoding/json", api}
	for _, pkg := range names {
		down = append(down, controllers+pkg)
	}
	for _, pkg := range names {
		dir := "controllers/" + pkg + "/"
		out = append(out,
			probe{dir + "client.go", []string{clientGo}, []string{"pure"}},
			probe{dir + "runtime.go", []string{runtime}, []string{"pure"}},
			probe{dir + "aws.go", []string{awsConfig}, []string{"pure"}},
			probe{dir + "ack.go", []string{ack}, []string{"only-ackrole", "pure"}},
			probe{dir + "port.go", []string{controllers + "objectstore", controllers + "accesskey"}, []string{"pure"}},
			probe{dir + "index.go", []string{controllers + "index"}, []string{"pure"}},
			probe{dir + "hack.go", []string{module + "/hack/sandbox"}, []string{"product"}},
			probe{dir + "ok.go", down, nil},
			probe{dir + "ok_test.go", []string{module + "/test/story"}, nil},
		)
	}
	return out
}

func ports() (out []probe) {
	for _, pkg := range []string{"objectstore", "objectstore/s3", "accesskey", "cdn", "events", "ackrole", "probe", "upstream", "simpleindex/crawl"} {
		dir := "controllers/" + pkg + "/"
		out = append(out,
			probe{dir + "index.go", []string{controllers + "index"}, []string{"ports"}},
			probe{dir + "lane.go", []string{controllers + "platformlane"}, []string{"ports"}},
			probe{dir + "yank.go", []string{controllers + "yank"}, []string{"ports"}},
			probe{dir + "kit.go", []string{controllers + "reconcilekit"}, []string{"ports"}},
			probe{dir + "command.go", []string{module + "/cmd/manager/app"}, []string{"controllers"}},
			probe{dir + "ok.go", []string{api, controllers + "wheel", controllers + "yankplan"}, nil},
		)
	}
	return out
}

type rule struct {
	Files []string `json:"files"`
	Deny  []struct {
		Pkg string `json:"pkg"`
	} `json:"deny"`
}

func readRules(t *testing.T) map[string]rule {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]rule `json:"rules"`
				} `json:"depguard"`
			} `json:"settings"`
		} `json:"linters"`
	}
	if err := yaml.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	rules := config.Linters.Settings.Depguard.Rules
	if len(rules) == 0 {
		t.Fatal(".golangci.yml has no depguard rules")
	}
	return rules
}

func TestEveryRuleFires(t *testing.T) {
	findings := lint(t, scratchModule(t))
	fired := map[string]bool{} // "list package" of every deny entry that a probe hit
	rules := readRules(t)
	for i, p := range probes {
		for _, imp := range p.imports {
			got := findings[location(i)+" "+imp]
			slices.Sort(got)
			if !slices.Equal(got, p.lists) {
				t.Errorf("%s imports %s: refused by %q, want %q", p.file, imp, got, p.lists)
			}
			for _, list := range got {
				for _, d := range rules[list].Deny {
					if strings.HasPrefix(imp, d.Pkg) {
						fired[list+" "+d.Pkg] = true
					}
				}
			}
		}
	}
	for list, r := range rules {
		for _, d := range r.Deny {
			if !fired[list+" "+d.Pkg] {
				t.Errorf("list %s: no probe proves that %s is refused; add one", list, d.Pkg)
			}
		}
	}
}

// TestEveryGlobHasItsFolder finds a rule that a renamed or merged folder left
// behind, and a folder of controllers/ that no rule names.
func TestEveryGlobHasItsFolder(t *testing.T) {
	lists := map[string][]string{} // that name a folder
	for list, r := range readRules(t) {
		for _, glob := range r.Files {
			if dir, ok := strings.CutPrefix(strings.TrimPrefix(glob, "!"), "${base-path}/"); ok {
				for _, d := range expand(strings.TrimSuffix(dir, "/**")) {
					lists[d] = append(lists[d], list)
				}
			}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(lists)) {
		if found, err := filepath.Glob(filepath.Join(repository, dir)); err != nil || len(found) == 0 {
			t.Errorf("%s does not exist: give its new name to the depguard lists %q in .golangci.yml, or drop it there", dir, lists[dir])
		}
	}
	folders, err := os.ReadDir(filepath.Join(repository, "controllers"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if dir := "controllers/" + f.Name(); f.IsDir() && lists[dir] == nil {
			t.Errorf("no depguard list in .golangci.yml says what %s may import; add it to one", dir)
		}
	}
}

// expand spells out one pair of braces: a/{b,c} becomes a/b and a/c.
func expand(glob string) []string {
	before, rest, ok := strings.Cut(glob, "{")
	if !ok {
		return []string{glob}
	}
	names, after, _ := strings.Cut(rest, "}")
	var out []string
	for name := range strings.SplitSeq(names, ",") {
		out = append(out, before+name+after)
	}
	return out
}

// scratchModule lays out the probes and an empty stand-in for every package that
// they import, so that nothing has to be downloaded or compiled.
func scratchModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	config, err := os.ReadFile(filepath.Join(repository, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, root, ".golangci.yml", string(config))
	foreign := map[string]bool{}
	for i, p := range probes {
		var src strings.Builder
		fmt.Fprintf(&src, "package probe\n\n")
		for _, imp := range p.imports {
			fmt.Fprintf(&src, "import _ %q\n", imp)
			if own, ok := strings.CutPrefix(imp, module+"/"); ok {
				write(t, root, own+"/standin.go", "package probe\n")
			} else if strings.Contains(imp, ".") {
				foreign[moduleRoot(imp)] = true
				write(t, root, "foreign/"+imp+"/standin.go", "package probe\n")
			}
		}
		write(t, root, location(i), src.String())
	}
	gomod := "module " + module + "\n\ngo 1.26.0\n"
	for name := range foreign {
		gomod += fmt.Sprintf("\nrequire %[1]s v0.0.0\n\nreplace %[1]s => ./foreign/%[1]s\n", name)
		write(t, root, "foreign/"+name+"/go.mod", "module "+name+"\n")
	}
	write(t, root, "go.mod", gomod)
	return root
}

// moduleRoot is host/name, or host/owner/name on a forge.
func moduleRoot(imp string) string {
	segments := strings.Split(imp, "/")
	if segments[0] == "github.com" {
		return strings.Join(segments[:3], "/")
	}
	return strings.Join(segments[:2], "/")
}

// location gives each probe a folder of its own below the one it is about:
// opposite arrows in one package would be an import cycle.
func location(probe int) string {
	dir, name := path.Split(probes[probe].file)
	return fmt.Sprintf("%sprobe%d/%s", dir, probe, name)
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

var message = regexp.MustCompile(`^import '([^']+)' is not allowed from list '([^']+)'`)

// lint returns the lists that refuse an import, by "file import".
func lint(t *testing.T, root string) map[string][]string {
	t.Helper()
	linter := os.Getenv("GOLANGCI_LINT")
	if linter == "" {
		t.Fatal("GOLANGCI_LINT is not set: run `make verify-arrows`, which builds the linter and names it")
	}
	cmd := exec.CommandContext(t.Context(), linter, "run", "--enable-only=depguard", "--show-stats=false", "--output.json.path=stdout", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOLANGCI_LINT_CACHE="+t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	const issuesFound = 1
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != issuesFound {
		t.Fatalf("%s: %v, want exit code %d\n%s", linter, err, issuesFound, stderr.String())
	}
	var report struct {
		Issues []struct {
			FromLinter string
			Text       string
			Pos        struct{ Filename string }
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("read the report of %s: %v\n%s", linter, err, stdout.String())
	}
	findings := map[string][]string{}
	for _, issue := range report.Issues {
		m := message.FindStringSubmatch(issue.Text)
		if issue.FromLinter != "depguard" || m == nil {
			t.Fatalf("unexpected finding of %s in %s: %s", issue.FromLinter, issue.Pos.Filename, issue.Text)
		}
		key := path.Clean(filepath.ToSlash(issue.Pos.Filename)) + " " + m[1]
		findings[key] = append(findings[key], m[2])
	}
	return findings
}
