package yank

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
	"github.com/pytorch/platform-lane-operator/controllers/yankplan"
)

// scope is what one pass knows.
type scope struct {
	yank  *v1alpha1.Yank
	conds reconcilekit.Conditions
	now   time.Time

	// What resolve finds.
	lane     *v1alpha1.PlatformLane
	selector *yankplan.Selector
	catalogs []*catalog.Catalog
	plan     yankplan.Plan
	// record is nil for a plan.
	record *Record
}

func newScope(y *v1alpha1.Yank, now time.Time) *scope {
	s := &scope{yank: y, now: now.UTC(), conds: reconcilekit.Conditions{List: &y.Status.Conditions, Generation: y.Generation}}
	s.conds.Start(append(owned(y.Spec.Mode), v1alpha1.ReadyCondition)...)
	for _, kind := range []string{v1alpha1.AccessBlockedCondition, v1alpha1.DeletedCondition} {
		if !slices.Contains(owned(y.Spec.Mode), kind) {
			s.conds.Remove(kind)
		}
	}
	return s
}

func (s *scope) mode() v1alpha1.YankMode { return s.yank.Spec.Mode }

func (s *scope) planOnly() bool { return s.yank.Spec.Execution == v1alpha1.ExecutionPlanOnly }

// waitsFor marks the steps after the given one as waiting.
func (s *scope) waitsFor(kind string) {
	kinds := owned(s.mode())
	at := slices.Index(kinds, kind) // -1, and so all of them, for no step.
	s.conds.Pending(kind, kinds[at+1:]...)
}

// tombstone is what this Yank writes into the catalogs.
func (s *scope) tombstone() catalog.Tombstone { return Tombstone(s.yank, s.now) }

// Tombstone is what a Yank writes into the catalogs.
func Tombstone(y *v1alpha1.Yank, now time.Time) catalog.Tombstone {
	return catalog.Tombstone{
		UID: string(y.UID), Namespace: y.Namespace, Name: y.Name, Mode: y.Spec.Mode, Reason: y.Spec.Reason,
		AdvisoryID: y.Spec.Advisory.ID, AdvisoryURL: y.Spec.Advisory.URL,
		Requester: y.Annotations[v1alpha1.RequesterAnnotation], Time: now.UTC(),
	}
}

// refs are the catalogs of some artifacts, each once.
func (s *scope) refs(artifacts []*Artifact) []index.Ref {
	var out []index.Ref
	for _, a := range artifacts {
		if ref := s.refOf(a); !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out
}

func (s *scope) refOf(a *Artifact) index.Ref { return a.ref(s.record.Platform) }

// holders are the Yanks that took a file back, this one among them.
func (s *scope) holders(a *Artifact) []string {
	out := []string{string(s.yank.UID)}
	for _, c := range s.catalogs {
		if c.Channel != a.Channel || c.Project != a.Project {
			continue
		}
		if f := c.Find(layout.FileName(a.Key)); f != nil {
			for _, t := range f.Tombstones {
				out = append(out, t.UID)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// files says how many files, as a person would.
func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

func condition(y *v1alpha1.Yank, kind string) *metav1.Condition {
	return meta.FindStatusCondition(y.Status.Conditions, kind)
}

func claimed(lane *v1alpha1.PlatformLane) bool {
	return meta.IsStatusConditionTrue(lane.Status.Conditions, v1alpha1.ClaimedCondition)
}

// first is the beginning of a joined error, fit for a condition.
func first(err error) string {
	lines := strings.Split(err.Error(), "\n")
	if len(lines) > 3 {
		return strings.Join(lines[:3], "; ") + fmt.Sprintf("; and %d more", len(lines)-3)
	}
	return strings.Join(lines, "; ")
}
