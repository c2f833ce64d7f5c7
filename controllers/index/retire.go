package index

import (
	"context"
	"errors"
	"fmt"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// Retire takes everything off a lane's pages, in all channels. The pages stay,
// empty: an installer that asks for a name of the lane must not fall through to
// another index. Catalogs stay too, and with them what Yanks took back. Syncs of
// the lane that are under way write nothing any more.
func (e *Engine) Retire(ctx context.Context, platform string) error {
	defer e.beginRetirement(platform)()
	var errs []error
	for _, channel := range layout.Channels() {
		if err := e.retireChannel(ctx, platform, channel); err != nil {
			errs = append(errs, fmt.Errorf("retire %s (%s): %w", platform, channel, err))
		}
	}
	return errors.Join(errs...)
}

// retireChannel empties the pages of a channel, and then has the CDN drop what
// it holds of those that are empty on the primary.
func (e *Engine) retireChannel(ctx context.Context, platform string, channel v1alpha1.ChannelName) error {
	found, broken, err := e.channelCatalogs(ctx, platform, channel)
	if err != nil {
		return err
	}
	if len(found)+len(broken) == 0 {
		return e.publishFront(ctx, nobody(platform), channel, false)
	}
	errs := []error{joined(broken)}
	var current, published []stored
	for _, project := range sortedKeys(found) {
		have, _, err := e.update(ctx, Ref{platform, channel, project}, found[project], retire)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		current = append(current, have)
	}
	errs = append(errs, e.emptyRoot(ctx, platform, channel, current))
	for _, have := range current {
		have, primary, mirrors := e.publish(ctx, refOf(have.cat))
		errs = append(errs, primary, mirrors)
		if primary == nil {
			published = append(published, have)
		}
	}
	errs = append(errs, e.purge(ctx, published))
	return errors.Join(errs...)
}

// retire takes a catalog off the index. Links go altogether: their names are not
// the lane's.
func retire(c *catalog.Catalog) (bool, error) {
	was := c.Retired
	c.Retired = true
	unlinked := unlink(c, false, c.Upstream.Changed)
	return unlinked || !was, nil
}

// nobody is what the pages of a retired lane say: who was here and how to install
// is no concern of anybody any more.
func nobody(platform string) Lane { return Lane{Platform: platform} }

// emptyRoot empties a channel's list of projects on every store that has one.
func (e *Engine) emptyRoot(ctx context.Context, platform string, channel v1alpha1.ChannelName, current []stored) error {
	html, json := layout.RootPages(platform, channel)
	root := e.root(nobody(platform), channel, current, nil)
	var errs []error
	for _, target := range e.targets {
		seen, err := look(ctx, target, html, json)
		if err == nil && seen[html] == "" && seen[json] == "" {
			continue
		}
		if err == nil {
			err = e.oweRoot(ctx, target, root, current, seen)
		}
		if err == nil {
			_, err = e.publishRoot(ctx, target, nobody(platform), channel, root, seen)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the list of projects on %s: %w", target.Name, err))
		}
	}
	return errors.Join(errs...)
}
