// Package fake is a CDN in memory: it records what was asked of it, completes
// invalidations after a delay on an injected clock, keeps CloudFront's quotas,
// and fails where a test tells it to. It may import package cdn and the
// standard library only.
package fake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/cdn"
)

// distribution is the name in errors.
const distribution = "fake"

// CDN is a distribution in memory. The zero value is not usable; see [New].
type CDN struct {
	clock func() time.Time

	mu     sync.Mutex
	delay  time.Duration
	fault  func(op string) error
	after  func(op string) error
	all    []Request
	calls  map[string]int
	onDrop func(paths []string)
}

var _ cdn.CDN = (*CDN)(nil)

// Request is an invalidation that was accepted.
type Request struct {
	ID, Token string
	Paths     []string
	Created   time.Time
	// ready is when it completes.
	ready time.Time
}

// New makes a distribution on a clock (the system's when nil). Invalidations
// complete at once; see SetDelay.
func New(now func() time.Time) *CDN {
	if now == nil {
		now = time.Now
	}
	return &CDN{clock: now, calls: map[string]int{}}
}

// SetDelay sets how long later invalidations take.
func (c *CDN) SetDelay(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = d
}

// FailBefore sets a fault that strikes before a call has any effect; nil
// removes it. op is a name in package cdn. An error that matches none of that
// package's sentinel errors is ErrUnavailable.
func (c *CDN) FailBefore(fault func(op string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fault = fault
}

// FailAfter sets a fault that strikes after the effect: the answer is lost.
func (c *CDN) FailAfter(fault func(op string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.after = fault
}

// OnAccept calls f with the paths of every invalidation that is accepted, for a
// test's own cache to drop them.
func (c *CDN) OnAccept(f func(paths []string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onDrop = f
}

// Requests returns the accepted invalidations in order.
func (c *CDN) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// Paths returns all paths that were accepted, in order.
func (c *CDN) Paths() []string {
	var paths []string
	for _, request := range c.Requests() {
		paths = append(paths, request.Paths...)
	}
	return paths
}

// Calls tells how often op was called.
func (c *CDN) Calls(op string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[op]
}

// Invalidate records a request.
func (c *CDN) Invalidate(ctx context.Context, token string, paths []string) (cdn.Invalidation, error) {
	return c.call(ctx, cdn.OpInvalidate, func() (cdn.Invalidation, error) {
		if err := cdn.Check(token, paths); err != nil {
			return cdn.Invalidation{}, fmt.Errorf("%w: %w", cdn.ErrInvalid, err)
		}
		for _, earlier := range c.all {
			if earlier.Token != token {
				continue
			}
			if !slices.Equal(earlier.Paths, paths) {
				return cdn.Invalidation{}, fmt.Errorf("%w: the token was used for other paths", cdn.ErrInvalid)
			}
			return c.state(earlier), nil
		}
		if c.overQuota(paths) {
			return cdn.Invalidation{}, cdn.ErrThrottled
		}
		now := c.clock().UTC()
		request := Request{
			ID: fmt.Sprintf("I%06d", len(c.all)+1), Token: token, Paths: slices.Clone(paths),
			Created: now, ready: now.Add(c.delay),
		}
		c.all = append(c.all, request)
		if c.onDrop != nil {
			c.onDrop(request.Paths)
		}
		return c.state(request), nil
	})
}

// Status tells how far a request is.
func (c *CDN) Status(ctx context.Context, id string) (cdn.Invalidation, error) {
	return c.call(ctx, cdn.OpStatus, func() (cdn.Invalidation, error) {
		for _, request := range c.all {
			if request.ID == id {
				return c.state(request), nil
			}
		}
		return cdn.Invalidation{}, cdn.ErrNotFound
	})
}

func (c *CDN) call(ctx context.Context, op string, effect func() (cdn.Invalidation, error)) (cdn.Invalidation, error) {
	if err := ctx.Err(); err != nil {
		return cdn.Invalidation{}, failure(op, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[op]++
	if c.fault != nil {
		if err := c.fault(op); err != nil {
			return cdn.Invalidation{}, failure(op, err)
		}
	}
	out, err := effect()
	if c.after != nil {
		if lost := c.after(op); lost != nil {
			return cdn.Invalidation{}, failure(op, lost)
		}
	}
	if err != nil {
		return cdn.Invalidation{}, failure(op, err)
	}
	return out, nil
}

func (c *CDN) state(request Request) cdn.Invalidation {
	out := cdn.Invalidation{ID: request.ID, State: cdn.InProgress, Created: request.Created}
	if !c.clock().Before(request.ready) {
		out.State = cdn.Completed
	}
	return out
}

// overQuota tells whether paths would be more than may be in progress.
func (c *CDN) overQuota(paths []string) bool {
	wildcards, total := 0, 0
	count := func(paths []string) {
		total += len(paths)
		for _, path := range paths {
			if path[len(path)-1] == '*' {
				wildcards++
			}
		}
	}
	count(paths)
	for _, request := range c.all {
		if c.state(request).State == cdn.InProgress {
			count(request.Paths)
		}
	}
	return wildcards > cdn.MaxWildcards || total > cdn.MaxPaths
}

func failure(op string, err error) error {
	out := &cdn.Error{Op: op, Distribution: distribution, Kind: cdn.ErrUnavailable}
	for _, kind := range []error{
		cdn.ErrThrottled, cdn.ErrDenied, cdn.ErrNoDistribution, cdn.ErrNotFound, cdn.ErrInvalid, cdn.ErrUnavailable,
	} {
		if errors.Is(err, kind) {
			out.Kind = kind
			break
		}
	}
	if err != out.Kind { //nolint:errorlint // what wraps the sentinel has more to say than the sentinel itself
		out.Cause = err
	}
	return out
}
