package yank

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// finalize lets a deleted Yank go. With KeepYanked nothing is touched: its
// tombstones stand. With Restore the files come back first.
func (r *Reconciler) finalize(ctx context.Context, y *v1alpha1.Yank) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(y, v1alpha1.YankFinalizer) {
		return ctrl.Result{}, nil
	}
	if y.Spec.OnDelete == v1alpha1.OnDeleteRestore && y.Spec.Execution == v1alpha1.ExecutionExecute {
		if err := r.restore(ctx, y); err != nil {
			return ctrl.Result{}, errors.Join(fmt.Errorf("restore: %w", err), r.restoring(ctx, y, err))
		}
	}
	before := y.DeepCopy()
	controllerutil.RemoveFinalizer(y, v1alpha1.YankFinalizer)
	err := r.Client.Patch(ctx, y, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return ctrl.Result{}, reconcilekit.LostRace(err)
}

// restoring tells why a deleted Yank is still there.
func (r *Reconciler) restoring(ctx context.Context, y *v1alpha1.Yank, cause error) error {
	before := y.DeepCopy()
	conds := reconcilekit.Conditions{List: &y.Status.Conditions, Generation: y.Generation}
	y.Status.ObservedGeneration = ptr.To(y.Generation)
	message := "the files are being restored: " + first(cause) + "; it is tried again"
	conds.False(v1alpha1.ReadyCondition, v1alpha1.ReasonRestoring, message)
	conds.Remove(v1alpha1.StalledCondition)
	conds.True(v1alpha1.ReconcilingCondition, v1alpha1.ReasonProgressing, message)
	return reconcilekit.LostRace(reconcilekit.PatchStatus(ctx, r.Client, before, y))
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
		r.Recorder.Eventf(y, nil, corev1.EventTypeWarning, v1alpha1.ReasonLaneNotClaimed, "Restore", "not restored: lane %s is gone or does not hold its prefixes; the files stay yanked", y.Spec.LaneRef.Name)
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
	var refs []index.Ref
	for _, c := range catalogs {
		n, err := r.restoreCatalog(ctx, y, c)
		if err != nil {
			return err
		}
		if restored += n; n > 0 {
			refs = append(refs, index.Ref{Platform: c.Platform, Channel: c.Channel, Project: c.Project})
		}
	}
	// From here on a pass that was cut short is made up for: the tombstones it
	// removed are gone, the record still says which pages they were on.
	if err := r.publishRestored(ctx, lane.Spec.Platform, string(y.UID), refs); err != nil {
		return err
	}
	if r.PublishedFor != nil {
		r.PublishedFor(lane)
	}
	if restored > 0 {
		r.Recorder.Eventf(y, nil, corev1.EventTypeNormal, string(v1alpha1.ArtifactRestored), "Restore", "%s given back to the index of lane %s", files(restored), lane.Name)
	}
	return nil
}

// publishRestored brings pages and feed up to date and notes in the record that
// the files were given back.
func (r *Reconciler) publishRestored(ctx context.Context, platform, uid string, refs []index.Ref) error {
	record, err := loadRecord(ctx, r.store(), platform, uid)
	if err != nil {
		return err
	}
	for i := range record.Artifacts {
		if ref := record.Artifacts[i].ref(platform); !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	for _, ref := range refs {
		if err := r.Engine.Publish(ctx, ref); err != nil {
			return err
		}
	}
	if err := r.Engine.PublishRemovals(ctx, platform); err != nil {
		return err
	}
	// The pages' purge stands in the catalogs, that of the feed nowhere: a pass that
	// is repeated asks for it anew.
	if _, err := r.Engine.CDN().Invalidate(ctx, rand.Text(), cdn.PathsFor(layout.RemovalsKey(platform))); err != nil {
		return fmt.Errorf("purge the CDN: %w", err)
	}
	if record.etag == "" || !record.Restored.IsZero() {
		return nil
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
	return len(back), nil
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
// another Yank wants it out of reach. What a store holds must have the hash that
// was recorded when it was taken back; that is looked at everywhere before
// anything can be read anywhere.
func (r *Reconciler) restoreBytes(ctx context.Context, c *catalog.Catalog, f *catalog.File, mine catalog.Tombstone) error {
	if !mine.Mode.BlocksAccess() || f.Link != nil {
		return nil // Nothing was hidden.
	}
	for _, other := range f.Tombstones {
		if other.UID != mine.UID && other.Mode.BlocksAccess() {
			return nil
		}
	}
	key := c.FileKey(f.Name)
	type hidden struct {
		bytes
		at string
	}
	var all []hidden
	for i, target := range r.Engine.Targets() {
		versioning, err := target.Store.Versioning(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", target.Name, err)
		}
		b := bytes{store: target.Store, uid: mine.UID, versioned: versioning == objectstore.VersioningEnabled}
		at, err := b.unchanged(ctx, key, mine.SHA256)
		if i > 0 && errors.Is(err, objectstore.ErrNotFound) {
			continue // A mirror may refill from the primary.
		}
		if errors.Is(err, objectstore.ErrNotFound) {
			err = fmt.Errorf("%w: nothing is stored at %s", errBytesChanged, key)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", target.Name, err)
		}
		all = append(all, hidden{b, at})
	}
	for _, h := range all {
		if err := h.unhide(ctx, key, h.at); err != nil {
			return err
		}
	}
	return nil
}

// unchanged finds the hidden bytes of a key and checks that they have the hash.
// Others are hidden again, should they lie open.
func (b bytes) unchanged(ctx context.Context, key, want string) (at string, err error) {
	at, version, err := b.kept(ctx, key)
	if err != nil {
		return "", err
	}
	got, err := hashOf(ctx, b.store, at, version)
	if err != nil || got == want {
		return at, err
	}
	if want == "" {
		want = "none, for it was not fit to be listed when it was taken back, or retention had removed it"
	}
	return "", errors.Join(fmt.Errorf("%w: recorded %s, found %s", errBytesChanged, want, got), b.hide(ctx, key, &StoreEvidence{}))
}
