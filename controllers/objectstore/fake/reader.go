package fake

import (
	"context"
	"errors"
	"io"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// reader is the body of a Get. It asks the faults once, when half of the bytes
// are read, and fails when the context of the Get ends.
type reader struct {
	ctx   context.Context
	store *Store
	key   string
	rest  []byte
	// breakAt is how many bytes may be read before the faults are asked;
	// negative once they were.
	breakAt int
	closed  bool
	err     error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, errors.New("read from a closed body")
	}
	if r.err == nil && r.ctx.Err() != nil {
		r.err = r.store.fail(objectstore.OpGet, r.key, r.ctx.Err())
	}
	if r.err == nil && r.breakAt == 0 {
		r.err = r.askFaults()
		r.breakAt = -1
	}
	if r.err != nil {
		return 0, r.err
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if r.breakAt > 0 && len(p) > r.breakAt {
		p = p[:r.breakAt]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	if r.breakAt > 0 {
		r.breakAt -= n
	}
	return n, nil
}

func (r *reader) Close() error {
	r.closed = true
	return nil
}

func (r *reader) askFaults() error {
	r.store.mu.Lock()
	before, after := r.store.before, r.store.after
	r.store.mu.Unlock()
	for _, fault := range []Fault{before, after} {
		if fault == nil {
			continue
		}
		if err := fault(OpBody, r.key); err != nil {
			return r.store.fail(objectstore.OpGet, r.key, err)
		}
	}
	return nil
}
