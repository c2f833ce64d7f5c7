package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// supervisorPID is the pid file of the program that runs a stack in the
// foreground. Stacks that tests run inside themselves have none.
func supervisorPID(dir string) string { return filepath.Join(dir, "supervisor.pid") }

// Supervise records this process as the one to ask when the stack is to end.
// The returned function takes the record back.
func (s *Stack) Supervise() (release func(), err error) {
	started, err := startTime(os.Getpid())
	if err != nil {
		return nil, err
	}
	file := supervisorPID(s.Dir)
	if err := writeJSON(file, identity{PID: os.Getpid(), Started: started}); err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(file) }, nil
}

// Down ends the stack on a folder, whoever started it, and nothing else: the
// supervising program is asked first, then what is left by its pid files.
func Down(dir string, out io.Writer) error {
	dir, err := resolveDir(dir)
	if err != nil {
		return err
	}
	file := supervisorPID(dir)
	id, alive, err := readIdentity(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case alive && id.PID != os.Getpid():
		say(out, "asking the sandbox (pid %d) to stop", id.PID)
		if err := endSupervisor(id); err != nil {
			return err
		}
	}
	ended, err := endLeftovers(filepath.Join(dir, "run"), 5*time.Second)
	for _, name := range ended {
		say(out, "ended %s", name)
	}
	if err == nil {
		say(out, "nothing of the sandbox in %s is running; its data is kept", dir)
	}
	return err
}

// endSupervisor sends the signal that Ctrl-C sends and waits. If the program does
// not end, its children are ended by their own pid files.
func endSupervisor(id identity) error {
	if err := syscall.Kill(id.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the sandbox (pid %d): %w", id.PID, err)
	}
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if !id.alive() {
			return nil
		}
	}
	return nil
}
