package yank

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/yankplan"
)

// resolve reads the lane, its catalogs and the record, and finds the files that
// the selector matches. It sets Accepted. For a plan it is the only step.
func (r *Reconciler) resolve(ctx context.Context, s *scope) (bool, time.Duration, error) {
	if ok, err := r.findLane(ctx, s); !ok || err != nil {
		return false, 0, err // The lane's appearance wakes the Yank.
	}
	var err error
	if s.selector, err = yankplan.Compile(s.yank.Spec.Selector); err != nil {
		s.conds.False(v1alpha1.AcceptedCondition, v1alpha1.ReasonInvalidSelector, err.Error()+"; delete this Yank and create it again with a selector that can be read")
		return false, 0, nil //nolint:nilerr // the condition says it; trying again would not mend the selector
	}
	platform := s.lane.Spec.Platform
	if s.catalogs, err = r.Engine.Catalogs(ctx, platform); err != nil {
		return false, 0, s.unavailable(err)
	}
	planned := s.catalogs
	if !s.planOnly() {
		if s.record, err = loadRecord(ctx, r.store(), platform, string(s.yank.UID)); err != nil {
			return false, 0, s.unavailable(err)
		}
		if s.record.etag == "" {
			planned = untouched(s.catalogs, string(s.yank.UID))
		}
	}
	s.plan = yankplan.Resolve(s.selector, s.mode(), planned, r.Engine.Holders(platform, hashes(s.selector, s.catalogs)))
	if !s.planOnly() {
		s.enterAll()
	}
	if len(s.plan.Artifacts) == 0 {
		s.conds.True(v1alpha1.AcceptedCondition, v1alpha1.ReasonNothingMatched, fmt.Sprintf("no file of lane %s matches now; check package, versions and channels, or keep this Yank as a rule for later uploads", s.lane.Name))
	} else {
		s.conds.True(v1alpha1.AcceptedCondition, v1alpha1.ReasonResolved, fmt.Sprintf("matches %s of lane %s", files(len(s.plan.Artifacts)), s.lane.Name))
	}
	return !s.planOnly(), resync, nil
}

// untouched are the catalogs as if this Yank had not begun. The index engine
// applies it as a standing rule, perhaps before its first pass; what the plan
// warns of must be what was true before.
func untouched(catalogs []*catalog.Catalog, uid string) []*catalog.Catalog {
	out := make([]*catalog.Catalog, len(catalogs))
	for i, c := range catalogs {
		out[i] = c.Clone()
		for j := range out[i].Files {
			out[i].Files[j].Exhume(uid)
		}
	}
	return out
}

// findLane reads the lane. A lane that does not hold its prefixes is refused:
// somebody else's files are there.
func (r *Reconciler) findLane(ctx context.Context, s *scope) (bool, error) {
	key := client.ObjectKey{Namespace: s.yank.Namespace, Name: s.yank.Spec.LaneRef.Name}
	lane := &v1alpha1.PlatformLane{}
	err := r.Client.Get(ctx, key, lane)
	switch {
	case apierrors.IsNotFound(err):
		s.conds.False(v1alpha1.AcceptedCondition, v1alpha1.ReasonLaneNotFound, fmt.Sprintf("there is no PlatformLane %s in namespace %s; create it, or create this Yank beside its lane (kubectl get lanes -A)", key.Name, key.Namespace))
		return false, nil
	case err != nil:
		return false, err
	case !claimed(lane):
		s.conds.False(v1alpha1.AcceptedCondition, v1alpha1.ReasonLaneNotClaimed, fmt.Sprintf("lane %s does not hold the prefixes of platform %s (yet); see its condition Claimed", key.Name, lane.Spec.Platform))
		return false, nil
	}
	s.lane = lane
	return true, nil
}

func (s *scope) unavailable(err error) error {
	s.conds.False(v1alpha1.AcceptedCondition, v1alpha1.ReasonCatalogUnavailable, "the lane's catalogs cannot be read: "+first(err)+"; it is tried again")
	return fmt.Errorf("resolve: %w", err)
}

// enterAll takes the selected files into the record.
func (s *scope) enterAll() {
	record, y := s.record, s.yank
	record.Namespace, record.Name, record.Spec = y.Namespace, y.Name, y.Spec
	record.Asked, record.Requester = y.CreationTimestamp.UTC(), y.Annotations[v1alpha1.RequesterAnnotation]
	if record.etag == "" { // Later plans have less to warn of: the files are gone.
		record.Planned, record.Warnings = s.now, s.plan.Warnings
		if planned := y.Status.PlannedTime; planned != nil {
			record.Planned = planned.UTC()
		}
	}
	for _, c := range s.catalogs {
		s.enter(c)
	}
}

// enter takes the selected files of one catalog into the record.
func (s *scope) enter(c *catalog.Catalog) {
	for i := range c.Files {
		if f := &c.Files[i]; s.selector.Matches(c.Project, c.Channel, f) {
			s.record.enter(c.FileKey(f.Name), c, f, s.mode())
		}
	}
}

// bury sets the tombstones: from here on nothing lists these files again. It
// looks at the catalogs anew, so a file that came in meanwhile is buried too.
// The record is stored first: what was asked for, and what the plan warned of,
// must not be lost with a crash in between.
func (r *Reconciler) bury(ctx context.Context, s *scope) (bool, time.Duration, error) {
	lacks := func(a *Artifact) bool { return a.Tombstoned.IsZero() }
	waiting := s.record.pending(lacks)
	if len(waiting) == 0 {
		return true, 0, nil
	}
	err := s.record.save(ctx, r.store())
	for _, ref := range s.refs(waiting) {
		if err == nil {
			err = r.buryIn(ctx, s, ref)
		}
	}
	if err != nil {
		s.conds.False(v1alpha1.IndexRemovedCondition, v1alpha1.ReasonPublishFailed, "the tombstone could not be written: "+first(err)+"; it is tried again")
		return false, 0, fmt.Errorf("tombstone: %w", err)
	}
	for _, a := range s.record.pending(lacks) {
		a.Tombstoned = s.now
	}
	return true, 0, nil
}

// buryIn sets the tombstones in one catalog.
func (r *Reconciler) buryIn(ctx context.Context, s *scope, ref index.Ref) error {
	buried, err := r.Engine.Update(ctx, ref, func(c *catalog.Catalog) (changed bool) {
		for i := range c.Files {
			if s.selector.Matches(ref.Project, ref.Channel, &c.Files[i]) && c.Files[i].Bury(s.tombstone()) {
				changed = true
			}
		}
		return changed
	})
	if err != nil {
		return err
	}
	if buried == nil {
		return fmt.Errorf("the catalog of %s is gone from bucket %s; restore its last version", ref, r.store().Bucket())
	}
	s.enter(buried)
	for _, a := range s.record.pending(func(a *Artifact) bool { return a.Tombstoned.IsZero() && s.refOf(a) == ref }) {
		a.Revision = buried.Revision
	}
	return nil
}

// publish has the index engine publish every page without the files (or with
// their mark), on every store, and sets IndexRemoved.
func (r *Reconciler) publish(ctx context.Context, s *scope) (bool, time.Duration, error) {
	waiting := s.record.pending(func(a *Artifact) bool { return a.Published.IsZero() })
	if len(waiting) > 0 {
		var onPrimary, elsewhere error
		for _, ref := range s.refs(waiting) {
			primary, mirrors := r.Engine.PublishStores(ctx, ref)
			onPrimary, elsewhere = errors.Join(onPrimary, primary), errors.Join(elsewhere, mirrors)
		}
		elsewhere = errors.Join(elsewhere, r.Engine.PublishRemovals(ctx, s.record.Platform))
		if onPrimary == nil && elsewhere != nil {
			elsewhere = errors.Join(elsewhere, r.contain(ctx, s, waiting))
		}
		if err := errors.Join(onPrimary, elsewhere); err != nil {
			s.conds.False(v1alpha1.IndexRemovedCondition, v1alpha1.ReasonPublishFailed, first(err)+"; it is tried again")
			return false, 0, fmt.Errorf("publish: %w", err)
		}
		for _, a := range waiting {
			a.Published = r.Now().UTC()
		}
		if err := s.record.save(ctx, r.store()); err != nil {
			return false, 0, err
		}
		if r.PublishedFor != nil {
			r.PublishedFor(s.lane)
		}
	}
	if s.mode() == v1alpha1.YankFlag {
		s.conds.True(v1alpha1.IndexRemovedCondition, v1alpha1.ReasonFlagged, files(len(s.record.Artifacts))+" marked as yanked on every published page")
	} else {
		s.conds.True(v1alpha1.IndexRemovedCondition, v1alpha1.ReasonUnlisted, files(len(s.record.Artifacts))+" on no published page")
	}
	return true, 0, nil
}

// hashes are those of the selected files.
func hashes(selector *yankplan.Selector, catalogs []*catalog.Catalog) map[string]bool {
	out := map[string]bool{}
	for _, c := range catalogs {
		for i := range c.Files {
			if f := &c.Files[i]; f.SHA256 != "" && selector.Matches(c.Project, c.Channel, f) {
				out[f.SHA256] = true
			}
		}
	}
	return out
}
