package index

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

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

// owe notes that the CDN has to drop its copies of a file. It is kept in memory
// alone: a crash before the next purge leaves a stale copy until it expires,
// which installers refuse by its hash.
func (e *Engine) owe(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stale[key] = true
}

// owed are the files below a prefix whose copies have to be dropped.
func (e *Engine) owed(prefix string) (keys []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, key := range sortedKeys(e.stale) {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (e *Engine) settle(keys []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, key := range keys {
		delete(e.stale, key)
	}
}

// purge asks the CDN to drop its copies of the pages of published catalogs whose
// last revision it was not told of, and of the stale files below a prefix. What
// is owed for pages stands in the catalog, so a crash between publishing and
// purging is made up for by the next Sync. Pages must be published before: the
// CDN would otherwise fetch the old ones anew.
func (e *Engine) purge(ctx context.Context, prefix string, published []stored) error {
	var owing []stored
	var paths []string
	for _, have := range published {
		if owesPurge(have.cat) {
			owing = append(owing, have)
			paths = append(paths, PagePaths(refOf(have.cat))...)
		}
	}
	files := e.owed(prefix)
	paths = append(paths, cdn.PathsFor(files...)...)
	if len(paths) == 0 {
		return nil
	}
	// Each attempt is a request of its own: the CDN answers a token that it
	// knows with what it did then, and the copies may be newer.
	if _, err := e.cdn.Invalidate(ctx, rand.Text(), cdn.Compact(paths)); err != nil {
		return fmt.Errorf("purge the CDN: %w", err)
	}
	e.settle(files)
	var errs []error
	for _, have := range owing {
		_, _, err := e.update(ctx, refOf(have.cat), have, markPurged(have.cat.Revision))
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

func markPurged(revision int64) func(*catalog.Catalog) (bool, error) {
	return func(c *catalog.Catalog) (bool, error) {
		if c.PurgedRevision >= revision || revision > c.Revision {
			return false, nil
		}
		c.PurgedRevision = revision
		return true, nil
	}
}

// PagePaths are what the CDN must drop when a project's pages change.
func PagePaths(ref Ref) []string {
	html, json := layout.ProjectPages(ref.Platform, ref.Channel, ref.Project)
	rootHTML, rootJSON := layout.RootPages(ref.Platform, ref.Channel)
	return cdn.PathsFor(html, json, rootHTML, rootJSON)
}
