package cdn

import (
	"context"
	"time"
)

// The quotas of CloudFront for invalidations in progress, per distribution, and
// for one path.
const (
	MaxWildcards = 15
	MaxPaths     = 3000
	// MaxToken is the longest token in bytes.
	MaxToken = 128
)

// CDN takes stale copies out of the edge caches. Implementations are safe for
// concurrent use, bound every call in time and return errors that match one of
// this package's sentinel errors.
type CDN interface {
	// Invalidate asks for the copies of paths to be dropped, everywhere and
	// without waiting for it. A path is absolute ("/whl/spyre/torch/"); a
	// trailing * stands for anything. token, of at most [MaxToken] bytes, makes
	// a repetition the same request: with the same paths it returns the
	// invalidation that is there already.
	//
	// ErrThrottled when too many are in progress: nothing was asked for, repeat
	// it later.
	Invalidate(ctx context.Context, token string, paths []string) (Invalidation, error)

	// Status tells how far the invalidation is. ErrNotFound when the CDN does
	// not know it (any more): ask for it again.
	Status(ctx context.Context, id string) (Invalidation, error)
}

// Invalidation is a purge that was asked for.
type Invalidation struct {
	ID    string
	State State
	// Created is when the CDN accepted it.
	Created time.Time
}

// State is how far an invalidation is.
type State string

// The states of an invalidation.
const (
	InProgress State = "InProgress"
	// Completed: no edge serves a copy that is older than the invalidation.
	Completed State = "Completed"
)

// None is for deployments without a CDN in front of the bucket: there is never
// a copy to drop.
type None struct{}

// noneID marks invalidations that None has "done".
const noneID = "no-cdn"

var _ CDN = None{}

// Invalidate reports completion at once.
func (None) Invalidate(ctx context.Context, _ string, _ []string) (Invalidation, error) {
	return Invalidation{ID: noneID, State: Completed}, ctx.Err()
}

// Status reports completion.
func (None) Status(ctx context.Context, id string) (Invalidation, error) {
	return Invalidation{ID: id, State: Completed}, ctx.Err()
}
