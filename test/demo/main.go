// Command demo tells the operator's main job on the real local stack, step by
// step and in plain words. It exits with 0 only if every step held.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pytorch/platform-lane-operator/test/story"
)

// stepTimeout bounds one step.
const stepTimeout = 2 * time.Minute

func main() {
	ctrllog.SetLogger(logr.Discard()) // The operator is a process of its own; nothing here logs.
	keep := flag.Bool("keep", false, "keep the data folder, with all logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called.
	}
}

func run(ctx context.Context, keep bool) (err error) {
	dir, err := os.MkdirTemp("", "lane-demo-")
	if err != nil {
		return err
	}
	defer func() {
		if keep || err != nil {
			fmt.Printf("\nThe logs are in %s\n", filepath.Join(dir, "stack", "logs"))
			return
		}
		_ = os.RemoveAll(dir)
	}()
	started := time.Now()
	fmt.Println("Starting a Kubernetes API server, the ACK iam-controller, S3, IAM, a CDN and the operator, all on this machine.")
	w, err := story.Open(ctx, story.Options{Dir: dir, Out: os.Stdout})
	if err != nil {
		return err
	}
	defer w.Close()
	fmt.Printf("Up after %s.\n", time.Since(started).Round(100*time.Millisecond))
	steps := 0
	for i, chapter := range w.Chapters() {
		fmt.Printf("\n%d. %s\n", i+1, chapter.Title)
		for _, step := range chapter.Steps {
			if err := tell(ctx, step); err != nil {
				return fmt.Errorf("%q does not hold: %w", step.Says, err)
			}
			steps++
		}
	}
	fmt.Printf("\nAll %d steps held, in %s.\n", steps, time.Since(started).Round(100*time.Millisecond))
	return nil
}

// tell runs one step and prints what it says, how long it took, and what is
// worth seeing.
func tell(ctx context.Context, step story.Step) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	started := time.Now()
	shown, err := step.Run(ctx)
	mark := "ok"
	if err != nil {
		mark = "FAILED"
	}
	fmt.Printf("   %-6s %6.2f s  %s\n", mark, time.Since(started).Seconds(), step.Says)
	for line := range strings.Lines(shown) {
		fmt.Printf("                     %s\n", strings.TrimRight(line, "\n"))
	}
	return err
}
