package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// outcome is where a change of access stands.
type outcome string

const (
	pending   outcome = "Pending"   // the operator is at work
	inForce   outcome = "InForce"   // IAM does what was asked for
	stalled   outcome = "Stalled"   // it cannot come into force without help
	takenBack outcome = "TakenBack" // somebody changed spec.access again
	deleted   outcome = "Deleted"   // the lane is gone or going
)

// judge tells where a change stands. What the status says about an earlier spec
// counts for nothing.
func judge(lane *v1alpha1.PlatformLane, access v1alpha1.Access) outcome {
	ready := credentials(lane)
	switch {
	case lane.DeletionTimestamp != nil:
		return deleted
	case lane.Spec.Access != access:
		return takenBack
	case ready != nil && ready.Status == metav1.ConditionTrue:
		return inForce
	case observed(lane) && meta.IsStatusConditionTrue(lane.Status.Conditions, v1alpha1.StalledCondition):
		return stalled
	default:
		return pending
	}
}

// observed tells whether the status speaks of the present spec.
func observed(lane *v1alpha1.PlatformLane) bool {
	return lane.Status.ObservedGeneration != nil && *lane.Status.ObservedGeneration == lane.Generation
}

// credentials is the condition that says whether access is as the present spec
// has it; nil while nobody has said so.
func credentials(lane *v1alpha1.PlatformLane) *metav1.Condition {
	c := meta.FindStatusCondition(lane.Status.Conditions, v1alpha1.CredentialsReadyCondition)
	if c == nil || c.ObservedGeneration != lane.Generation || !observed(lane) {
		return nil
	}
	return c
}

// follow waits until the change is in force. With -o, standard output holds the
// lane as it was seen last and nothing else; progress then goes to standard error.
func (c *changeAccess) follow(ctx context.Context, cluster *plugin.Cluster, lane *v1alpha1.PlatformLane, printer printers.ResourcePrinter, start time.Time) error {
	out := c.streams.Out
	if plugin.MachineOutput(c.print) {
		out = c.streams.ErrOut
	} else if err := printer.PrintObj(lane, c.streams.Out); err != nil {
		return err
	}
	result, shown := pending, ""
	follower := plugin.Follower[*v1alpha1.PlatformLane]{
		Client: cluster.Client, List: &v1alpha1.PlatformLaneList{}, Warn: c.streams.ErrOut,
		See: func(l *v1alpha1.PlatformLane) bool {
			result = judge(l, c.access)
			// A line for each reason: messages tell times, which change all the time.
			if c := credentials(l); result == pending && c != nil && c.Reason != shown {
				fmt.Fprintf(out, "%7s  %s\n", plugin.Elapsed(time.Since(start)), standing(l))
				shown = c.Reason
			}
			return result != pending
		},
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	last, err := follower.Follow(limited, lane)
	if plugin.MachineOutput(c.print) {
		if err := printer.PrintObj(last, c.streams.Out); err != nil {
			return err
		}
	}
	switch {
	case errors.Is(err, plugin.ErrGone):
		result = deleted
	case ctx.Err() != nil && result == pending:
		return &plugin.ExitError{Code: plugin.ExitInterrupted, Err: fmt.Errorf("interrupted; spec.access of lane %s is %s and the operator goes on; follow it with: %s",
			full(last), c.access, watchCommand(last))}
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("spec.access of lane %s is %s, but the lane cannot be followed: %w", full(last), c.access, cluster.Explain(err, editing("get")))
	}
	return c.conclude(out, result, last, time.Since(start))
}

// conclude prints the last line, or returns the error that ends the program.
func (c *changeAccess) conclude(out io.Writer, result outcome, lane *v1alpha1.PlatformLane, took time.Duration) error {
	switch result {
	case inForce:
		fmt.Fprintf(out, "%s (%s)\n", achieved(lane), plugin.Elapsed(took))
		return nil
	case takenBack:
		return fmt.Errorf("spec.access of lane %s is %s again: changed%s; whatever keeps it so, git perhaps, has to be told", full(lane), lane.Spec.Access, author(lane))
	case deleted:
		return fmt.Errorf("lane %s is being deleted, and its credentials with it", full(lane))
	case stalled:
		return &plugin.ExitError{Code: plugin.ExitStalled, Err: fmt.Errorf("spec.access of lane %s is %s, but that cannot come into force: %s", full(lane), c.access, standing(lane))}
	default:
		return &plugin.ExitError{Code: plugin.ExitUnfinished, Err: fmt.Errorf("spec.access of lane %s is %s, but not in force after %s: %s; the operator goes on; follow it with: %s",
			full(lane), c.access, c.timeout, standing(lane), watchCommand(lane))}
	}
}

// achieved is what holds now.
func achieved(lane *v1alpha1.PlatformLane) string {
	switch {
	case len(lane.Spec.Channels) == 0:
		return fmt.Sprintf("lane %s is admitted only: it has no credentials at all", full(lane))
	case lane.Spec.Access == v1alpha1.AccessSuspended:
		return fmt.Sprintf("every credential of lane %s is refused, live sessions included", full(lane))
	default:
		return fmt.Sprintf("the publishers of lane %s may obtain credentials; sessions from before a suspension stay dead", full(lane))
	}
}

// author is who changed access last, as far as that is known.
func author(lane *v1alpha1.PlatformLane) string {
	if by := lane.Annotations[v1alpha1.AccessChangedByAnnotation]; by != "" {
		return " by " + plugin.Printable(by)
	}
	return " meanwhile"
}

// standing says what is missing.
func standing(lane *v1alpha1.PlatformLane) string {
	if !observed(lane) {
		return "the operator has not looked at it yet; is it running?"
	}
	for _, kind := range []string{v1alpha1.StalledCondition, v1alpha1.CredentialsReadyCondition} {
		c := meta.FindStatusCondition(lane.Status.Conditions, kind)
		if c != nil && (kind == v1alpha1.StalledCondition) == (c.Status == metav1.ConditionTrue) {
			return kind + " " + plugin.Printable(c.Reason+": "+c.Message)
		}
	}
	return "no condition says what is missing"
}

func full(lane *v1alpha1.PlatformLane) string { return lane.Namespace + "/" + lane.Name }

func watchCommand(lane *v1alpha1.PlatformLane) string {
	return fmt.Sprintf("kubectl get lane %s -n %s --watch", lane.Name, lane.Namespace)
}
