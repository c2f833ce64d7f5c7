// The program kubectl-create-yank is the kubectl plugin behind
//
//	kubectl create yank torch==2.9.0+spyre --lane spyre --mode Quarantine --reason "…" --wait
//
// It writes one Yank and, with --wait, follows its conditions to the end. It is
// a client of the API and nothing else: it imports the API types, the parser of
// requirements, and Kubernetes' client libraries, but no controller and no port.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

func main() {
	quiet()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the second signal on, the default applies: the program ends at once.
	context.AfterFunc(ctx, stop)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(run(ctx, os.Args[1:], streams))
}

// quiet drops what the client libraries log beside the errors that they return.
func quiet() {
	klog.SetLogger(logr.Discard())
	log.SetLogger(logr.Discard())
}

// run executes the command line and returns the exit code.
func run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	cmd := newCommand(streams) //nolint:contextcheck // cobra hands the context of ExecuteContext on
	cmd.SetArgs(args)
	cmd.SetIn(streams.In)
	cmd.SetOut(streams.Out)
	cmd.SetErr(streams.ErrOut)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(streams.ErrOut, "error:", err)
	if coded, ok := errors.AsType[*exitError](err); ok {
		return coded.code
	}
	return exitFailed
}

// The exit codes, as --help documents them.
const (
	exitDone           = 0
	exitFailed         = 1
	exitUnfinished     = 2
	exitNothingMatched = 3
	exitStalled        = 4
	exitInterrupted    = 130 // 128 + SIGINT, as shells have it
)

// An exitError ends the program with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }
