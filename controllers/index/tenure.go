package index

import (
	"context"
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
	// judging holds one token for each of the platform's files that is being
	// judged.
	judging chan struct{}
	// The rest is guarded by the engine's mutex: how many retirements there
	// were, and the channels that were not synced since the last one.
	retirements int
	untouched   map[v1alpha1.ChannelName]bool
}

func (e *Engine) tenure(platform string) *tenure {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tenures[platform] == nil {
		// No lane may keep the others from being judged.
		share := (e.limits.FilesAtOnce + 1) / 2
		e.tenures[platform] = &tenure{untouched: map[v1alpha1.ChannelName]bool{}, judging: make(chan struct{}, share)}
	}
	return e.tenures[platform]
}

// term is one Sync's part of a tenure.
type term struct {
	e     *Engine
	t     *tenure
	begun int
}

// beginSync notes that a channel is synced. ok is false for the first Sync
// after a retirement.
func (e *Engine) beginSync(platform string, channel v1alpha1.ChannelName) (_ term, ok bool) {
	t := e.tenure(platform)
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.untouched[channel] {
		delete(t.untouched, channel)
		return term{}, false
	}
	return term{e, t, t.retirements}, true
}

// ended is true once the lane was retired.
func (t term) ended() bool {
	t.e.mu.Lock()
	defer t.e.mu.Unlock()
	return t.t.retirements != t.begun
}

// write is called before a Sync writes anything, and done when it has.
func (t term) write() (done func(), err error) {
	t.t.writing.RLock()
	if t.ended() {
		t.t.writing.RUnlock()
		return nil, ErrRetired
	}
	return t.t.writing.RUnlock, nil
}

// place waits for a place among the files that are judged at once. ok is false
// when there is none in time.
func (t term) place(ctx context.Context) (release func(), ok bool) {
	for i, slots := range []chan struct{}{t.t.judging, t.e.jobs.slots} {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-t.t.judging
			}
			return nil, false
		}
	}
	return func() { <-t.e.jobs.slots; <-t.t.judging }, true
}

// beginRetirement ends the tenure of the lane: Syncs that are under way write
// nothing any more, and files that are judged behind them are let go.
func (e *Engine) beginRetirement(platform string) (done func()) {
	t := e.tenure(platform)
	t.writing.Lock()
	e.mu.Lock()
	defer e.mu.Unlock()
	t.retirements++
	e.jobs.cancel(platform)
	for _, channel := range layout.Channels() {
		t.untouched[channel] = true
		e.memory.setRest(channelID{platform, channel}, rest{})
	}
	return t.writing.Unlock
}
