package platformlane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

const (
	// storeTrust is how long a store that was found well is believed.
	storeTrust = 5 * time.Minute
	// storeRetry is how often a store in trouble is looked at again, for all
	// lanes together.
	storeRetry = 10 * time.Second
)

// storage tells whether the stores can be used. It sets StorageReady. A store in
// trouble does not keep the other steps back.
func (r *Reconciler) storage(ctx context.Context, s *scope) time.Duration {
	const kind = v1alpha1.StorageReadyCondition
	reason, message := r.health.check(ctx, r.Engine.Targets(), s.now)
	if reason == "" && s.storageTrouble != nil {
		reason, message = storageReason(s.storageTrouble), firstLine(s.storageTrouble)
	}
	if reason != "" {
		s.conds.False(kind, reason, message)
		return storeRetry
	}
	s.conds.True(kind, v1alpha1.ReasonStorageReachable, message)
	return 0
}

// health is what is known of the stores, shared by all lanes: a thousand lanes
// ask a bucket no more often than one.
type health struct {
	mu              sync.Mutex
	checked         time.Time
	reason, message string
}

// check looks at every store unless it has done so lately. It returns an empty
// reason when all is well.
func (h *health) check(ctx context.Context, targets []index.Target, now time.Time) (reason, message string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	trust := storeTrust
	if h.reason != "" {
		trust = storeRetry - time.Second
	}
	if !h.checked.IsZero() && now.Sub(h.checked) < trust {
		return h.reason, h.message
	}
	h.reason, h.message = "", fmt.Sprintf("bucket %s answers and keeps old versions", targets[0].Store.Bucket())
	for i, target := range targets {
		versioning, err := target.Store.Versioning(ctx)
		switch {
		case err != nil:
			h.reason, h.message = storageReason(err), fmt.Sprintf("%s: %s", target.Name, firstLine(err))
		case i == 0 && versioning != objectstore.VersioningEnabled:
			h.reason = v1alpha1.ReasonBucketUnversioned
			h.message = fmt.Sprintf("bucket %s does not keep old versions (versioning is %s), so a quarantine has to move bytes instead of hiding them; enable versioning on it", target.Store.Bucket(), versioning)
		default:
			continue
		}
		break
	}
	h.checked = now
	return h.reason, h.message
}

// storageReason is the condition's reason for an error of a store.
func storageReason(err error) string {
	switch {
	case errors.Is(err, objectstore.ErrNoBucket):
		return v1alpha1.ReasonBucketMissing
	case errors.Is(err, objectstore.ErrDenied):
		return v1alpha1.ReasonStorageDenied
	default:
		return v1alpha1.ReasonStorageUnavailable
	}
}
