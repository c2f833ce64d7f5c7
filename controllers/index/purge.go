package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// purge asks the CDN to drop the pages of the catalogs whose last revision it
// was not told of. That it is owed stands in the catalog, so a crash between
// publishing and purging is made up for by the next Sync.
func (e *Engine) purge(ctx context.Context, current []stored) error {
	var owed []stored
	var paths []string
	token := sha256.New()
	for _, have := range current {
		c := have.cat
		if c.PurgedRevision >= c.Revision {
			continue
		}
		owed = append(owed, have)
		ref := Ref{c.Platform, c.Channel, c.Project}
		paths = append(paths, PagePaths(ref)...)
		_, _ = fmt.Fprintf(token, "%s@%d\n", ref.key(), c.Revision)
	}
	if len(owed) == 0 {
		return nil
	}
	if _, err := e.cdn.Invalidate(ctx, hex.EncodeToString(token.Sum(nil))[:32], cdn.Compact(paths)); err != nil {
		return fmt.Errorf("purge the CDN: %w", err)
	}
	var errs []error
	for _, have := range owed {
		errs = append(errs, e.MarkPurged(ctx, Ref{have.cat.Platform, have.cat.Channel, have.cat.Project}, have.cat.Revision))
	}
	return errors.Join(errs...)
}

// MarkPurged records that the CDN was told to drop the pages of a revision.
func (e *Engine) MarkPurged(ctx context.Context, ref Ref, revision int64) error {
	_, err := e.Update(ctx, ref, func(c *catalog.Catalog) bool {
		if c.PurgedRevision >= revision {
			return false
		}
		c.PurgedRevision = revision
		return true
	})
	return err
}

// PagePaths are what the CDN must drop when a project's pages change.
func PagePaths(ref Ref) []string {
	html, json := layout.ProjectPages(ref.Platform, ref.Channel, ref.Project)
	rootHTML, rootJSON := layout.RootPages(ref.Platform, ref.Channel)
	return cdn.PathsFor(html, json, rootHTML, rootJSON)
}
