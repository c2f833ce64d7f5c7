package platformlane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// storage reads what is known of the stores and sets StorageReady. It calls
// none. A store in trouble does not keep the other steps back.
func (r *Reconciler) storage(s *scope) {
	const kind = v1alpha1.StorageReadyCondition
	found := r.Health.get()
	if found.reason == "" && s.storageTrouble != nil {
		found = finding{reason: storageReason(s.storageTrouble), message: firstLine(s.storageTrouble)}
	}
	switch {
	case found.reason != "":
		s.conds.False(kind, found.reason, found.message)
	case found.message != "":
		s.conds.True(kind, v1alpha1.ReasonStorageReachable, found.message)
	case !s.conds.Is(kind):
		s.conds.Unknown(kind, v1alpha1.ReasonPending, "the stores are being looked at")
	}
}

const (
	// storeTrust is how often a store that is well is looked at.
	storeTrust = 5 * time.Minute
	// storeRetry is how often a store in trouble is looked at.
	storeRetry = 10 * time.Second
)

// Health looks at the stores, for all lanes together and beside the reconcilers:
// a thousand lanes ask a bucket no more often than one, and none of them waits
// for a store that does not answer.
type Health struct {
	Engine *index.Engine
	Client client.Reader
	// Wake takes all lanes when something has changed.
	Wake chan<- event.GenericEvent

	mu   sync.Mutex
	last finding
}

// finding is what is wrong; an empty reason with a message is good news.
type finding struct{ reason, message string }

// NeedLeaderElection makes it run beside the reconcilers, in one replica.
func (h *Health) NeedLeaderElection() bool { return true }

// Start looks until the context ends.
func (h *Health) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		pause := storeTrust
		h.Look(ctx)
		if h.get().reason != "" {
			pause = storeRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// Look asks every store now and wakes the lanes if the answer is another one.
func (h *Health) Look(ctx context.Context) {
	now := h.ask(ctx)
	if ctx.Err() != nil {
		return // The look was cut short and says nothing.
	}
	h.mu.Lock()
	// The same trouble in other words (a request id) is no news.
	changed := h.last.reason != now.reason || h.last.message == ""
	if changed {
		h.last = now
	}
	h.mu.Unlock()
	if changed {
		h.wake(ctx)
	}
}

func (h *Health) get() finding {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *Health) ask(ctx context.Context) finding {
	targets := h.Engine.Targets()
	for i, target := range targets {
		versioning, err := target.Store.Versioning(ctx)
		if err != nil {
			return finding{storageReason(err), fmt.Sprintf("%s: %s", target.Name, firstLine(err))}
		}
		if i == 0 && versioning != objectstore.VersioningEnabled {
			return finding{v1alpha1.ReasonBucketUnversioned, fmt.Sprintf(
				"bucket %s does not keep old versions (versioning is %s), so a quarantine has to move bytes instead of hiding them; enable versioning on it",
				target.Store.Bucket(), versioning)}
		}
	}
	return finding{message: fmt.Sprintf("bucket %s answers and keeps old versions", targets[0].Store.Bucket())}
}

func (h *Health) wake(ctx context.Context) {
	var lanes v1alpha1.PlatformLaneList
	if err := h.Client.List(ctx, &lanes); err != nil {
		log.FromContext(ctx).Error(err, "wake the lanes after a change of a store; they look again by themselves")
		return
	}
	for i := range lanes.Items {
		select {
		case h.Wake <- event.GenericEvent{Object: &lanes.Items[i]}:
		case <-ctx.Done():
			return
		}
	}
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
