package platformlane

import (
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pytorch/platform-lane-operator/controllers/index"
)

// result is what the last syncs of a lane's channels found.
type result struct {
	lane    types.NamespacedName
	reports []index.Report
	// err joins what failed on the primary store.
	err error
	// troubles say what stands in the way of dependencies, by project.
	troubles map[string]string
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

func (r result) removalErr() error {
	var errs []error
	for _, report := range r.reports {
		errs = append(errs, report.RemovalErr)
	}
	return errors.Join(errs...)
}

func (r result) pending() (n int) {
	for _, report := range r.reports {
		n += report.Pending
	}
	return n
}

// background counts the pending files that are being judged behind the syncs.
func (r result) background() (n int) {
	for _, report := range r.reports {
		n += report.Background
	}
	return n
}

// progress says how far the syncs have come.
func (r result) progress() string {
	judged, found := 0, 0
	for _, report := range r.reports {
		judged, found = judged+report.Judged, found+report.ToJudge
	}
	if found == 0 {
		return fmt.Sprintf("%d files are looked at once more", r.pending())
	}
	return fmt.Sprintf("%d of %d files judged", judged, found)
}

// results hands what the Indexer found to the Reconciler. It is lost with the
// process: the next one syncs every lane anyway.
type results struct {
	mu    sync.Mutex
	byUID map[types.UID]result
	// retired is what retention did of which nobody was told yet.
	retired map[types.UID]retired
}

// retired is what retention took off the index, and whose bytes it removed.
type retired struct{ expired, removed index.Files }

func newResults() *results {
	return &results{byUID: map[types.UID]result{}, retired: map[types.UID]retired{}}
}

// takeRetired hands out what retention did since it was last asked.
func (r *results) takeRetired(uid types.UID) retired {
	r.mu.Lock()
	defer r.mu.Unlock()
	did := r.retired[uid]
	delete(r.retired, uid)
	return did
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
	did := r.retired[uid]
	for _, report := range got.reports {
		did.expired.Join(report.Expired)
		did.removed.Join(report.Removed)
	}
	if did.expired.Count+did.removed.Count > 0 {
		r.retired[uid] = did
	}
}

func (r *results) drop(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byUID, uid)
	delete(r.retired, uid)
}
