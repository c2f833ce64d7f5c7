package follow

import (
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/cmd/plugin"
)

// Progress writes one line for each change of a condition.
type Progress struct {
	out, warn io.Writer
	start     time.Time
	now       func() time.Time
	shown     map[string]string // condition: its last line
	warned    map[string]bool
}

// NewProgress writes lines to out and warnings to warn; now is the clock that
// the times are read from.
func NewProgress(out, warn io.Writer, now func() time.Time) *Progress {
	return &Progress{
		out: out, warn: warn, start: now(), now: now,
		shown: map[string]string{}, warned: map[string]bool{},
	}
}

// Elapsed is the time since the start, for people.
func (p *Progress) Elapsed() string { return plugin.Elapsed(p.now().Sub(p.start)) }

// see prints what has changed since the last state.
func (p *Progress) see(y *v1alpha1.Yank) {
	if !observed(y) {
		return
	}
	for _, warning := range y.Status.Warnings {
		if !p.warned[warning] {
			p.warned[warning] = true
			fmt.Fprintln(p.warn, "warning:", plugin.Printable(warning))
		}
	}
	for _, name := range append(steps(y.Spec.Mode), v1alpha1.StalledCondition) {
		c := meta.FindStatusCondition(y.Status.Conditions, name)
		if c == nil || !worthALine(c) {
			continue
		}
		line := fmt.Sprintf("%-7s  %-13s  %s", word(c), name, Describe(c))
		if p.shown[name] != line {
			p.shown[name] = line
			fmt.Fprintf(p.out, "%7s  %s\n", p.Elapsed(), line)
		}
	}
}

// worthALine leaves out the conditions that wait for an earlier one.
func worthALine(c *metav1.Condition) bool {
	if c.Status == metav1.ConditionTrue {
		return true
	}
	return c.Type != v1alpha1.StalledCondition &&
		c.Reason != v1alpha1.ReasonPending && c.Reason != v1alpha1.ReasonNotRequested
}

// word is a condition's status as a person would say it.
func word(c *metav1.Condition) string {
	switch {
	case c.Type == v1alpha1.StalledCondition:
		return "stalled"
	case c.Status == metav1.ConditionTrue:
		return "done"
	case c.Status == metav1.ConditionFalse:
		return "not yet"
	default:
		return "waiting"
	}
}

// Describe is a condition's reason and message in one printable line.
func Describe(c *metav1.Condition) string {
	if c.Message == "" {
		return plugin.Printable(c.Reason)
	}
	return plugin.Printable(c.Reason + ": " + c.Message)
}
