package sandbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

func TestAFolderGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	first, err := sandbox.Start(t.Context(), sandbox.Options{Dir: dir, Out: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(first.Stop)
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: "default"}}
	if err := kube(t, first).Create(t.Context(), configMap); err != nil {
		t.Fatal(err)
	}
	written, err := put(t, rootS3(&first.Info), sandbox.Bucket, "whl/kept", "bytes")
	if err != nil {
		t.Fatal(err)
	}
	first.Stop()
	if left := running(t, dir); len(left) != 0 {
		t.Fatalf("after Stop these still run: %v", left)
	}

	started := time.Now()
	second, err := sandbox.Start(t.Context(), sandbox.Options{Dir: dir, Out: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Stop)
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("a warm start took %s, want less than 20 s", took)
	}
	if second.Info != first.Info {
		t.Errorf("the second start is elsewhere:\n%+v\n%+v", second.Info, first.Info)
	}
	if loaded, err := sandbox.Load(dir); err != nil || *loaded != second.Info {
		t.Errorf("Load: %+v, %v", loaded, err)
	}
	if err := kube(t, second).Get(t.Context(), client.ObjectKeyFromObject(configMap), configMap); err != nil {
		t.Errorf("the cluster's data: %v", err)
	}
	head, err := operatorS3(&second.Info).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(sandbox.Bucket), Key: aws.String("whl/kept")})
	if err != nil || *head.VersionId != *written.VersionId {
		t.Errorf("the bucket's data: %+v, %v", head, err)
	}
	secrets(t, dir)
}

// secrets checks that nobody else can read what holds them.
func secrets(t *testing.T, dir string) {
	for _, name := range []string{"stack.json", "settings.json", "kubeconfig", "ack.kubeconfig", "edge/config.json", "pki/ca.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s, want 0600", name, info.Mode())
		}
	}
}

// running lists the parts whose pid files name a live process.
func running(t *testing.T, dir string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "run", "*.pid"))
	if err != nil {
		t.Fatal(err)
	}
	alive := map[string]int{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var id struct{ PID int }
		if err := json.Unmarshal(raw, &id); err == nil && lives(id.PID) {
			alive[strings.TrimSuffix(filepath.Base(file), ".pid")] = id.PID
		}
	}
	return alive
}

// lives reports whether the process exists and is no zombie.
func lives(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(raw), ") Z ")
}

func TestOneStackPerFolder(t *testing.T) {
	stack := sharedStack(t)
	_, err := sandbox.Start(t.Context(), sandbox.Options{Dir: stack.Dir})
	if err == nil || !strings.Contains(err.Error(), "running on "+stack.Dir) {
		t.Fatalf("a second start on the folder: %v", err)
	}
	if code, _ := get(t, stack.DebugEndpoint+"/debug/ready"); code != http.StatusOK {
		t.Error("the first one suffered")
	}
}

func TestPartsCanBeKilledAndRestarted(t *testing.T) {
	stack := sharedStack(t)
	operator := operatorS3(&stack.Info)
	list := func() error {
		_, err := operator.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(sandbox.Bucket)})
		return err
	}
	if err := stack.Kill(sandbox.S3); err != nil {
		t.Fatal(err)
	}
	if err := list(); code(err) != "ServiceUnavailable" {
		t.Errorf("without S3: %v", err)
	}
	if err := stack.Restart(t.Context(), sandbox.S3); err != nil {
		t.Fatal(err)
	}
	if err := list(); err != nil {
		t.Errorf("after S3's restart: %v", err)
	}
	if err := stack.Kill(sandbox.Edge); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(stack.CDNURL); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("without the edge: %v", err)
	}
	if err := stack.Restart(t.Context(), sandbox.Edge); err != nil {
		t.Fatal(err)
	}
	if err := list(); err != nil {
		t.Errorf("after the edge's restart: %v", err)
	}
	if err := stack.Kill("nobody"); err == nil {
		t.Error("a part that does not exist was killed")
	}
}

func TestFaultsAndCounts(t *testing.T) {
	stack := sharedStack(t)
	operator := operatorS3(&stack.Info)
	head := func() error {
		_, err := operator.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(sandbox.Bucket)})
		return err
	}
	if err := stack.ResetCalls(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := stack.SetFault(t.Context(), "s3", sandbox.Fault{Status: 500, Operations: []string{"HeadBucket"}, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if err := head(); err == nil {
		t.Error("the fault was not applied")
	}
	if err := head(); err != nil {
		t.Errorf("the fault was for one request: %v", err)
	}
	counts, err := stack.Calls(t.Context())
	if err != nil || counts["s3"]["HeadBucket"] != 2 {
		t.Errorf("counted %v, %v; want 2 of HeadBucket", counts, err)
	}
}

func TestSpawnedProgramsAreSupervised(t *testing.T) {
	stack := sharedStack(t)
	if err := stack.Spawn("helper", exec.Command("sh", "-c", "echo started; exec sleep 1000")); err != nil {
		t.Fatal(err)
	}
	first := running(t, stack.Dir)["helper"]
	if first == 0 {
		t.Fatal("it does not run")
	}
	started := func(times int) {
		t.Helper()
		eventually(t, "its log", func() error {
			log, err := os.ReadFile(filepath.Join(stack.LogDir, "helper.log"))
			if err == nil && strings.Count(string(log), "started") != times {
				return fmt.Errorf("log: %q", log)
			}
			return err
		})
	}
	started(1)
	if err := stack.Spawn("helper", exec.Command("true")); err == nil {
		t.Error("two programs of one name")
	}
	if err := stack.Kill("helper"); err != nil || lives(first) {
		t.Fatalf("killed: %v, and it lives: %v", err, lives(first))
	}
	if err := stack.Wait(t.Context(), "helper"); err != nil {
		t.Errorf("its end was asked for: %v", err)
	}
	if err := stack.Restart(t.Context(), "helper"); err != nil {
		t.Fatal(err)
	}
	second := running(t, stack.Dir)["helper"]
	if second == 0 || second == first {
		t.Errorf("restarted as %d", second)
	}
	started(2)
	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := stack.Wait(ctx, "helper"); err == nil || !strings.Contains(err.Error(), "helper ended by itself") {
		t.Errorf("an end that nobody asked for: %v", err)
	}
}

func TestOtherUsersHaveTheRightsThatRBACGivesThem(t *testing.T) {
	stack := sharedStack(t)
	raw, err := stack.KubeconfigFor("vendor", "vendors")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	vendor, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list := func() error { return vendor.List(t.Context(), &corev1.ConfigMapList{}, client.InNamespace("default")) }
	if err := list(); !apierrors.IsForbidden(err) {
		t.Fatalf("without a binding: %v", err)
	}
	meta := metav1.ObjectMeta{Name: "vendors", Namespace: "default"}
	for _, grant := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}}},
		&rbacv1.RoleBinding{
			ObjectMeta: meta,
			Subjects:   []rbacv1.Subject{{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "vendors"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "vendors"},
		},
	} {
		if err := kube(t, stack).Create(t.Context(), grant); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the binding to work", list)
}

// The command, from outside: a crash, Ctrl-C and sandbox down.
func TestTheCommandEndsWhatItStartedAndNothingElse(t *testing.T) {
	command := filepath.Join(t.TempDir(), "sandbox")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", command, "./cmd/sandbox").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := t.TempDir()
	bystander := exec.Command("sleep", "1000")
	bystander.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a group, as the stack's parts are
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bystander.Process.Kill(); _ = bystander.Wait() })

	t.Run("crash", func(t *testing.T) {
		up := startUp(t, command, dir)
		parts := running(t, dir)
		if len(parts) != 6 || parts[sandbox.Operator] == 0 {
			t.Fatalf("running: %v", parts)
		}
		if err := up.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = up.Wait()
		eventually(t, "the parts to die with their parent", func() error {
			for name, pid := range parts {
				if lives(pid) {
					return fmt.Errorf("%s lives", name)
				}
			}
			return nil
		})
	})
	// A pid of the crashed run may belong to somebody else by now.
	stale := fmt.Sprintf(`{"pid":%d,"started":"1"}`, bystander.Process.Pid)
	if err := os.WriteFile(filepath.Join(dir, "run", "etcd.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("ctrl-c", func(t *testing.T) {
		up := startUp(t, command, dir)
		if err := up.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := up.Wait(); err != nil {
			t.Errorf("it ended with %v", err)
		}
		if left := running(t, dir); len(left) != 0 {
			t.Errorf("left running: %v", left)
		}
	})
	t.Run("down", func(t *testing.T) {
		up := startUp(t, command, dir)
		parts := running(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "run", "stranger.pid"), []byte(stale), 0o600); err != nil {
			t.Fatal(err)
		}
		exited := make(chan error, 1)
		go func() { exited <- up.Wait() }()
		if out, err := exec.Command(command, "-dir", dir, "down").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := <-exited; err != nil {
			t.Errorf("it ended with %v", err)
		}
		for name, pid := range parts {
			if lives(pid) {
				t.Errorf("%s lives", name)
			}
		}
		if out, err := exec.Command(command, "-dir", dir, "down").CombinedOutput(); err != nil {
			t.Errorf("down when nothing runs: %v\n%s", err, out)
		}
	})
	if !lives(bystander.Process.Pid) {
		t.Error("a process that was not the sandbox's has been ended")
	}
}

// startUp runs "sandbox up" and waits until it says that it is up.
func startUp(t *testing.T, command, dir string) *exec.Cmd {
	t.Helper()
	up := exec.Command(command, "-dir", dir, "up")
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	up.Stderr = os.Stderr
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = up.Process.Signal(syscall.SIGTERM) })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "Ctrl-C") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return up
		}
	}
	t.Fatal("sandbox up ended before it was up")
	return nil
}
