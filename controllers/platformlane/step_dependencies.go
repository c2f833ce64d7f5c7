package platformlane

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// dependencies writes what the lane lists of other indexes into its status, and
// returns how many of them need attention. It calls nothing.
func (s *scope) dependencies(got result) (troubled int) {
	before := map[string]v1alpha1.DependencyStatus{}
	for _, d := range s.lane.Status.Dependencies {
		before[d.Project] = d
	}
	s.lane.Status.Dependencies = nil
	for _, d := range s.lane.Spec.Dependencies {
		status := v1alpha1.DependencyStatus{Project: d.Project}
		linked, found := linkedIn(got.reports, d.Project)
		switch {
		case found:
			status.Files = count(linked.Files)
			if !linked.Changed.IsZero() {
				status.LastRefreshed = &metav1.Time{Time: linked.Changed.Truncate(time.Second)}
			}
		case got.blind: // What was counted before is the best that is known.
			status.Files, status.LastRefreshed = before[d.Project].Files, before[d.Project].LastRefreshed
		}
		message := dependencyMessage(d.Project, linked, got.troubles[d.Project])
		if message == "" && !found && !got.blind {
			status.Message = "its index has not been read yet"
		}
		if message != "" {
			status.Message = reconcilekit.Cut(message, 512)
			troubled++
		}
		s.lane.Status.Dependencies = append(s.lane.Status.Dependencies, status)
	}
	return troubled
}

// linkedIn joins what the channels list of a dependency. They list the same,
// except what a Yank took off one of them, or while one is behind.
func linkedIn(reports []index.Report, project string) (all index.Linked, found bool) {
	for _, report := range reports {
		for _, l := range report.Linked {
			if l.Project != project {
				continue
			}
			found = true
			all.Files = max(all.Files, l.Files)
			all.Owned = all.Owned || l.Owned
			if l.Changed.After(all.Changed) {
				all.Changed = l.Changed
			}
			if all.ShrunkSince.IsZero() || !l.ShrunkSince.IsZero() && l.ShrunkSince.Before(all.ShrunkSince) {
				all.ShrunkSince = l.ShrunkSince
			}
			if len(l.Replaced) > len(all.Replaced) {
				all.Replaced = l.Replaced
			}
		}
	}
	return all, found
}

// dependencyMessage says what is in the way of a dependency; empty if nothing.
func dependencyMessage(project string, l index.Linked, trouble string) string {
	accept := fmt.Sprintf("to take the change over, annotate the lane with %s=%s", v1alpha1.AcceptDependenciesAnnotation, project)
	var parts []string
	if l.Owned {
		parts = append(parts, "the lane publishes files of this project itself, so nothing is linked; remove the dependency")
	}
	if !l.ShrunkSince.IsZero() {
		until := l.ShrunkSince.Add(index.ShrinkPatience).UTC().Format(time.RFC3339)
		parts = append(parts, fmt.Sprintf("its index suddenly lists far fewer files; the links of before stay until %s, unless they come back; %s", until, accept))
	}
	if n := len(l.Replaced); n > 0 {
		parts = append(parts, fmt.Sprintf("its index lists other bytes than before under published names (%s); they are off the page; %s", strings.Join(l.Replaced[:min(n, 2)], ", "), accept))
	}
	if trouble != "" {
		parts = append(parts, trouble)
	}
	return strings.Join(parts, "; ")
}
