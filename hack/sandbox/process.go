package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is one supervised program: its own process group, a log file, and a
// pid file that names it beyond doubt.
type process struct {
	name    string
	command func() *exec.Cmd // a new one for each start
	logPath string
	pidPath string
	grace   time.Duration // between SIGTERM and SIGKILL

	mu       sync.Mutex
	cmd      *exec.Cmd
	exited   chan struct{} // closed when cmd has ended
	exitErr  error
	stopping bool
}

// identity is a pid file: a pid alone may have been given to somebody else.
type identity struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // as startTime reports it
}

// spawn starts commands on one thread that lives as long as this process: the
// system ties a child's life to the thread that started it.
var spawn = sync.OnceValue(func() func(*exec.Cmd) error {
	type request struct {
		cmd  *exec.Cmd
		done chan error
	}
	requests := make(chan request)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			r.done <- r.cmd.Start()
		}
	}()
	return func(cmd *exec.Cmd) error {
		r := request{cmd, make(chan error, 1)}
		requests <- r
		return <-r.done
	}
})

// start runs the program, appending to its log.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("%s is running already", p.name)
	}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	if err := spawn()(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.exited, p.exitErr, p.stopping = cmd, make(chan struct{}), nil, false
	go p.await(cmd, p.exited)
	started, err := startTime(cmd.Process.Pid)
	if err != nil {
		return nil // gone already; await says why
	}
	raw, err := json.Marshal(identity{PID: cmd.Process.Pid, Started: started})
	if err != nil {
		return err
	}
	return os.WriteFile(p.pidPath, raw, 0o600)
}

func (p *process) await(cmd *exec.Cmd, exited chan struct{}) {
	_ = cmd.Wait() // ProcessState says all there is to say
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopping {
		p.exitErr = fmt.Errorf("%s ended by itself (%v); its log is %s", p.name, cmd.ProcessState, p.logPath)
	}
	p.cmd = nil
	_ = os.Remove(p.pidPath)
	close(exited)
}

// running returns the group to signal and the channel that closes at the end.
func (p *process) running() (pid int, exited chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0, p.exited, false
	}
	p.stopping = true
	return p.cmd.Process.Pid, p.exited, true
}

// stop asks the program to end, and insists after the grace period.
func (p *process) stop() {
	pid, exited, ok := p.running()
	if !ok {
		return
	}
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(p.grace):
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		<-exited
	}
}

// kill ends the program at once, as a crash would.
func (p *process) kill() {
	pid, exited, ok := p.running()
	if !ok {
		return
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	<-exited
}

// done returns a channel that closes when the program ends, or nil before its
// first start.
func (p *process) done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exited
}

// failure is why the program ended by itself, or nil.
func (p *process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exitErr
}

// readIdentity reads a pid file and reports whether that process still lives.
func readIdentity(path string) (id identity, alive bool, err error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return identity{}, false, err
	}
	if err := json.Unmarshal(raw, &id); err != nil || id.PID <= 1 {
		return identity{}, false, nil //nolint:nilerr // torn by a crash: it names nobody
	}
	return id, id.alive(), nil
}

// alive reports whether the process runs: another one may have its number now.
func (id identity) alive() bool {
	started, err := startTime(id.PID)
	return err == nil && started == id.Started
}

// endLeftovers ends what an earlier stack on this folder left running, by its
// pid files, and removes those. It returns what it ended.
func endLeftovers(runDir string, grace time.Duration) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(runDir, "*.pid"))
	if err != nil {
		return nil, err
	}
	var ended []string
	var errs []error
	for _, file := range files {
		id, alive, err := readIdentity(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if alive {
			if err := endGroup(id, file, grace); err != nil {
				errs = append(errs, err)
				continue
			}
			ended = append(ended, fmt.Sprintf("%s (pid %d)", filepath.Base(file[:len(file)-len(".pid")]), id.PID))
		}
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return ended, errors.Join(errs...)
}

func endGroup(id identity, file string, grace time.Duration) error {
	for _, attempt := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, 5 * time.Second}} {
		_ = syscall.Kill(-id.PID, attempt.signal)
		for deadline := time.Now().Add(attempt.wait); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if !id.alive() {
				return nil
			}
		}
	}
	return fmt.Errorf("process %d of %s does not end", id.PID, file)
}
