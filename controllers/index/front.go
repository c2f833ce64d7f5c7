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
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// PublishFront brings the root page of a lane that publishes no releases up to
// date: whl/<platform>/ is where people look first, and there they find the
// lane's other channels. For a lane that does publish releases Sync writes it.
// It costs two listings on every store and nothing else while nothing changes.
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
	return e.publishFront(ctx, lane, v1alpha1.ChannelRelease, true)
}

// publishFront brings the root page of a channel without projects up to date on
// every store. anew is false if a store that has none need not get one.
func (e *Engine) publishFront(ctx context.Context, lane Lane, channel v1alpha1.ChannelName, anew bool) error {
	var errs []error
	for _, target := range e.targets {
		if err := e.publishFrontOn(ctx, target, lane, channel, anew); err != nil {
			errs = append(errs, fmt.Errorf("publish the root page of %s (%s) on %s: %w", lane.Platform, channel, target.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) publishFrontOn(ctx context.Context, target Target, lane Lane, channel v1alpha1.ChannelName, anew bool) error {
	html, json := layout.RootPages(lane.Platform, channel)
	seen := map[string]string{}
	for obj, err := range target.Store.List(ctx, strings.TrimSuffix(html, "html")) {
		if err != nil {
			return err
		}
		seen[obj.Key] = obj.ETag
	}
	if !anew && seen[html] == "" && seen[json] == "" {
		return nil
	}
	etags, owed, err := e.listCatalogs(ctx, lane.Platform, channel)
	if err != nil {
		return err
	}
	found, broken, err := e.readCatalogs(ctx, lane.Platform, channel, etags)
	if err != nil {
		return err
	}
	root := e.root(lane, channel, inOrder(found), sortedKeys(broken))
	if target.Name != e.Primary().Name {
		_, err := e.publishRoot(ctx, target, lane, channel, root, seen)
		return err
	}
	if !owed {
		owed, err = e.oweFront(ctx, target, lane.Platform, channel, root, seen)
	}
	if err == nil {
		_, err = e.publishRoot(ctx, target, lane, channel, root, seen)
	}
	if err != nil || !owed {
		return err
	}
	return e.purgeFront(ctx, lane.Platform, channel)
}

// oweFront notes that the CDN has to drop a root page, before the page is
// written. There is no catalog that the debt could stand in, so an object stands
// for it.
func (e *Engine) oweFront(ctx context.Context, target Target, platform string, channel v1alpha1.ChannelName, root []pages.Page, seen map[string]string) (owed bool, err error) {
	stale, err := e.differing(ctx, target, root, seen)
	if err != nil || len(stale) == 0 {
		return false, err
	}
	_, err = target.Store.Put(ctx, layout.RootDebtKey(platform, channel), nil, objectstore.PutOptions{CacheControl: "no-store"})
	return err == nil, err
}

// purgeFront has the CDN drop a root page, and strikes the debt off.
func (e *Engine) purgeFront(ctx context.Context, platform string, channel v1alpha1.ChannelName) error {
	html, json := layout.RootPages(platform, channel)
	if _, err := e.cdn.Invalidate(ctx, rand.Text(), cdn.PathsFor(html, json)); err != nil {
		return fmt.Errorf("purge the CDN: %w", err)
	}
	_, err := e.Primary().Store.Delete(ctx, layout.RootDebtKey(platform, channel))
	return err
}
