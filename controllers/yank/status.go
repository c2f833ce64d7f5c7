package yank

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// summarise writes what the pass found into the status. It is a function of the
// scope alone.
func (s *scope) summarise() {
	status := &s.yank.Status
	status.ObservedGeneration = ptr.To(s.yank.Generation)
	status.Requester = reconcilekit.Cut(s.yank.Annotations[v1alpha1.RequesterAnnotation], 512)
	switch {
	case s.planOnly():
		s.summarisePlan(status)
	case s.record != nil:
		s.summariseRecord(status)
	}
	count := 0
	if status.ArtifactsCount != nil {
		count = int(*status.ArtifactsCount)
	}
	kinds := owned(s.mode())
	if s.planOnly() {
		kinds = kinds[:1]
		for _, kind := range owned(s.mode())[1:] {
			s.conds.Unknown(kind, v1alpha1.ReasonNotRequested, "execution is PlanOnly; set it to Execute to carry the plan out")
		}
		s.conds.Summarise(kinds, stalled, v1alpha1.ReasonPlanned, files(count)+" would be taken back; set execution to Execute to do it")
		return
	}
	reason, message := v1alpha1.VerifiedCondition, verifiedMessage(s.mode(), count)
	if count == 0 {
		reason, message = v1alpha1.ReasonNothingMatched, "no file matches now; a later upload that matches is taken back"
	}
	s.conds.Summarise(kinds, stalled, reason, message)
}

func verifiedMessage(mode v1alpha1.YankMode, count int) string {
	switch mode {
	case v1alpha1.YankFlag:
		return files(count) + " marked as yanked on every public page"
	case v1alpha1.YankIndexRemoval:
		return files(count) + " no longer on any public page; direct addresses still work"
	case v1alpha1.YankQuarantine:
		return files(count) + " off the index and refused at every public address; the bytes are kept"
	default:
		return files(count) + " off the index and destroyed; no version is left"
	}
}

func (s *scope) summarisePlan(status *v1alpha1.YankStatus) {
	if s.selector == nil {
		return
	}
	status.ArtifactsCount, status.VerifiedCount = ptr.To(int32(len(s.plan.Artifacts))), nil //nolint:gosec // A catalog holds far fewer files than 2³¹.
	status.Warnings = bounded(s.plan.Warnings, 16)
	if status.PlannedTime == nil {
		status.PlannedTime = stamp(s.now)
	}
	status.Artifacts = nil
	for _, a := range bounded(s.plan.Artifacts, v1alpha1.MaxYankedArtifacts) {
		status.Artifacts = append(status.Artifacts, v1alpha1.YankedArtifact{
			Key: a.Key, SHA256: a.File.SHA256, SizeBytes: ptr.To(a.File.Size), State: v1alpha1.ArtifactPlanned,
		})
	}
}

func (s *scope) summariseRecord(status *v1alpha1.YankStatus) {
	r := s.record
	status.Warnings = bounded(r.Warnings, 16)
	status.PlannedTime = stamp(r.Planned)
	if r.etag != "" {
		status.Record = layout.YankRecordKey(r.Platform, r.UID)
	}
	var verified int32
	status.Artifacts = nil
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		if a.state() == v1alpha1.ArtifactVerified {
			verified++
		}
		if i < v1alpha1.MaxYankedArtifacts {
			status.Artifacts = append(status.Artifacts, v1alpha1.YankedArtifact{
				Key: a.Key, SHA256: a.SHA256, SizeBytes: ptr.To(a.SizeBytes), State: a.state(),
			})
		}
	}
	status.ArtifactsCount = ptr.To(int32(len(r.Artifacts))) //nolint:gosec // See above.
	status.VerifiedCount = ptr.To(verified)
	status.IndexRemovedTime = r.lastOf(func(a *Artifact) time.Time { return a.Published })
	status.AccessBlockedTime = r.lastOf(func(a *Artifact) time.Time { return a.Bytes })
	status.VerifiedTime = r.lastOf(func(a *Artifact) time.Time { return a.Verified })
}

// lastOf is when a step was done for the last of all files; nil while one of
// them still lacks it.
func (r *Record) lastOf(when func(*Artifact) time.Time) *metav1.Time {
	var last time.Time
	for i := range r.Artifacts {
		t := when(&r.Artifacts[i])
		if t.IsZero() {
			return nil
		}
		last = later(last, t)
	}
	return stamp(last)
}

// state is how far an artifact has come.
func (a *Artifact) state() v1alpha1.ArtifactState {
	switch {
	// Bytes that a lock keeps were probed too, but they are not gone.
	case !a.Verified.IsZero() && (!a.Bytes.IsZero() || !a.Mode.BlocksAccess()):
		return v1alpha1.ArtifactVerified
	case !a.Bytes.IsZero() && a.Mode == v1alpha1.YankHardDelete:
		return v1alpha1.ArtifactDeleted
	case !a.Bytes.IsZero():
		return v1alpha1.ArtifactBlocked
	case !a.Published.IsZero() && a.Mode == v1alpha1.YankFlag:
		return v1alpha1.ArtifactFlagged
	case !a.Published.IsZero():
		return v1alpha1.ArtifactOffIndex
	default:
		return v1alpha1.ArtifactListed
	}
}

func bounded[T any](list []T, most int) []T {
	if len(list) > most {
		return list[:most]
	}
	return list
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func stamp(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t.Truncate(time.Second)}
}
