//go:build unix && !linux

package sandbox

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes give a child its own process group. These systems cannot tie
// a child's life to ours: after a crash of the parent, use sandbox down.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// startTime is when the process started, as ps prints it.
func startTime(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if started := strings.TrimSpace(string(out)); err == nil && started != "" {
		return started, nil
	}
	return "", os.ErrProcessDone
}
