package index

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// jobs are the files that are being judged. A large file is hashed for minutes:
// its job outlives the Sync that began it, and a later one takes the verdict.
type jobs struct {
	// slots holds one token for each file that is being judged.
	slots chan struct{}
	// closed ends them all.
	closed context.Context //nolint:containedctx // it is the engine's life, not a request's
	end    context.CancelFunc

	mu    sync.Mutex
	byKey map[string]*job
	all   sync.WaitGroup
}

// job judges one stored file.
type job struct {
	candidate
	// inputs are what the lane said when it began.
	inputs digest
	cancel context.CancelFunc
	// done is closed when verdict and err are set.
	done    chan struct{}
	verdict verdict
	err     error
}

func newJobs(atOnce int) *jobs {
	ctx, cancel := context.WithCancel(context.Background())
	return &jobs{slots: make(chan struct{}, atOnce), closed: ctx, end: cancel, byKey: map[string]*job{}}
}

// close ends all jobs and waits for their end.
func (j *jobs) close() {
	j.mu.Lock()
	j.end()
	j.mu.Unlock()
	j.all.Wait()
}

// find is the job on exactly these bytes under the same rules, or nil. One on
// other bytes is of no use to anybody: it ends.
func (j *jobs) find(c candidate, inputs digest) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	found := j.byKey[c.key]
	if found == nil {
		return nil
	}
	if found.obj.etag == c.obj.etag && found.inputs == inputs && found.hasSidecar(c.obj.metadata) {
		return found
	}
	found.cancel()
	delete(j.byKey, c.key)
	return nil
}

// hasSidecar tells whether a METADATA file is the one that the job found, or
// made.
func (b *job) hasSidecar(etag string) bool {
	return etag == b.obj.metadata || b.finished() && etag == b.verdict.file.MetadataETag
}

func (b *job) finished() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// start begins a job. release is called when it has ended. What it reads was made
// by others: should that bring it down, the file waits alone. It goes on when the
// caller's context ends, until its own time is up or the engine is closed; after
// that none is begun, and it returns nil.
func (j *jobs) start(ctx context.Context, c candidate, inputs digest, work func(context.Context) (verdict, error), release func()) *job {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed.Err() != nil {
		release()
		return nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(j.closed, cancel) //nolint:contextcheck // the engine's end ends it, too
	b := &job{candidate: c, inputs: inputs, cancel: cancel, done: make(chan struct{})}
	j.byKey[c.key] = b
	j.all.Go(func() {
		defer close(b.done)
		defer release()
		defer cancel()
		defer stop()
		defer func() {
			if defect := recover(); defect != nil {
				b.err = fmt.Errorf("it brought its own judgement down, which is a defect of the operator; please report it: %v", defect)
			}
		}()
		b.verdict, b.err = work(ctx)
	})
	return b
}

// drop forgets a job whose verdict was taken.
func (j *jobs) drop(b *job) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.byKey[b.key] == b {
		delete(j.byKey, b.key)
	}
}

// prune ends the jobs in a folder that nobody waits for any more: their file is
// gone, or was replaced.
func (j *jobs) prune(folder string, wanted map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, b := range j.byKey {
		name, ok := strings.CutPrefix(key, folder)
		if ok && !strings.Contains(name, "/") && !wanted[key] {
			b.cancel()
			delete(j.byKey, key)
		}
	}
}

// cancel ends all jobs of a platform.
func (j *jobs) cancel(platform string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, b := range j.byKey {
		if b.ref.Platform == platform {
			b.cancel()
			delete(j.byKey, key)
		}
	}
}
