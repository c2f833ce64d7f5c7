package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// confirm asks before bytes are destroyed. The answer is the lane's name, so
// that a habitual "y" destroys nothing.
func confirm(in io.Reader, out io.Writer, interactive bool, y *v1alpha1.Yank) error {
	if !interactive {
		return errors.New("HardDelete destroys every version of the bytes and cannot be undone; without a terminal to confirm it, pass --yes, or look first with --plan")
	}
	fmt.Fprintf(out, "HardDelete destroys every version of %s in lane %s (namespace %s),\n"+
		"and of later uploads that match. It cannot be undone; --plan shows the files first.\n"+
		"Type the lane's name to go on: ", describeSelector(y.Spec.Selector), y.Spec.LaneRef.Name, y.Namespace)
	answer, err := bufio.NewReader(io.LimitReader(in, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the confirmation: %w", err)
	}
	if strings.TrimSpace(answer) != y.Spec.LaneRef.Name {
		return errors.New("not confirmed; nothing was created")
	}
	return nil
}

// describeSelector says in one line which files are meant.
func describeSelector(s v1alpha1.YankSelector) string {
	var parts []string
	switch {
	case s.Package != "" && s.Versions != "":
		parts = append(parts, s.Package+s.Versions)
	case s.Package != "":
		parts = append(parts, s.Package+" (all versions)")
	}
	if len(s.Files) > 0 {
		parts = append(parts, "files "+strings.Join(s.Files, ", "))
	}
	if len(s.SHA256) > 0 {
		parts = append(parts, "sha256 "+strings.Join(s.SHA256, ", "))
	}
	if len(s.Channels) > 0 {
		names := make([]string, len(s.Channels))
		for i, channel := range s.Channels {
			names[i] = string(channel)
		}
		parts = append(parts, "channel "+strings.Join(names, ", "))
	}
	return strings.Join(parts, "; ")
}
