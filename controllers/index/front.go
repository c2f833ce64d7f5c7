package index

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// PublishFront brings the root page of a lane that publishes no releases up to
// date: whl/<platform>/ is where people look first, and there they find the
// lane's other channels. For a lane that does publish releases Sync writes it.
// It costs two listings on every store and nothing else while nothing changes.
//
// The page has no catalog that a purge could be owed in. A crash between
// writing and purging it therefore leaves the old page in the caches until it
// expires, after a day at most; installers have no use for it.
func (e *Engine) PublishFront(ctx context.Context, lane Lane) error {
	t, ok := e.beginSync(lane.Platform, v1alpha1.ChannelRelease)
	if !ok {
		return nil // Perhaps the lane is gone. If it is not, the next call does it.
	}
	done, err := t.write()
	if err != nil {
		return err
	}
	defer done()
	var errs []error
	for _, target := range e.targets {
		if err := e.publishFront(ctx, target, lane); err != nil {
			errs = append(errs, fmt.Errorf("publish the root page of %s on %s: %w", lane.Platform, target.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) publishFront(ctx context.Context, target Target, lane Lane) error {
	const channel = v1alpha1.ChannelRelease
	html, json := layout.RootPages(lane.Platform, channel)
	seen := map[string]string{}
	for obj, err := range target.Store.List(ctx, strings.TrimSuffix(html, "html")) {
		if err != nil {
			return err
		}
		seen[obj.Key] = obj.ETag
	}
	root, err := e.rootAsStored(ctx, lane, channel)
	if err != nil {
		return err
	}
	wrote, err := e.publishRoot(ctx, target, lane, channel, root, seen)
	if err != nil || !wrote || target.Name != e.Primary().Name {
		return err
	}
	if _, err := e.cdn.Invalidate(ctx, rand.Text(), cdn.PathsFor(html, json)); err != nil {
		return fmt.Errorf("purge the CDN: %w", err)
	}
	return nil
}
