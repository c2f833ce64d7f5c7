package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// PublishRemovals writes the public feed of what the lane took back.
func (e *Engine) PublishRemovals(ctx context.Context, platform string) error {
	var errs []error
	for _, target := range e.targets {
		if err := e.publishRemovals(ctx, target, platform); err != nil {
			errs = append(errs, fmt.Errorf("publish %s on %s: %w", layout.RemovalsKey(platform), target.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) publishRemovals(ctx context.Context, target Target, platform string) error {
	for range maxAttempts {
		// The feed is seen before the catalogs are read; see the package comment.
		seen, err := look(ctx, target, layout.RemovalsKey(platform))
		if err != nil {
			return err
		}
		catalogs, err := e.Catalogs(ctx, platform)
		if err != nil {
			return err
		}
		feed := []pages.Page{pages.Removals(platform, pages.RemovalsOf(catalogs))}
		stale, err := e.differing(ctx, target, feed, seen)
		if err != nil {
			return err
		}
		if _, err = e.write(ctx, target, stale, seen); !errors.Is(err, objectstore.ErrPrecondition) {
			return err
		}
	}
	return ErrContended
}
