package cdn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultWindow is how long a request waits for others to join it. It is
	// short against the seconds that an invalidation takes.
	DefaultWindow = 250 * time.Millisecond

	// sendTimeout bounds one merged request. It outlives its callers.
	sendTimeout = time.Minute
	// rememberedTokens bounds the memory for repeated requests.
	rememberedTokens = 4096
)

// Coalescer is a [CDN] that merges requests that arrive close to each other
// into one, within CloudFront's quotas: a hundred yanks at once cost a handful
// of paths. Each caller gets the invalidation that covers its paths.
//
// A caller that repeats token and paths gets the invalidation it was given
// before. That memory is bounded and ends with the process; what is forgotten
// is asked for once more, which costs a path and changes nothing.
type Coalescer struct {
	next   CDN
	window time.Duration

	mu      sync.Mutex
	waiting *batch
	known   map[string]Invalidation
	order   []string
}

var _ CDN = (*Coalescer)(nil)

// batch is what one merged request will ask for. done is closed once the
// result is set.
type batch struct {
	requests []string
	paths    []string
	done     chan struct{}
	result   Invalidation
	err      error
}

// NewCoalescer merges requests to next that arrive within window
// ([DefaultWindow] when zero).
func NewCoalescer(next CDN, window time.Duration) *Coalescer {
	if window <= 0 {
		window = DefaultWindow
	}
	return &Coalescer{next: next, window: window, known: map[string]Invalidation{}}
}

// Invalidate joins the next merged request and waits until it was sent. When
// ctx ends first the request may be sent all the same.
func (c *Coalescer) Invalidate(ctx context.Context, token string, paths []string) (Invalidation, error) {
	if err := Check(token, paths); err != nil {
		return Invalidation{}, &Error{Op: OpInvalidate, Kind: ErrInvalid, Cause: err}
	}
	request := fingerprint(token, paths)
	c.mu.Lock()
	if known, found := c.known[request]; found {
		c.mu.Unlock()
		return known, nil
	}
	b := c.waiting
	if b == nil {
		b = &batch{done: make(chan struct{})}
		c.waiting = b
		time.AfterFunc(c.window, func() { c.send(context.WithoutCancel(ctx), b) })
	}
	b.requests = append(b.requests, request)
	b.paths = append(b.paths, paths...)
	c.mu.Unlock()

	select {
	case <-b.done:
		return b.result, b.err
	case <-ctx.Done():
		return Invalidation{}, &Error{Op: OpInvalidate, Kind: ErrUnavailable, Cause: ctx.Err()}
	}
}

// Status asks the CDN.
func (c *Coalescer) Status(ctx context.Context, id string) (Invalidation, error) {
	return c.next.Status(ctx, id)
}

func (c *Coalescer) send(ctx context.Context, b *batch) {
	c.mu.Lock()
	c.waiting = nil
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()

	// The same requests make the same token, in whatever order they came.
	slices.Sort(b.requests)
	paths := Compact(b.paths)
	b.result, b.err = c.next.Invalidate(ctx, fingerprint(strings.Join(slices.Compact(b.requests), " "), paths), paths)
	if b.err == nil {
		c.remember(b)
	}
	close(b.done)
}

func (c *Coalescer) remember(b *batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range b.requests {
		if _, found := c.known[request]; !found {
			c.order = append(c.order, request)
		}
		c.known[request] = b.result
	}
	for len(c.order) > rememberedTokens {
		delete(c.known, c.order[0])
		c.order = c.order[1:]
	}
}

// fingerprint is a token for a request: 64 hexadecimal digits.
func fingerprint(token string, paths []string) string {
	sum := sha256.New()
	// Hash.Write never fails. Quoting keeps the parts apart.
	_, _ = fmt.Fprintf(sum, "%q", token)
	for _, path := range paths {
		_, _ = fmt.Fprintf(sum, " %q", path)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
