package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/cli-runtime/pkg/printers"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/kubectl-create-yank/follow"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// waitFor follows a created Yank. With -o, standard output holds the object as
// it was seen last and nothing else; progress then goes to standard error.
func (c *createYank) waitFor(ctx context.Context, cluster *plugin.Cluster, yank *v1alpha1.Yank, printer printers.ResourcePrinter) error {
	progressOut := c.streams.Out
	if plugin.MachineOutput(c.print) {
		progressOut = c.streams.ErrOut
	} else if err := printer.PrintObj(yank, c.streams.Out); err != nil {
		return err
	}
	follower := follow.Follower{
		Client:   cluster.Client,
		Progress: follow.NewProgress(progressOut, c.streams.ErrOut, time.Now),
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	outcome, last, err := follower.Follow(limited, yank)
	if plugin.MachineOutput(c.print) {
		if err := printer.PrintObj(last, c.streams.Out); err != nil {
			return err
		}
	}
	if ctx.Err() != nil && outcome == follow.Pending {
		return &plugin.ExitError{Code: plugin.ExitInterrupted, Err: fmt.Errorf("interrupted; Yank %s/%s stands and the operator goes on; follow it with: %s",
			last.Namespace, last.Name, watchCommand(last))}
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("yank %s/%s is created, but cannot be followed: %w", last.Namespace, last.Name, cluster.Explain(err, asks("get", "yanks")))
	}
	return conclude(progressOut, outcome, last, c.timeout)
}

// conclude prints the last line, or returns the error that ends the program.
func conclude(out io.Writer, outcome follow.Outcome, y *v1alpha1.Yank, timeout time.Duration) error {
	name := y.Namespace + "/" + y.Name
	switch outcome {
	case follow.Verified:
		follow.WriteResult(out, y)
		return nil
	case follow.Planned:
		follow.WritePlan(out, y)
		fmt.Fprintf(out, "Nothing was touched. Carry it out with:\n  kubectl patch yank %s -n %s --type merge -p '{\"spec\":{\"execution\":\"Execute\"}}'\n", y.Name, y.Namespace)
		return nil
	case follow.NothingMatched:
		return &plugin.ExitError{Code: exitNothingMatched, Err: fmt.Errorf("no file in lane %s matches %s; Yank %s stays as a standing rule for later uploads; if it was a mistake: kubectl delete yank %s -n %s",
			y.Spec.LaneRef.Name, describeSelector(y.Spec.Selector), name, y.Name, y.Namespace)}
	case follow.Stalled:
		return &plugin.ExitError{Code: plugin.ExitStalled, Err: fmt.Errorf("yank %s cannot go on: %s", name, standing(y))}
	case follow.Deleted:
		return fmt.Errorf("yank %s was deleted before it was done; last seen: %s", name, standing(y))
	default:
		return &plugin.ExitError{Code: plugin.ExitUnfinished, Err: fmt.Errorf("yank %s is not done after %s: %s; it stands and the operator goes on; follow it with: %s",
			name, timeout, standing(y), watchCommand(y))}
	}
}

// standing says where a Yank stands.
func standing(y *v1alpha1.Yank) string {
	if obstacle := follow.Obstacle(y); obstacle != nil {
		return obstacle.Type + " " + follow.Describe(obstacle)
	}
	if len(y.Status.Conditions) == 0 {
		return "the operator has not looked at it yet; is it running?"
	}
	return "no condition says what is missing"
}

func watchCommand(y *v1alpha1.Yank) string {
	return fmt.Sprintf("kubectl get yank %s -n %s --watch", y.Name, y.Namespace)
}
