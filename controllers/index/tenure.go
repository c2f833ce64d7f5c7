package index

import (
	"errors"
	"sync"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// ErrRetired is returned by a Sync whose lane was retired meanwhile. Going on
// would list the files of a lane that is gone, and nobody would come after it
// to take them off again.
var ErrRetired = errors.New("the lane was retired meanwhile; nothing more of it is listed")

// tenure keeps the Syncs of one platform and its retirement apart. A Sync may
// judge files for minutes; only while it writes does a retirement wait for it.
type tenure struct {
	// writing is held for reading by a Sync that writes, for writing by a
	// retirement.
	writing sync.RWMutex
	// The rest is guarded by the engine's mutex: how many retirements there
	// were, and the channels that were not synced since the last one.
	retirements int
	untouched   map[v1alpha1.ChannelName]bool
}

func (e *Engine) tenure(platform string) *tenure {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tenures[platform] == nil {
		e.tenures[platform] = &tenure{untouched: map[v1alpha1.ChannelName]bool{}}
	}
	return e.tenures[platform]
}

// beginSync notes that a channel is synced. ok is false for the first Sync
// after a retirement. The Sync calls write before it writes anything, and done
// when it has.
func (e *Engine) beginSync(platform string, channel v1alpha1.ChannelName) (write func() (done func(), err error), ok bool) {
	t := e.tenure(platform)
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.untouched[channel] {
		delete(t.untouched, channel)
		return nil, false
	}
	begun := t.retirements
	return func() (func(), error) {
		t.writing.RLock()
		e.mu.Lock()
		defer e.mu.Unlock()
		if t.retirements != begun {
			t.writing.RUnlock()
			return nil, ErrRetired
		}
		return t.writing.RUnlock, nil
	}, true
}

// beginRetirement ends the tenure of the lane: Syncs that are under way write
// nothing any more.
func (e *Engine) beginRetirement(platform string) (done func()) {
	t := e.tenure(platform)
	t.writing.Lock()
	e.mu.Lock()
	defer e.mu.Unlock()
	t.retirements++
	for _, channel := range layout.Channels() {
		t.untouched[channel] = true
	}
	return t.writing.Unlock
}
