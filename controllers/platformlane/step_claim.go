package platformlane

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/claim"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/reconcilekit"
)

// claimTrust is how long a claim that was read is believed without another look.
const claimTrust = 5 * time.Minute

// claimRetry is how often a lane that lost asks again. The holder's deletion
// wakes it sooner.
const claimRetry = time.Minute

// claim decides whether this lane holds its platform's prefixes, and records it
// in the bucket. It sets Claimed. A lane that once held them keeps them while
// the bucket cannot be read, so that suspending it does not wait for S3.
func (r *Reconciler) claim(ctx context.Context, s *scope) (holds bool, again time.Duration, err error) {
	const kind = v1alpha1.ClaimedCondition
	platform := s.lane.Spec.Platform
	if why, reserved := r.reserved(platform); reserved {
		s.conds.False(kind, v1alpha1.ReasonReservedName, why)
		return false, 0, nil
	}
	if r.claims.fresh(s.lane.UID, s.now) && holdsPrefixes(s.lane) {
		s.conds.True(kind, v1alpha1.ReasonClaimed, claimedMessage(platform))
		return true, 0, nil
	}
	contenders, err := r.contenders(ctx, platform)
	if err != nil {
		return false, 0, err
	}
	me := r.owner(s.lane)
	decision, err := r.settle(ctx, s.lane, me, contenders)
	switch {
	case errors.Is(err, objectstore.ErrPrecondition):
		return false, 0, reconcilekit.ErrAgain // Another lane was faster: see who has it now.
	case errors.Is(err, errForeign):
		s.conds.False(kind, v1alpha1.ReasonForeignObjects, err.Error())
		return false, claimRetry, nil
	case err != nil && holdsPrefixes(s.lane):
		// Held before, and nobody can have taken it: a record is only ever
		// written by its owner's operator.
		s.storageTrouble = err
		r.claims.note(s.lane.UID, s.now.Add(claimRetry-claimTrust))
		s.conds.True(kind, v1alpha1.ReasonClaimed, claimedMessage(platform))
		return true, claimRetry, nil
	case err != nil:
		s.conds.Unknown(kind, v1alpha1.ReasonPending, "the record of who holds "+platform+" cannot be read: "+firstLine(err))
		s.storageTrouble = err
		return false, 0, nil
	case !decision.HeldBy(me):
		s.conds.False(kind, v1alpha1.ReasonHeldByAnother, decision.Message(me))
		return false, claimRetry, nil
	}
	r.claims.note(s.lane.UID, s.now)
	s.conds.True(kind, v1alpha1.ReasonClaimed, claimedMessage(platform))
	return true, 0, nil
}

func claimedMessage(platform string) string {
	return fmt.Sprintf("this lane holds the prefixes of platform %s", platform)
}

func (r *Reconciler) reserved(platform string) (string, bool) {
	for _, name := range r.ReservedPlatforms {
		if name == platform {
			return platform + " is reserved by the operator's configuration; choose another platform", true
		}
	}
	return claim.Reserved(platform)
}

func (r *Reconciler) owner(lane *v1alpha1.PlatformLane) claim.Owner {
	return claim.Owner{Cluster: r.ClusterID, Namespace: lane.Namespace, Name: lane.Name, UID: string(lane.UID)}
}

// contenders are all lanes of this cluster that want the platform.
func (r *Reconciler) contenders(ctx context.Context, platform string) ([]claim.Contender, error) {
	var list v1alpha1.PlatformLaneList
	if err := r.Client.List(ctx, &list, client.MatchingFields{platformIndex: platform}); err != nil {
		return nil, fmt.Errorf("list the lanes of platform %s: %w", platform, err)
	}
	var out []claim.Contender
	for i := range list.Items {
		lane := &list.Items[i]
		out = append(out, claim.Contender{Owner: r.owner(lane), Created: lane.CreationTimestamp.Time, Deleting: !lane.DeletionTimestamp.IsZero()})
	}
	return out, nil
}

// errForeign: the prefixes hold objects that no lane published.
var errForeign = errors.New("objects that no lane published are below the lane's prefixes")

// settle reads the record, decides, and writes the record if it has to change.
func (r *Reconciler) settle(ctx context.Context, lane *v1alpha1.PlatformLane, me claim.Owner, contenders []claim.Contender) (claim.Decision, error) {
	record, etag, err := r.readClaim(ctx, lane.Spec.Platform)
	if err != nil {
		return claim.Decision{}, err
	}
	decision := claim.Decide(lane.Spec.Platform, record, contenders)
	if !decision.HeldBy(me) || !decision.Stale {
		return decision, nil
	}
	// A lane that has lost nothing but its record published them itself.
	if record == nil && lane.Spec.Adopt != v1alpha1.AdoptExisting && !holdsPrefixes(lane) {
		if err := r.refuseForeign(ctx, lane.Spec.Platform); err != nil {
			return claim.Decision{}, err
		}
	}
	body, err := claim.Record{Platform: lane.Spec.Platform, Owner: me, Since: r.Now()}.Encode()
	if err != nil {
		return claim.Decision{}, err
	}
	_, err = r.store().Put(ctx, layout.ClaimKey(lane.Spec.Platform), body, objectstore.PutOptions{
		ContentType: "application/json", CacheControl: "no-store", IfMatch: etag, IfNoneMatch: etag == "",
	})
	return decision, err
}

func (r *Reconciler) readClaim(ctx context.Context, platform string) (*claim.Record, string, error) {
	body, info, err := objectstore.ReadAll(ctx, r.store(), layout.ClaimKey(platform), claim.MaxRecordBytes)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	record, err := claim.Decode(platform, body)
	if err != nil {
		return nil, "", fmt.Errorf("%s in bucket %s: %w", layout.ClaimKey(platform), r.store().Bucket(), err)
	}
	return &record, info.ETag, nil
}

// refuseForeign looks for objects below the prefixes of a platform that nobody
// has held so far.
func (r *Reconciler) refuseForeign(ctx context.Context, platform string) error {
	for _, channel := range layout.Channels() {
		for _, prefix := range []string{layout.WheelPrefix(platform, channel), layout.LibtorchPrefix(platform, channel)} {
			for obj, err := range r.store().List(ctx, prefix) {
				if err != nil {
					return err
				}
				return fmt.Errorf("%w (%s in bucket %s); set spec.adopt to Existing to take them over, or remove them", errForeign, obj.Key, r.store().Bucket())
			}
		}
	}
	return nil
}

// recorded tells whom the record names: nobody, this lane or another. What is
// another's, this lane must not touch.
func (r *Reconciler) recorded(ctx context.Context, lane *v1alpha1.PlatformLane) (mine, another bool, err error) {
	record, _, err := r.readClaim(ctx, lane.Spec.Platform)
	if err != nil || record == nil {
		return false, false, err
	}
	owner, me := record.Owner, r.owner(lane)
	mine = owner.Cluster == me.Cluster && owner.Namespace == me.Namespace && owner.Name == me.Name
	return mine, !mine, nil
}

// release gives the platform up, so that another lane, of another cluster too,
// can take it.
func (r *Reconciler) release(ctx context.Context, lane *v1alpha1.PlatformLane) error {
	mine, _, err := r.recorded(ctx, lane)
	if err != nil || !mine {
		return err
	}
	if err := r.eraseClaim(ctx, lane.Spec.Platform); err != nil {
		return err
	}
	r.Recorder.Eventf(lane, nil, corev1.EventTypeNormal, "Released", "Release", "platform %s is free again", lane.Spec.Platform)
	return nil
}

// eraseClaim removes the record with its versions: some stores count a delete
// marker as an object and would refuse the next owner's conditional write.
func (r *Reconciler) eraseClaim(ctx context.Context, platform string) error {
	key := layout.ClaimKey(platform)
	for v, err := range r.store().ListVersions(ctx, key) {
		if err != nil {
			return err
		}
		if v.Key != key {
			continue
		}
		if err := r.store().DeleteVersion(ctx, key, v.ID); err != nil {
			return err
		}
	}
	return nil
}
