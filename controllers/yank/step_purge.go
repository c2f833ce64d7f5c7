package yank

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

const (
	// purgePoll is how often the CDN is asked whether it is done.
	purgePoll = time.Second
	// purgePatience is how long an invalidation may take before it is said to
	// hang. CloudFront's are done within seconds.
	purgePatience = 15 * time.Minute
)

// purge has the CDN drop its copies of the pages and files, and waits until it
// says that it has. It sets CachesPurged.
func (r *Reconciler) purge(ctx context.Context, s *scope) (bool, time.Duration, error) {
	const kind = v1alpha1.CachesPurgedCondition
	waiting := s.record.pending(func(a *Artifact) bool { return a.Purged.IsZero() })
	if _, none := r.Engine.CDN().(cdn.None); none {
		for _, a := range waiting {
			a.Purged = s.now
		}
		s.conds.True(kind, v1alpha1.ReasonNoCDN, "no CDN is configured")
		return true, 0, nil
	}
	if len(waiting) == 0 {
		s.conds.True(kind, v1alpha1.ReasonPurged, s.purgedMessage())
		return true, 0, nil
	}
	open, err := r.openPurge(ctx, s, waiting)
	if err != nil {
		s.conds.False(kind, v1alpha1.ReasonPurgeFailed, first(err)+"; it is tried again")
		if errors.Is(err, cdn.ErrThrottled) {
			return false, 5 * time.Second, nil
		}
		return false, 0, fmt.Errorf("purge: %w", err)
	}
	if open.Completed.IsZero() {
		if age := s.now.Sub(open.Requested); age > purgePatience {
			s.conds.False(kind, v1alpha1.ReasonPurgeFailed, fmt.Sprintf("invalidation %s is not done since %s; look at the CDN's status page; it is looked at again every minute", open.ID, open.Requested.Format(time.RFC3339)))
			return false, time.Minute, nil
		}
		s.conds.Unknown(kind, v1alpha1.ReasonPurging, fmt.Sprintf("the CDN works on invalidation %s", open.ID))
		return false, purgePoll, nil
	}
	for _, a := range waiting {
		if !later(a.Published, a.Bytes).After(open.Requested) {
			a.Purged = open.Completed
		}
	}
	err = r.markPurged(ctx, s, waiting)
	if err == nil {
		err = s.record.save(ctx, r.store())
	}
	if err != nil {
		s.conds.False(kind, v1alpha1.ReasonPurgeFailed, "it could not be noted that the CDN dropped its copies: "+first(err)+"; it is tried again")
		return false, 0, fmt.Errorf("purge: %w", err)
	}
	s.conds.True(kind, v1alpha1.ReasonPurged, s.purgedMessage())
	return true, 0, nil
}

// purgedMessage is the same in every pass, or a second one would write.
func (s *scope) purgedMessage() string {
	if len(s.record.Purges) == 0 {
		return "there was nothing to purge"
	}
	return "the CDN completed invalidation " + s.record.Purges[len(s.record.Purges)-1].ID
}

// purgeNow asks the CDN to drop its copies ahead of the purge that is waited for
// and recorded. Asked again about the same files, the CDN takes it for the same
// request.
func (r *Reconciler) purgeNow(ctx context.Context, s *scope, waiting []*Artifact) error {
	_, err := r.Engine.CDN().Invalidate(ctx, "early-"+s.token(waiting), s.paths(waiting))
	return err
}

// openPurge asks for the purge of the waiting files, or how far the last one is.
func (r *Reconciler) openPurge(ctx context.Context, s *scope, waiting []*Artifact) (*Purge, error) {
	purges := s.record.Purges
	var open *Purge
	if len(purges) > 0 && covers(purges[len(purges)-1], waiting) {
		open = &purges[len(purges)-1]
	}
	var state cdn.Invalidation
	var err error
	if open != nil {
		state, err = r.Engine.CDN().Status(ctx, open.ID)
	}
	if open == nil || errors.Is(err, cdn.ErrNotFound) {
		open = &Purge{Token: s.token(waiting), Paths: s.paths(waiting), Requested: r.Now().UTC()}
		if state, err = r.Engine.CDN().Invalidate(ctx, open.Token, open.Paths); err != nil {
			return nil, err
		}
		open.ID = state.ID
		s.record.Purges = append(s.record.Purges, *open)
		open = &s.record.Purges[len(s.record.Purges)-1]
		if err := s.record.save(ctx, r.store()); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	if state.State == cdn.Completed && open.Completed.IsZero() {
		open.Completed = r.Now().UTC()
	}
	return open, nil
}

// covers tells whether a purge was asked for after the last change of every
// waiting file, and did not yet serve them.
func covers(p Purge, waiting []*Artifact) bool {
	if !p.Completed.IsZero() {
		return false
	}
	for _, a := range waiting {
		if later(a.Published, a.Bytes).After(p.Requested) {
			return false
		}
	}
	return true
}

// token names this purge: after a crash the same files at the same stage are the
// same request, which the CDN answers with the invalidation it already has.
func (s *scope) token(waiting []*Artifact) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%s %d\n", s.record.UID, len(s.record.Purges))
	for _, a := range waiting {
		_, _ = fmt.Fprintf(sum, "%s %s %s\n", a.Key, a.Mode, later(a.Published, a.Bytes).Format(time.RFC3339Nano))
	}
	return hex.EncodeToString(sum.Sum(nil))[:32]
}

// paths are what the CDN must drop: the pages, and for modes that touch the
// bytes the files with their sidecars in every spelling.
func (s *scope) paths(waiting []*Artifact) []string {
	var paths []string
	for _, ref := range s.refs(waiting) {
		paths = append(paths, index.PagePaths(ref)...)
	}
	keys := []string{layout.RemovalsKey(s.record.Platform)}
	if s.mode().BlocksAccess() {
		for _, a := range waiting {
			keys = append(keys, a.Key, a.Key+layout.MetadataSuffix, a.Key+layout.ProvenanceSuffix)
		}
	}
	return cdn.Compact(append(paths, cdn.PathsFor(keys...)...))
}

// markPurged spares the index engine a purge of the same pages. They were
// published before the purge was asked for; what was published later the engine
// purges itself.
func (r *Reconciler) markPurged(ctx context.Context, s *scope, purged []*Artifact) error {
	for _, ref := range s.refs(purged) {
		var revision int64
		for _, a := range purged {
			if s.refOf(a) == ref {
				revision = max(revision, a.Revision)
			}
		}
		if err := r.Engine.MarkPurged(ctx, ref, revision); err != nil {
			return err
		}
	}
	return nil
}
