package platformlane

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pytorch/platform-lane-operator/controllers/index"
)

// result is what the last syncs of a lane's channels found.
type result struct {
	reports []index.Report
	// err joins what failed on the primary store.
	err error
	// blind is true if a channel could not even be listed: its report says
	// nothing about its files.
	blind bool
	// generation of the spec that was synced.
	generation int64
}

func (r result) mirrorErr() error {
	var errs []error
	for _, report := range r.reports {
		errs = append(errs, report.MirrorErr)
	}
	return errors.Join(errs...)
}

func (r result) purgeErr() error {
	var errs []error
	for _, report := range r.reports {
		errs = append(errs, report.PurgeErr)
	}
	return errors.Join(errs...)
}

func (r result) pending() (n int) {
	for _, report := range r.reports {
		n += report.Pending
	}
	return n
}

// results hands what the Indexer found to the Reconciler. It is lost with the
// process: the next one syncs every lane anyway.
type results struct {
	mu    sync.Mutex
	byUID map[types.UID]result
	// syncing are the lanes that the Indexer works on now, and how to stop it. They
	// go by name: they stand here before the Indexer reads them.
	syncing map[types.NamespacedName]context.CancelFunc
}

func newResults() *results {
	return &results{byUID: map[types.UID]result{}, syncing: map[types.NamespacedName]context.CancelFunc{}}
}

// begin notes that a lane is being synced, until end is called.
func (r *results) begin(ctx context.Context, lane types.NamespacedName) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.syncing[lane] = cancel
	return ctx, func() {
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.syncing, lane)
	}
}

// halt stops the sync of a lane and says whether there was one. Until it has
// ended it could list again what is being taken off the index.
func (r *results) halt(lane types.NamespacedName) (running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cancel, running := r.syncing[lane]
	if running {
		cancel()
	}
	return running
}

func (r *results) get(uid types.UID) (result, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	got, ok := r.byUID[uid]
	return got, ok
}

func (r *results) set(uid types.UID, got result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byUID[uid] = got
}

func (r *results) drop(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byUID, uid)
}
