package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// The exit codes that the plugins share; a plugin may have more of its own.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUnfinished  = 2
	ExitStalled     = 4
	ExitInterrupted = 130 // 128 + SIGINT, as shells have it
)

// An ExitError ends the program with a code of its own.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the error that the code is for.
func (e *ExitError) Unwrap() error { return e.Err }

// completionPrefix begins the name under which kubectl asks a plugin for what a
// Tab may stand for: kubectl_complete-lane asks kubectl-lane.
const completionPrefix = "kubectl_complete-"

// Main runs a plugin as a process. A link to it whose name begins with
// kubectl_complete- answers kubectl's questions for completion.
func Main(newCommand func(genericiooptions.IOStreams) *cobra.Command) {
	Quiet()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the second signal on, the default applies: the program ends at once.
	context.AfterFunc(ctx, stop)
	args := os.Args[1:]
	if strings.HasPrefix(filepath.Base(os.Args[0]), completionPrefix) {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(Run(ctx, newCommand(streams), args, streams))
}

// Quiet drops what the client libraries log beside the errors that they return.
func Quiet() {
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())
}

// Run executes the command line and returns the exit code.
func Run(ctx context.Context, cmd *cobra.Command, args []string, streams genericiooptions.IOStreams) int {
	cmd.SetArgs(args)
	cmd.SetIn(streams.In)
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.ErrOut)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	fmt.Fprintln(streams.ErrOut, "error:", err)
	if coded, ok := errors.AsType[*ExitError](err); ok {
		return coded.Code
	}
	return ExitFailed
}

// IsTerminal tells whether a person sits at the other end of a stream.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
