package sandbox

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheSideModulesPinOneProgramEach(t *testing.T) {
	root, err := RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	for name, module := range map[string]string{
		"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes",
		"versitygw": "github.com/versity/versitygw", "ack-iam-controller": "github.com/aws-controllers-k8s/iam-controller",
	} {
		got, err := pinnedTool(t.Context(), filepath.Join(root, "hack", "sandbox", "build", name))
		if err != nil || got.module != module || !strings.HasPrefix(got.version, "v") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestTheAPIServerIsToldItsVersion(t *testing.T) {
	flags := kubernetesVersionFlags("v1.37.2")
	for _, want := range []string{"version.gitVersion=v1.37.2", "version.gitMajor=1", "version.gitMinor=37"} {
		if !strings.Contains(flags, want) {
			t.Errorf("%q lacks %s", flags, want)
		}
	}
}

func TestProgramsOfKubebuilderAreUsedWhenComplete(t *testing.T) {
	root, err := RepositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	assets := t.TempDir()
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(assets, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var b Binaries
	write("etcd")
	if _, err := plan(t.Context(), root, &b); err != nil || strings.HasPrefix(b.Etcd, assets) {
		t.Errorf("without kube-apiserver: etcd is %s, %v", b.Etcd, err)
	}
	write("kube-apiserver")
	steps, err := plan(t.Context(), root, &b)
	if err != nil || b.Etcd != filepath.Join(assets, "etcd") || b.KubeAPIServer != filepath.Join(assets, "kube-apiserver") {
		t.Errorf("%+v, %v", b, err)
	}
	for _, s := range steps {
		if s.name == "etcd" || s.name == "kube-apiserver" {
			t.Errorf("%s would be built all the same", s.name)
		}
	}
}

// module writes a small program to build, and what builds it.
func module(t *testing.T, source string) step {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.org/x\n\ngo 1.26\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return step{name: "x", version: "v1", dir: dir, pkg: ".", expected: "a moment", target: filepath.Join(dir, "out", "x-v1")}
}

func TestABuildAppearsWholeOrNotAtAll(t *testing.T) {
	good := module(t, "package main\nfunc main() {}\n")
	var progress bytes.Buffer
	if err := good.build(t.Context(), &progress, 2, 5); err != nil {
		t.Fatal(err)
	}
	if !isFile(good.target) || !strings.Contains(progress.String(), "[2/5] x v1: building, a moment") {
		t.Errorf("progress: %s", &progress)
	}
	bad := module(t, "package main\nfunc main() { no }\n")
	err := bad.build(t.Context(), &progress, 1, 1)
	if err == nil || !strings.Contains(err.Error(), "undefined: no") {
		t.Errorf("the compiler's words are missing: %v", err)
	}
	left, _ := os.ReadDir(filepath.Dir(bad.target))
	if len(left) != 0 {
		t.Errorf("a failed build left %v", left)
	}
}

func TestTheEdgesNameFollowsItsSources(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "hack", "sandbox", "edge")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	version := func(file, text string) string {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		var path string
		s, err := edgeStep(root, &path)
		if err != nil {
			t.Fatal(err)
		}
		return s.version
	}
	first := version("main.go", "package main")
	if version("main_test.go", "package main") != first {
		t.Error("a test changed the name")
	}
	if version("main.go", "package main // changed") == first {
		t.Error("a changed source kept the name")
	}
}

func TestALockIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := tryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	waited := false
	time.AfterFunc(300*time.Millisecond, unlock)
	second, err := lockFile(ctx, path, func() { waited = true })
	if err != nil || !waited {
		t.Fatalf("second: %v, waited: %v", err, waited)
	}
	second()
}

func TestPortsAreRememberedUnlessTaken(t *testing.T) {
	dir := t.TempDir()
	first, err := openSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	if second.url("s3") != first.url("s3") || second.Root != first.Root || second.Users[operatorUser] != first.Users[operatorUser] {
		t.Error("the folder forgot its settings")
	}
	seen := map[int]string{}
	for name, port := range first.Ports {
		if other, ok := seen[port]; ok {
			t.Errorf("%s and %s share port %d", name, other, port)
		}
		seen[port] = name
	}
	stop := occupy(t, first.addr("s3"))
	defer stop()
	third, err := openSettings(dir)
	if err != nil {
		t.Fatal(err)
	}
	if third.url("s3") == first.url("s3") || third.url("iam") != first.url("iam") {
		t.Errorf("with the port of s3 taken: %v", third.Ports)
	}
}

func occupy(t *testing.T, addr string) func() {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = l.Close() }
}
