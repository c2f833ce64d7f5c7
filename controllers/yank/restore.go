package yank

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// finalize lets a deleted Yank go. With KeepYanked nothing is touched: its
// tombstones stand. With Restore the files come back first.
func (r *Reconciler) finalize(ctx context.Context, y *v1alpha1.Yank) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(y, v1alpha1.YankFinalizer) {
		return ctrl.Result{}, nil
	}
	if y.Spec.OnDelete == v1alpha1.OnDeleteRestore && y.Spec.Execution == v1alpha1.ExecutionExecute {
		if err := r.restore(ctx, y); err != nil {
			return ctrl.Result{}, fmt.Errorf("restore: %w", err)
		}
	}
	before := y.DeepCopy()
	controllerutil.RemoveFinalizer(y, v1alpha1.YankFinalizer)
	err := r.Client.Patch(ctx, y, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return ctrl.Result{}, ignoreConflict(err)
}

// restore runs the yank backwards: bytes first, then the catalogs, then the
// pages, so that no page lists what is not there. A file whose stored bytes no
// longer have the recorded hash stays yanked, and so does one that another Yank
// took back too.
func (r *Reconciler) restore(ctx context.Context, y *v1alpha1.Yank) error {
	lane := &v1alpha1.PlatformLane{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: y.Namespace, Name: y.Spec.LaneRef.Name}, lane)
	if apierrors.IsNotFound(err) || err == nil && !claimed(lane) {
		log.FromContext(ctx).Info("not restored: the lane is gone or does not hold its prefixes; the tombstones stay", "lane", y.Spec.LaneRef.Name)
		return nil
	}
	if err != nil {
		return err
	}
	catalogs, err := r.Engine.Catalogs(ctx, lane.Spec.Platform)
	if err != nil {
		return err
	}
	restored := 0
	for _, c := range catalogs {
		n, err := r.restoreCatalog(ctx, y, c)
		if err != nil {
			return err
		}
		restored += n
	}
	if restored == 0 {
		return nil
	}
	if err := r.Engine.PublishRemovals(ctx, lane.Spec.Platform); err != nil {
		return err
	}
	if err := r.recordRestore(ctx, lane.Spec.Platform, y); err != nil {
		return err
	}
	if r.PublishedFor != nil {
		r.PublishedFor(lane)
	}
	r.Recorder.Eventf(y, nil, corev1.EventTypeNormal, string(v1alpha1.ArtifactRestored), "Restore", "%s given back to the index of lane %s", files(restored), lane.Name)
	return nil
}

func (r *Reconciler) recordRestore(ctx context.Context, platform string, y *v1alpha1.Yank) error {
	record, err := loadRecord(ctx, r.store(), platform, string(y.UID))
	if err != nil {
		return err
	}
	record.Restored = r.Now().UTC()
	return record.save(ctx, r.store())
}

// restoreCatalog brings back the files of one project that this Yank took.
func (r *Reconciler) restoreCatalog(ctx context.Context, y *v1alpha1.Yank, c *catalog.Catalog) (int, error) {
	uid := string(y.UID)
	back := map[string]bool{}
	for i := range c.Files {
		f := &c.Files[i]
		t, mine := tombstoneOf(f, uid)
		if !mine {
			continue
		}
		if err := r.restoreBytes(ctx, c, f, t); errors.Is(err, errBytesChanged) {
			r.Recorder.Eventf(y, nil, corev1.EventTypeWarning, v1alpha1.ReasonBytesChanged, "Restore", "%s stays yanked: %s", c.FileKey(f.Name), short(err.Error()))
			continue
		} else if err != nil {
			return 0, err
		}
		back[f.Name] = true
	}
	if len(back) == 0 {
		return 0, nil
	}
	// A file that was out of reach stays off the page until the engine has judged
	// it again: it may have been one that was never fit to be listed.
	ref := index.Ref{Platform: c.Platform, Channel: c.Channel, Project: c.Project}
	_, err := r.Engine.Update(ctx, ref, func(c *catalog.Catalog) (changed bool) {
		for i := range c.Files {
			f := &c.Files[i]
			if back[f.Name] && f.Exhume(uid) {
				changed = true
			}
		}
		return changed
	})
	if err != nil {
		return 0, err
	}
	return len(back), r.Engine.Publish(ctx, ref)
}

func tombstoneOf(f *catalog.File, uid string) (catalog.Tombstone, bool) {
	for _, t := range f.Tombstones {
		if t.UID == uid {
			return t, true
		}
	}
	return catalog.Tombstone{}, false
}

// errBytesChanged: what is stored is not what was taken back.
var errBytesChanged = errors.New("the stored bytes no longer have the recorded hash")

// restoreBytes makes a quarantined file readable again on every store, unless
// another Yank wants it out of reach. The primary's bytes must have the hash
// that was recorded when they were taken back.
func (r *Reconciler) restoreBytes(ctx context.Context, c *catalog.Catalog, f *catalog.File, mine catalog.Tombstone) error {
	if !mine.Mode.BlocksAccess() {
		return nil
	}
	for _, other := range f.Tombstones {
		if other.UID != mine.UID && other.Mode.BlocksAccess() {
			return nil
		}
	}
	key := c.FileKey(f.Name)
	for i, target := range r.Engine.Targets() {
		versioning, err := target.Store.Versioning(ctx)
		if err != nil {
			return err
		}
		b := bytes{store: target.Store, uid: mine.UID, versioned: versioning == objectstore.VersioningEnabled}
		if err := b.unhide(ctx, key); err != nil {
			return err
		}
		if i > 0 {
			continue
		}
		got, err := hashOf(ctx, target.Store, key)
		if errors.Is(err, objectstore.ErrNotFound) {
			return fmt.Errorf("%w: nothing is stored at %s", errBytesChanged, key)
		}
		if err != nil {
			return err
		}
		if got != mine.SHA256 {
			return errors.Join(fmt.Errorf("%w: want %s, found %s", errBytesChanged, mine.SHA256, got), b.hide(ctx, key, &StoreEvidence{}))
		}
	}
	return nil
}

// unhide takes the delete markers off the file and its sidecars, or moves the
// bytes back from the quarantine folder.
func (b bytes) unhide(ctx context.Context, key string) error {
	if !b.versioned {
		for _, to := range []string{key, key + layout.MetadataSuffix, key + layout.ProvenanceSuffix} {
			_, err := b.store.Copy(ctx, movedKey(b.uid, to), to)
			if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
				return err
			}
		}
		return nil
	}
	versions, err := b.versions(ctx, key)
	if err != nil {
		return err
	}
	onTop := map[string]bool{}
	for _, v := range versions {
		if v.Latest {
			onTop[v.Key] = true
		}
		if !v.DeleteMarker {
			onTop[v.Key] = false // Markers below a version do no harm.
		}
		if v.DeleteMarker && onTop[v.Key] {
			if err := b.store.DeleteVersion(ctx, v.Key, v.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashOf is the SHA-256 of a stored object, in lower-case hexadecimal.
func hashOf(ctx context.Context, store objectstore.Store, key string) (string, error) {
	body, info, err := store.Get(ctx, key, objectstore.GetOptions{})
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, body)
	if err == nil && n != info.Size {
		err = fmt.Errorf("%s: got %d of %d bytes", key, n, info.Size)
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}
