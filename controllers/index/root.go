package index

import (
	"context"
	"errors"
	"slices"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// baseURL is the public address that pages name where they cannot be relative.
func (e *Engine) baseURL() string {
	if urls := e.Primary().BaseURLs; len(urls) > 0 {
		return urls[0]
	}
	return ""
}

// root is a channel's list of projects. others are projects whose catalogs
// cannot be read: they have pages all the same.
func (e *Engine) root(lane Lane, channel v1alpha1.ChannelName, current []stored, others []string) []pages.Page {
	list := pages.Listing{Platform: lane.Platform, Channel: channel, BaseURL: e.baseURL(), Profile: lane.Profile, Projects: slices.Clone(others)}
	for _, have := range current {
		list.Add(have.cat)
	}
	return pages.Root(list)
}

// oweRoot makes sure that a purge is owed when a channel's list of projects has
// to be written on the primary. The list has no catalog of its own: the purge of
// any project's pages covers it. Where none is owed one of the catalogs notes the
// list itself, which lies where its files do; the project's pages stay as they
// are.
func (e *Engine) oweRoot(ctx context.Context, target Target, root []pages.Page, current []stored, seen map[string]string) (err error) {
	if target.Name != e.Primary().Name || len(current) == 0 {
		return nil
	}
	debtor := 0
	for i, have := range current {
		if owesPurge(have.cat) {
			return nil
		}
		if have.cat.Project != v1alpha1.LibtorchPackage {
			debtor = i
		}
	}
	stale, err := e.differing(ctx, target, root, seen)
	if err != nil || len(stale) == 0 {
		return err
	}
	ref := refOf(current[debtor].cat)
	if ref.Project == v1alpha1.LibtorchPackage {
		current[debtor], err = e.oweRevision(ctx, ref, current[debtor])
		return err
	}
	current[debtor], _, err = e.update(ctx, ref, current[debtor], func(c *catalog.Catalog) (bool, error) {
		return c.OweCopies(layout.HTMLPage, layout.JSONPage), nil
	})
	return err
}

// publishRoot writes a channel's list of projects where it differs. A list that
// somebody else wrote meanwhile makes it look at the list and the catalogs
// again.
func (e *Engine) publishRoot(ctx context.Context, target Target, lane Lane, channel v1alpha1.ChannelName, root []pages.Page, seen map[string]string) (wrote bool, err error) {
	for range maxAttempts {
		stale, err := e.differing(ctx, target, root, seen)
		if err != nil {
			return wrote, err
		}
		did, err := e.write(ctx, target, stale, seen)
		wrote = wrote || did
		if !errors.Is(err, objectstore.ErrPrecondition) {
			return wrote, err
		}
		html, json := layout.RootPages(lane.Platform, channel)
		if seen, err = look(ctx, target, html, json); err != nil {
			return wrote, err
		}
		if root, err = e.rootAsStored(ctx, lane, channel); err != nil {
			return wrote, err
		}
	}
	return wrote, ErrContended
}

// rootAsStored is root from the catalogs as they are now.
func (e *Engine) rootAsStored(ctx context.Context, lane Lane, channel v1alpha1.ChannelName) ([]pages.Page, error) {
	found, broken, err := e.channelCatalogs(ctx, lane.Platform, channel)
	if err != nil {
		return nil, err
	}
	return e.root(lane, channel, inOrder(found), sortedKeys(broken)), nil
}

// inOrder are the catalogs of a channel, by project.
func inOrder(found map[string]stored) (current []stored) {
	for _, name := range sortedKeys(found) {
		current = append(current, found[name])
	}
	return current
}
