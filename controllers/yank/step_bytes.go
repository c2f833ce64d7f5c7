package yank

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// keysAtOnce is how many keys of a Yank are worked on in parallel.
const keysAtOnce = 8

// removeBytes takes the bytes out of reach (Quarantine) or destroys them
// (HardDelete): on the primary first, then on the mirrors, which may refill from
// it. It sets AccessBlocked or Deleted. Where Object Lock keeps the bytes they
// are out of reach all the same, and the caches are still to be purged: the
// steps behind go on.
func (r *Reconciler) removeBytes(ctx context.Context, s *scope) (bool, time.Duration, error) {
	kind := v1alpha1.BlockConditionFor(s.mode())
	if kind == "" {
		return true, 0, nil
	}
	waiting := s.record.pending(func(a *Artifact) bool { return a.Bytes.IsZero() && a.URL == "" })
	if len(waiting) > 0 {
		locked, err := r.removeAll(ctx, s, waiting)
		if err != nil {
			s.conds.False(kind, v1alpha1.ReasonBytesFailed, first(err)+"; it is tried again")
			return false, 0, fmt.Errorf("remove bytes: %w", err)
		}
		if locked != nil {
			s.conds.False(kind, v1alpha1.ReasonObjectLocked, first(locked)+"; the files are off the index and out of reach, but these bytes stay until their retention ends or somebody with the right to lifts it")
			return true, 0, nil
		}
	}
	if linked := s.record.pending(func(a *Artifact) bool { return a.URL != "" }); len(linked) > 0 {
		s.conds.False(kind, v1alpha1.ReasonHostedElsewhere, fmt.Sprintf("%s of %d only linked to, for example %s: off this lane's index, but the bytes are another index's and can still be fetched there; ask that index to take them down", files(len(linked)), len(s.record.Artifacts), linked[0].URL))
		return true, 0, nil
	}
	if s.mode() == v1alpha1.YankHardDelete {
		s.conds.True(kind, v1alpha1.ReasonDestroyed, files(len(s.record.Artifacts))+": no version and no unfinished upload is left in any store")
	} else {
		s.conds.True(kind, v1alpha1.ReasonBlocked, files(len(s.record.Artifacts))+" out of reach in every store; the bytes are kept")
	}
	return true, 0, nil
}

// removeAll works on all waiting files in each store, and saves the evidence
// whatever happens. locked is what Object Lock refused.
func (r *Reconciler) removeAll(ctx context.Context, s *scope, waiting []*Artifact) (locked, failed error) {
	keeps := map[*Artifact]error{}
	for i, target := range r.Engine.Targets() {
		if failed = r.removeFrom(ctx, s, target, waiting, keeps); failed == nil {
			continue
		}
		if i > 0 { // The primary is done: its copies in the CDN need not wait.
			failed = errors.Join(failed, r.purgeNow(ctx, s, waiting))
		}
		break
	}
	var done []*Artifact
	for _, a := range waiting {
		if err := keeps[a]; err != nil {
			locked = errors.Join(locked, err)
		} else {
			done = append(done, a)
		}
	}
	if failed == nil {
		failed = r.markGone(ctx, s, done)
	}
	if failed == nil {
		for _, a := range done {
			// What was purged and probed before the bytes went proves nothing.
			a.Bytes, a.Purged, a.Verified = r.Now().UTC(), time.Time{}, time.Time{}
		}
	}
	return locked, errors.Join(failed, s.record.save(ctx, r.store()))
}

// contain limits the harm while a mirror's pages cannot be written: the primary,
// whose pages are, does not go on serving the bytes until the mirror is back.
// All steps are taken once more when it is.
func (r *Reconciler) contain(ctx context.Context, s *scope, waiting []*Artifact) error {
	if !s.mode().BlocksAccess() {
		return nil
	}
	primary := r.Engine.Primary()
	versioning, err := primary.Store.Versioning(ctx)
	if err != nil {
		return err
	}
	b := bytes{store: primary.Store, uid: string(s.yank.UID), versioned: versioning == objectstore.VersioningEnabled}
	keeps := map[*Artifact]error{}
	err = eachFile(primary.Name, waiting, keeps, func(a *Artifact, e *StoreEvidence) error { return b.hide(ctx, a.Key, e) })
	return errors.Join(err, r.purgeNow(ctx, s, waiting))
}

// removeFrom works on one store. Files that Object Lock keeps go into keeps.
// What is to be destroyed is put out of reach first, all of it, and what it was
// goes into the record: it cannot be looked at again.
func (r *Reconciler) removeFrom(ctx context.Context, s *scope, target index.Target, waiting []*Artifact, keeps map[*Artifact]error) error {
	versioning, err := target.Store.Versioning(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", target.Name, err)
	}
	b := bytes{store: target.Store, uid: string(s.yank.UID), versioned: versioning == objectstore.VersioningEnabled}
	if s.mode() != v1alpha1.YankHardDelete {
		return eachFile(target.Name, waiting, keeps, func(a *Artifact, e *StoreEvidence) error { return b.hide(ctx, a.Key, e) })
	}
	err = eachFile(target.Name, waiting, keeps, func(a *Artifact, e *StoreEvidence) error { return b.cover(ctx, a.Key, e) })
	if err == nil {
		err = s.record.save(ctx, r.store())
	}
	if err != nil {
		return err
	}
	return eachFile(target.Name, waiting, keeps, func(a *Artifact, e *StoreEvidence) error {
		return b.destroy(ctx, a.Key, s.holders(a), e)
	})
}

// eachFile works on several files of one store at once.
func eachFile(store string, waiting []*Artifact, keeps map[*Artifact]error, work func(*Artifact, *StoreEvidence) error) error {
	var (
		mu   sync.Mutex
		errs []error
	)
	group := errgroup.Group{}
	group.SetLimit(keysAtOnce)
	for _, a := range waiting {
		evidence := a.evidence(store) // Before the goroutines: it may grow the slice.
		group.Go(func() error {
			err := work(a, evidence)
			if err == nil {
				return nil
			}
			err = fmt.Errorf("%s: %w", store, err)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, objectstore.ErrLocked) {
				keeps[a] = errors.Join(keeps[a], err)
			} else {
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// markGone notes in the catalogs that the bytes are gone, so that a later upload
// under the same name is seen as new.
func (r *Reconciler) markGone(ctx context.Context, s *scope, removed []*Artifact) error {
	var errs []error
	for _, ref := range s.refs(removed) {
		names := map[string]bool{}
		for _, a := range removed {
			if a.Channel == ref.Channel && a.Project == ref.Project {
				names[layout.FileName(a.Key)] = true
			}
		}
		_, err := r.Engine.Update(ctx, ref, func(c *catalog.Catalog) (changed bool) {
			for i := range c.Files {
				f := &c.Files[i]
				if names[f.Name] && len(f.Tombstones) > 0 && f.State != catalog.StateGone {
					f.State, f.Reason, f.Message = catalog.StateGone, "", ""
					changed = true
				}
			}
			return changed
		})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
