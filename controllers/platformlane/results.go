package platformlane

import (
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
	// blind is true if a channel was not even listed: its report says nothing
	// about its files.
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
}

func newResults() *results { return &results{byUID: map[types.UID]result{}} }

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
