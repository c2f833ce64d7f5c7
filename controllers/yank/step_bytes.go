package yank

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// quarantineTag marks the versions that a Yank hides.
const quarantineTag = "quarantined-by"

// lockRetry is how long to wait after Object Lock has refused.
const lockRetry = time.Hour

// removeBytes takes the bytes out of reach (Quarantine) or destroys them
// (HardDelete): on the primary first, then on the mirrors, which may refill from
// it. It sets AccessBlocked or Deleted.
func (r *Reconciler) removeBytes(ctx context.Context, s *scope) (bool, time.Duration, error) {
	kind := v1alpha1.BlockConditionFor(s.mode())
	if kind == "" {
		return true, 0, nil
	}
	waiting := s.record.pending(func(a *Artifact) bool { return a.Bytes.IsZero() })
	if len(waiting) > 0 {
		if err := r.removeAll(ctx, s, waiting); err != nil {
			s.waitsFor(kind)
			if errors.Is(err, objectstore.ErrLocked) {
				s.conds.False(kind, v1alpha1.ReasonObjectLocked, first(err)+"; the files are off the index, but these bytes stay until their retention ends or somebody with the right to lifts it")
				return false, lockRetry, nil
			}
			s.conds.False(kind, v1alpha1.ReasonBytesFailed, first(err)+"; it is tried again")
			return false, 0, fmt.Errorf("remove bytes: %w", err)
		}
	}
	if s.mode() == v1alpha1.YankHardDelete {
		s.conds.True(kind, v1alpha1.ReasonDestroyed, files(len(s.record.Artifacts))+": no version and no unfinished upload is left in any store")
	} else {
		s.conds.True(kind, v1alpha1.ReasonBlocked, files(len(s.record.Artifacts))+" out of reach in every store; the bytes are kept")
	}
	return true, 0, nil
}

// removeAll works on all waiting files in each store, and saves the evidence
// whatever happens: what was destroyed cannot be looked at again.
func (r *Reconciler) removeAll(ctx context.Context, s *scope, waiting []*Artifact) error {
	var failed error
	for _, target := range r.Engine.Targets() {
		if failed = r.removeFrom(ctx, s, target, waiting); failed != nil {
			break
		}
	}
	if failed == nil {
		failed = r.markGone(ctx, s, waiting)
	}
	if failed == nil {
		for _, a := range waiting {
			a.Bytes = r.Now().UTC()
		}
	}
	return errors.Join(failed, s.record.save(ctx, r.store()))
}

func (r *Reconciler) removeFrom(ctx context.Context, s *scope, target index.Target, waiting []*Artifact) error {
	versioning, err := target.Store.Versioning(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", target.Name, err)
	}
	b := bytes{store: target.Store, uid: string(s.yank.UID), versioned: versioning == objectstore.VersioningEnabled}
	var (
		mu   sync.Mutex
		errs []error
	)
	group := errgroup.Group{}
	group.SetLimit(keysAtOnce)
	for _, a := range waiting {
		evidence := a.evidence(target.Name) // Before the goroutines: it may grow the slice.
		group.Go(func() error {
			var err error
			if s.mode() == v1alpha1.YankHardDelete {
				err = b.destroy(ctx, a.Key, evidence)
			} else {
				err = b.hide(ctx, a.Key, evidence)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("%s: %w", target.Name, err))
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

// bytes takes stored bytes away in one store.
type bytes struct {
	store     objectstore.Store
	uid       string
	versioned bool
}

// belongs tells whether a key is the file or one of its sidecars.
func belongs(key, file string) bool {
	rest, ok := strings.CutPrefix(key, file)
	return ok && (rest == "" || rest == layout.MetadataSuffix || rest == layout.ProvenanceSuffix)
}

// versions are all versions and markers of a file and its sidecars.
func (b bytes) versions(ctx context.Context, key string) ([]objectstore.Version, error) {
	var out []objectstore.Version
	for v, err := range b.store.ListVersions(ctx, key) {
		if err != nil {
			return nil, err
		}
		if belongs(v.Key, key) {
			out = append(out, v)
		}
	}
	return out, nil
}

// hide keeps the bytes and puts them out of everybody's reach: every version is
// tagged, then a delete marker goes on top. Where there are no versions, the
// bytes move below the private quarantine folder.
func (b bytes) hide(ctx context.Context, key string, evidence *StoreEvidence) error {
	if !b.versioned {
		return b.move(ctx, key, evidence)
	}
	versions, err := b.versions(ctx, key)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.DeleteMarker {
			continue
		}
		if err := b.store.TagVersion(ctx, v.Key, v.ID, map[string]string{quarantineTag: b.uid}); err != nil {
			return err
		}
		evidence.note(v, fateHidden)
	}
	for _, v := range versions {
		if !v.Latest || v.DeleteMarker {
			continue
		}
		if _, err := b.store.Delete(ctx, v.Key); err != nil {
			return err
		}
	}
	return nil
}

// move copies the bytes below the private quarantine folder, checks the copy
// against the original, and only then deletes the original.
func (b bytes) move(ctx context.Context, key string, evidence *StoreEvidence) error {
	for _, from := range []string{key, key + layout.MetadataSuffix, key + layout.ProvenanceSuffix} {
		info, err := b.store.Head(ctx, from)
		if errors.Is(err, objectstore.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		to := movedKey(b.uid, from)
		if _, err := b.store.Copy(ctx, from, to); err != nil {
			return err
		}
		want, err := hashOf(ctx, b.store, from)
		if err != nil {
			return err
		}
		got, err := hashOf(ctx, b.store, to)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s: the copy at %s has other bytes; the original stays where it is", from, to)
		}
		if _, err := b.store.Delete(ctx, from); err != nil {
			return err
		}
		evidence.note(objectstore.Version{Object: info.Object}, fateMoved)
	}
	return nil
}

// movedKey is where a store without versions keeps quarantined bytes.
func movedKey(uid, key string) string { return layout.Private + "quarantine/" + uid + "/" + key }

// destroy deletes every version and marker of the file and its sidecars, and
// ends unfinished uploads of the key.
func (b bytes) destroy(ctx context.Context, key string, evidence *StoreEvidence) error {
	for upload, err := range b.store.ListUploads(ctx, key) {
		if err != nil {
			return err
		}
		if !belongs(upload.Key, key) {
			continue
		}
		if err := b.store.AbortUpload(ctx, upload.Key, upload.ID); err != nil {
			return err
		}
		evidence.AbortedUploads++
	}
	versions, err := b.versions(ctx, key)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if err := b.store.DeleteVersion(ctx, v.Key, v.ID); err != nil {
			return err
		}
		if !v.DeleteMarker {
			evidence.note(v, fateDestroyed)
		}
	}
	if b.versioned {
		return b.leavesNothing(ctx, key)
	}
	for _, kept := range []string{key, key + layout.MetadataSuffix, key + layout.ProvenanceSuffix} {
		for _, doomed := range []string{kept, movedKey(b.uid, kept)} {
			if _, err := b.store.Delete(ctx, doomed); err != nil {
				return err
			}
		}
	}
	return b.leavesNothing(ctx, key)
}

// leavesNothing looks once more: a version that was written meanwhile would
// otherwise survive.
func (b bytes) leavesNothing(ctx context.Context, key string) error {
	left, err := b.versions(ctx, key)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%s: %d versions were written while it was being destroyed", key, len(left))
	}
	return err
}
