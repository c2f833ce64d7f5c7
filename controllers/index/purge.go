package index

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// allFiles stands for every file of a project among the copies that the CDN has
// to drop, and for whatever else lies in the same folder.
const allFiles = "*"

// owesPurge is true while the CDN was not told of the last revision's pages.
func owesPurge(c *catalog.Catalog) bool { return c.PurgedRevision < c.Revision }

// oweRevision makes a catalog owe a purge before pages are written again that
// the CDN was told of already: somebody changed or removed them, or a newer
// operator renders them in another way. The caches may have kept what is there
// now. The new revision outlives a crash, as any purge that is owed does.
func (e *Engine) oweRevision(ctx context.Context, ref Ref, have stored) (stored, error) {
	next, _, err := e.update(ctx, ref, have, func(c *catalog.Catalog) (bool, error) {
		if owesPurge(c) {
			return false, nil
		}
		c.Revision++
		return true, nil
	})
	return next, err
}

// oweCopy notes in a project's catalog that the CDN has to drop its copies of a
// file or sidecar. It comes before other bytes are written under the name: a
// crash in between then leaves a purge that is owed.
func (e *Engine) oweCopy(ctx context.Context, ref Ref, name string) error {
	e.owing.Lock()
	defer e.owing.Unlock()
	have, _ := e.memory.latest(ref.key())
	_, _, err := e.update(ctx, ref, have, func(c *catalog.Catalog) (bool, error) { return c.OweCopies(name), nil })
	return err
}

// purge asks the CDN to drop its copies of the pages of published catalogs whose
// last revision it was not told of, and of files that were replaced. What is owed
// stands in the catalog, so a crash between publishing and purging is made up for
// by the next Sync. Pages must be published before: the CDN would otherwise fetch
// the old ones anew.
func (e *Engine) purge(ctx context.Context, published []stored) error {
	var owing []stored
	var paths []string
	for _, have := range published {
		c := have.cat
		if owesPurge(c) {
			paths = append(paths, PagePaths(refOf(c))...)
		}
		for _, name := range c.Stale {
			paths = append(paths, cdn.PathsFor(c.FileKey(name))...)
		}
		if owesPurge(c) || len(c.Stale) > 0 {
			owing = append(owing, have)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	// Each attempt is a request of its own: the CDN answers a token that it
	// knows with what it did then, and the copies may be newer.
	if _, err := e.cdn.Invalidate(ctx, rand.Text(), cdn.Compact(paths)); err != nil {
		return fmt.Errorf("purge the CDN: %w", err)
	}
	var errs []error
	for _, have := range owing {
		_, _, err := e.update(ctx, refOf(have.cat), have, markPurged(have.cat.Revision, have.cat.Stale...))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// MarkPurged records that the CDN was told to drop the pages of a revision,
// after they were published.
func (e *Engine) MarkPurged(ctx context.Context, ref Ref, revision int64) error {
	have, err := e.read(ctx, ref, "")
	if err != nil {
		return err
	}
	_, _, err = e.update(ctx, ref, have, markPurged(revision))
	return err
}

func markPurged(revision int64, copies ...string) func(*catalog.Catalog) (bool, error) {
	return func(c *catalog.Catalog) (changed bool, _ error) {
		changed = c.SettleCopies(copies...)
		if c.PurgedRevision < revision && revision <= c.Revision {
			c.PurgedRevision, changed = revision, true
		}
		return changed, nil
	}
}

// PagePaths are what the CDN must drop when a project's pages change.
func PagePaths(ref Ref) []string {
	html, json := layout.ProjectPages(ref.Platform, ref.Channel, ref.Project)
	rootHTML, rootJSON := layout.RootPages(ref.Platform, ref.Channel)
	return cdn.PathsFor(html, json, rootHTML, rootJSON)
}
