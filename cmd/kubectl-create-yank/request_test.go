package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
	"github.com/pytorch/platform-lane-operator/test/plugintest"
)

const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// run is what the process does with a command line.
func run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	return plugin.Run(ctx, newCommand(streams), args, streams) //nolint:contextcheck // cobra hands the context of ExecuteContext on
}

// command runs the program in this process, with standard input closed.
func command(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	streams, in, o, e := genericiooptions.NewTestIOStreams()
	in.Reset()
	code = run(t.Context(), args, streams)
	return code, o.String(), e.String()
}

func TestDryRunClientPrintsTheYank(t *testing.T) {
	plugintest.NoCluster(t)
	for name, args := range map[string][]string{
		"least": {"torch", "--lane", "spyre", "--mode", "Flag", "--reason", "broken"},
		"quarantine": {
			"Torch == 2.9.0+Spyre", "--lane", "spyre", "--mode", "quarantine", "--reason", "under investigation",
			"-n", "vendor-ibm",
		},
		"everything": {
			"torch >=2.9, <2.9.2", "--lane", "spyre", "--mode", "INDEXREMOVAL", "--reason", "wrong ABI",
			"--channel", "nightly,Release", "--channel", "test",
			"--file", "torch-*-cp313-*.whl", "--file", "torch-2.9.?+spyre-*.whl",
			"--sha256", strings.ToUpper(hash), "--sha256", "sha256:" + hash[:63] + "9",
			"--plan", "--advisory", "CVE-2026-12345", "--advisory-url", "https://example.com/CVE-2026-12345",
			"--on-behalf-of", "psirt@example.com", "--restore-on-delete", "--namespace", "vendor-ibm",
		},
		"hash": {"--sha256", hash, "--lane", "spyre", "--mode", "HardDelete", "--reason", "malicious"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []string{"yaml", "json"} {
				code, out, errOut := command(t, append(args, "--name", "fixed", "--dry-run=client", "-o", format)...)
				if code != plugin.ExitDone || errOut != "" {
					t.Fatalf("exit code %d, standard error %q", code, errOut)
				}
				plugintest.Golden(t, name+"."+format, out)
			}
		})
	}
}

func TestDryRunClientNameAndLine(t *testing.T) {
	plugintest.NoCluster(t)
	args := []string{"torch==2.9.0+spyre", "--lane", "spyre", "--mode", "Flag", "--reason", "broken", "--dry-run=client"}
	_, name, _ := command(t, append(args, "-o", "name")...)
	if !regexp.MustCompile(`^yank\.distribution\.pytorch\.org/torch-2\.9\.0-spyre-[a-z0-9]{5}\n$`).MatchString(name) {
		t.Errorf("-o name printed %q", name)
	}
	_, line, _ := command(t, append(args, "--name", "fixed")...)
	if want := "yank.distribution.pytorch.org/fixed created (dry run)\n"; line != want {
		t.Errorf("printed %q, want %q", line, want)
	}
}

func TestWrongUsage(t *testing.T) {
	plugintest.NoCluster(t)
	whole := []string{"torch==2.9.0", "--lane", "spyre", "--mode", "Flag", "--reason", "broken"}
	with := func(more ...string) []string { return append(append([]string{}, whole...), more...) }
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"nothing selected", whole[1:], "a requirement such as torch==2.9.0+spyre, or --sha256"},
		{"bare version", append([]string{"torch 2.9.0"}, whole[1:]...), "torch 2.9.0"},
		{"extras", append([]string{"torch[cuda]==2.9"}, whole[1:]...), "select no files"},
		{"two requirements", with("torchvision"), "expected one requirement, got 2"},
		{"no lane", append([]string{"torch"}, whole[3:]...), "--lane is required"},
		{"no mode", []string{"torch", "--lane", "spyre", "--reason", "broken"}, "--mode is required"},
		{"unknown mode", with("--mode", "Delete"), "HardDelete    off the index, every version of the bytes destroyed"},
		{"no reason", []string{"torch", "--lane", "spyre", "--mode", "Flag"}, "--reason is required"},
		{"blank reason", with("--reason", "  "), "--reason is required"},
		{"unknown channel", with("--channel", "stable"), "use nightly, test, release"},
		{"bad name", with("--name", "Torch_2"), `--name "Torch_2"`},
		{"url without id", with("--advisory-url", "https://example.com"), "--advisory-url needs --advisory"},
		{"unknown dry run", with("--dry-run=maybe"), "use none, client or server"},
		{"unknown output", with("-o", "xml", "--dry-run=client"), `"xml"`},
		{"wait in a dry run", with("--dry-run=client", "--wait"), "nothing to follow"},
		{"no time to wait", with("--wait", "--timeout", "0s"), "above zero"},
		{"unknown flag", with("--force"), "--force"},
		{"no kubeconfig", whole, "no cluster is configured: set KUBECONFIG"},
		{"missing kubeconfig", with("--kubeconfig", "/does/not/exist"), "/does/not/exist"},
		{"unreachable", with("--server", "https://127.0.0.1:1"), "cannot reach the API server at https://127.0.0.1:1"},
		{"hard deletion unasked", with("--mode", "HardDelete"), "pass --yes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, out, errOut := command(t, test.args...)
			if code != plugin.ExitFailed || out != "" || !strings.Contains(errOut, test.says) {
				t.Errorf("exit code %d, output %q, error %q; want code 1 and an error that says %q", code, out, errOut, test.says)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	plugintest.NoCluster(t)
	code, out, _ := command(t, "--help")
	if code != plugin.ExitDone {
		t.Fatalf("exit code %d", code)
	}
	for _, text := range []string{"kubectl create yank [REQUIREMENT] --lane LANE", "Exit codes:", "  130  interrupted", "--namespace"} {
		if !strings.Contains(out, text) {
			t.Errorf("--help does not show %q:\n%s", text, out)
		}
	}
	for _, m := range modes {
		if !strings.Contains(out, string(m.mode)+strings.Repeat(" ", 14-len(m.mode))+m.does) {
			t.Errorf("--help tells mode %s otherwise than completion does", m.mode)
		}
	}
}

func TestGenerateName(t *testing.T) {
	for _, test := range []struct {
		selector v1alpha1.YankSelector
		stem     string
	}{
		{v1alpha1.YankSelector{Package: "torch"}, "torch"},
		{v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.0+spyre"}, "torch-2.9.0-spyre"},
		{v1alpha1.YankSelector{Package: "torch", Versions: ">=2.9,<2.9.2"}, "torch-2.9-2.9.2"},
		{v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.*"}, "torch-2.9"},
		{v1alpha1.YankSelector{Package: "torch", Versions: "==1!2.0.*,!=2.0.1"}, "torch-1-2.0.2.0.1"},
		{v1alpha1.YankSelector{Package: "torch", Versions: "===Weird_._Version"}, "torch-weird.version"},
		{v1alpha1.YankSelector{SHA256: []string{hash}}, "sha256-9f86d081884c"},
		{v1alpha1.YankSelector{SHA256: []string{"x"}}, "sha256-x"},
		{v1alpha1.YankSelector{Package: strings.Repeat("a", 56), Versions: "==1"}, strings.Repeat("a", 56)},
		{v1alpha1.YankSelector{Package: strings.Repeat("a", 64), Versions: "==1"}, strings.Repeat("a", 57)},
	} {
		name := generateName(test.selector)
		stem, suffix := name[:len(name)-suffixLength-1], name[len(name)-suffixLength:]
		if stem != test.stem || len(suffix) != suffixLength {
			t.Errorf("%v: name %q, want stem %q", test.selector, name, test.stem)
		}
		if faults := validation.IsDNS1123Subdomain(name); len(faults) > 0 {
			t.Errorf("%q: %s", name, faults)
		}
		if faults := validation.IsValidLabelValue(name); len(faults) > 0 {
			t.Errorf("%q: %s", name, faults)
		}
		if other := generateName(test.selector); other == name {
			t.Errorf("two names in a row are %q", name)
		}
	}
}

func FuzzGenerateName(f *testing.F) {
	f.Add("torch", "==2.9.0+spyre", hash)
	f.Add("", "", "-.-")
	f.Fuzz(func(t *testing.T, project, versions, sum string) {
		name := generateName(v1alpha1.YankSelector{Package: project, Versions: versions, SHA256: []string{sum}})
		if faults := validation.IsDNS1123Subdomain(name); len(faults) > 0 {
			t.Errorf("%q: %s", name, faults)
		}
	})
}

func TestConfirm(t *testing.T) {
	yank, err := (&request{requirement: "torch==2.9", lane: "spyre", mode: "HardDelete", reason: "x", channels: []string{"nightly"}, files: []string{"*.whl"}}).yank("vendor-ibm")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		answer string
		goesOn bool
	}{{"spyre\n", true}, {" spyre ", true}, {"y\n", false}, {"", false}, {"Spyre\n", false}} {
		var out bytes.Buffer
		err := confirm(strings.NewReader(test.answer), &out, true, yank)
		if (err == nil) != test.goesOn {
			t.Errorf("answer %q: error %v", test.answer, err)
		}
		if want := "torch==2.9; files *.whl; channel nightly in lane spyre (namespace vendor-ibm)"; !strings.Contains(out.String(), want) {
			t.Errorf("the question does not say %q:\n%s", want, out.String())
		}
	}
}

func TestCompletion(t *testing.T) {
	plugintest.NoCluster(t)
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--mode", "q"}, "Quarantine\toff the index and out of reach, bytes kept for forensics\n:4\n"},
		{[]string{"--channel", ""}, "nightly\ntest\nrelease\n:4\n"},
		{[]string{"--dry-run", "s"}, "server\n:4\n"},
		{[]string{"--lane", ""}, ":1\n"},
		{[]string{""}, ":4\n"},
	} {
		_, out, _ := command(t, append([]string{"__complete"}, test.args...)...)
		if out != test.want {
			t.Errorf("completing %q gave %q, want %q", test.args, out, test.want)
		}
	}
}
