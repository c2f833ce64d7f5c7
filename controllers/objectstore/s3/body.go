package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// errStalled is why a body was given up.
var errStalled = errors.New("the connection stalled")

// body is the bytes of a Get: it gives up when the next ones do not come, and
// its errors are the port's.
type body struct {
	store  *store
	open   context.Context
	cancel context.CancelCauseFunc
	key    string
	bytes  io.ReadCloser
	// left is how many bytes the answer still owes.
	left  int64
	stall *time.Timer
	err   error
}

func (s *store) newBody(open context.Context, cancel context.CancelCauseFunc, key string, bytes io.ReadCloser, length int64) *body {
	stall := time.AfterFunc(s.cfg.StallTimeout, func() { cancel(errStalled) })
	stall.Stop()
	return &body{store: s, open: open, cancel: cancel, key: key, bytes: bytes, left: length, stall: stall}
}

func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	// The clock runs only while we wait for the server, not while the caller
	// works on what it has.
	b.stall.Reset(b.store.cfg.StallTimeout)
	n, err := b.bytes.Read(p)
	b.stall.Stop()
	b.left -= int64(n)
	ended := err == io.EOF //nolint:errorlint // a Reader ends with io.EOF itself; a wrapped one is a broken connection
	switch {
	case b.left < 0:
		err, ended = errors.New("the server sent more bytes than it announced"), false
	case ended && b.left > 0:
		err, ended = io.ErrUnexpectedEOF, false
	}
	if err != nil && !ended {
		if errors.Is(context.Cause(b.open), errStalled) {
			err = fmt.Errorf("%w: %w", errStalled, err)
		}
		err = b.store.wrap(objectstore.OpGet, b.key, err)
	}
	b.err = err
	return n, err
}

func (b *body) Close() error {
	b.stall.Stop()
	b.cancel(nil)
	return b.bytes.Close()
}
