package identity

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// fetchTimeout bounds the one download of the simulator's packages.
const fetchTimeout = 5 * time.Minute

// simulator is the second opinion on IAM documents: the npm package
// @cloud-copilot/iam-simulate, behind simulate/runner.mjs.
type simulator struct {
	t         *testing.T
	in        io.Writer
	out       *bufio.Scanner
	documents map[string]string // document to the name it is kept under
}

// question is one action that a principal takes on a resource.
type question struct {
	ID int `json:"id"`
	// Identity and Resource are names that keep returned, or empty.
	Identity  string            `json:"identity,omitempty"`
	Resource  string            `json:"resource,omitempty"`
	Principal string            `json:"principal"`
	Action    string            `json:"action"`
	ARN       string            `json:"arn"`
	Context   map[string]string `json:"context"`
}

// startSimulator fetches the packages if this machine has not got them yet, and
// starts the simulator. It ends with the test.
func startSimulator(t *testing.T) *simulator {
	t.Helper()
	dir, err := fetchSimulator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, "node", filepath.Join(dir, "runner.mjs"))
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		cancel()
		_ = command.Wait()
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	return &simulator{t: t, in: in, out: lines, documents: map[string]string{}}
}

// fetchSimulator returns a folder that holds the runner and its packages, below
// bin/: exactly what the lock file names, fetched once.
func fetchSimulator(ctx context.Context) (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%s is missing; this test asks a second policy evaluator, an npm package: install Node.js 20 or later with npm", program)
		}
	}
	root, err := sandbox.RepositoryRoot()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "runner.mjs"} {
		if files[name], err = os.ReadFile(filepath.Join("simulate", name)); err != nil {
			return "", err
		}
		_, _ = hash.Write(files[name])
	}
	dir := filepath.Join(root, "bin", "simulate", hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	// Complete or not there at all: a fetch that is cut short leaves no folder of
	// that name.
	draft, err := os.MkdirTemp(filepath.Dir(dir), "fetching-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(draft) }()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(draft, name), content, 0o644); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "npm", "ci")
	command.Dir = draft
	if said, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch the policy simulator with npm ci: %w\n%s", err, said)
	}
	if err := os.Rename(draft, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}

// ask writes lines and reads one answer for each.
func ask[Q, A any](s *simulator, questions []Q, each func(int, A)) {
	s.t.Helper()
	failed := make(chan error, 1)
	go func() {
		var all bytes.Buffer
		for _, q := range questions {
			raw, err := json.Marshal(q)
			if err != nil {
				failed <- err
				return
			}
			all.Write(append(raw, '\n'))
		}
		_, err := s.in.Write(all.Bytes())
		failed <- err
	}()
	for i := range questions {
		if !s.out.Scan() {
			s.t.Fatalf("the simulator ended after %d of %d answers: %v", i, len(questions), s.out.Err())
		}
		var answer A
		if err := json.Unmarshal(s.out.Bytes(), &answer); err != nil {
			s.t.Fatalf("the simulator said %s: %v", s.out.Bytes(), err)
		}
		each(i, answer)
	}
	if err := <-failed; err != nil {
		s.t.Fatal(err)
	}
}

// keep hands a document to the simulator, which validates it, and returns its
// name. Kinds are identity, trust and resource.
func (s *simulator) keep(kind, document string) string {
	s.t.Helper()
	if name, ok := s.documents[kind+document]; ok {
		return name
	}
	name := fmt.Sprintf("d%d", len(s.documents))
	s.documents[kind+document] = name
	type line struct {
		Document string          `json:"document"`
		Kind     string          `json:"kind"`
		Policy   json.RawMessage `json:"policy"`
	}
	ask(s, []line{{name, kind, json.RawMessage(document)}}, func(_ int, answer struct {
		Document, Error string
		Errors          []string
	}) {
		if answer.Document != name || answer.Error != "" || len(answer.Errors) > 0 {
			s.t.Errorf("the simulator does not accept this %s policy: %s %q\n%s", kind, answer.Error, answer.Errors, document)
		}
	})
	return name
}

// decide answers each question: whether the documents allow it. Condition keys in
// unknown are ones that AWS does not have; every other one must count.
func (s *simulator) decide(questions []question, unknown ...string) []bool {
	s.t.Helper()
	for i := range questions {
		questions[i].ID = i
	}
	allowed := make([]bool, len(questions))
	ask(s, questions, func(i int, answer struct {
		ID            int
		Result, Error string
		Ignored       []string
	}) {
		if answer.ID != i || answer.Error != "" {
			s.t.Fatalf("the simulator has no answer to %+v: %s", questions[i], answer.Error)
		}
		for _, key := range answer.Ignored {
			if !slices.Contains(unknown, key) {
				s.t.Errorf("AWS does not know the condition key %s for %s", key, questions[i].Action)
			}
		}
		allowed[i] = answer.Result == "Allowed"
	})
	return allowed
}
