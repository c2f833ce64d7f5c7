package index

import (
	"context"
	"errors"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// oweRoot makes sure that a purge is owed when a channel's list of projects has
// to be written on the primary. The list has no catalog of its own: each
// project's purge covers it, so one of them has to owe one.
func (e *Engine) oweRoot(ctx context.Context, target Target, platform string, channel v1alpha1.ChannelName, current []stored, names []string, seen map[string]string) (err error) {
	if target.Name != e.Primary().Name || len(current) == 0 {
		return nil
	}
	for _, have := range current {
		if owesPurge(have.cat) {
			return nil
		}
	}
	stale, err := e.differing(ctx, target, pages.Root(platform, channel, names), seen)
	if err != nil || len(stale) == 0 {
		return err
	}
	current[0], err = e.oweRevision(ctx, refOf(current[0].cat), current[0])
	return err
}

// publishRoot writes a channel's list of projects where it differs. A list that
// somebody else wrote meanwhile makes it look at the list and the catalogs
// again.
func (e *Engine) publishRoot(ctx context.Context, target Target, platform string, channel v1alpha1.ChannelName, names []string, seen map[string]string) (wrote bool, err error) {
	for range maxAttempts {
		stale, err := e.differing(ctx, target, pages.Root(platform, channel, names), seen)
		if err != nil {
			return wrote, err
		}
		did, err := e.write(ctx, target, stale, seen)
		wrote = wrote || did
		if !errors.Is(err, objectstore.ErrPrecondition) {
			return wrote, err
		}
		html, json := layout.RootPages(platform, channel)
		if seen, err = look(ctx, target, html, json); err != nil {
			return wrote, err
		}
		if names, err = e.projectNames(ctx, platform, channel); err != nil {
			return wrote, err
		}
	}
	return wrote, ErrContended
}

// projectNames are the projects that a channel's list has.
func (e *Engine) projectNames(ctx context.Context, platform string, channel v1alpha1.ChannelName) ([]string, error) {
	found, broken, err := e.channelCatalogs(ctx, platform, channel)
	if err != nil {
		return nil, err
	}
	names := sortedKeys(broken)
	for _, name := range sortedKeys(found) {
		if !found[name].cat.Retired {
			names = append(names, name)
		}
	}
	return names, nil
}
