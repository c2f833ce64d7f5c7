package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

func refOf(c *catalog.Catalog) Ref { return Ref{c.Platform, c.Channel, c.Project} }

// publishChannel brings the pages of a channel up to date on every store that
// was listed. It returns the catalogs whose pages are up to date on the primary;
// the error is that of the primary, the report has those of the mirrors.
func (e *Engine) publishChannel(ctx context.Context, p *pass, current []stored) (published []stored, err error) {
	for i, target := range e.targets {
		if i == 0 {
			published, err = e.publishTo(ctx, target, p, current, p.primary.pages)
			continue
		}
		seen, ok := p.mirrors[target.Name]
		if !ok {
			continue
		}
		if _, mirrorErr := e.publishTo(ctx, target, p, current, seen.pages); mirrorErr != nil {
			p.report.MirrorErr = errors.Join(p.report.MirrorErr, fmt.Errorf("mirror %s: %w", target.Name, mirrorErr))
		}
	}
	return published, err
}

// publishTo is publishChannel for one store. seen are its pages as they were
// before the catalogs were read. Where it finds a newer catalog it puts that
// into current.
func (e *Engine) publishTo(ctx context.Context, target Target, p *pass, current []stored, seen map[string]string) (published []stored, err error) {
	// Projects whose catalogs cannot be read have pages all the same.
	others := sortedKeys(p.broken)
	var errs []error
	if err := e.oweRoot(ctx, target, e.root(p.lane, p.channel, current, others), current, seen); err != nil {
		errs = append(errs, err)
	}
	for i, have := range current {
		if !e.upToDate(target, have, seen) {
			next, wrote, err := e.publishProject(ctx, target, have, seen)
			p.report.Wrote = p.report.Wrote || wrote
			if err != nil {
				errs = append(errs, fmt.Errorf("publish %s: %w", refOf(have.cat), err))
				continue
			}
			current[i] = next
		}
		published = append(published, current[i])
	}
	wrote, err := e.publishRoot(ctx, target, p.lane, p.channel, e.root(p.lane, p.channel, current, others), seen)
	p.report.Wrote = p.report.Wrote || wrote
	if err != nil {
		errs = append(errs, fmt.Errorf("publish the list of projects of %s (%s): %w", p.lane.Platform, p.channel, err))
	}
	return published, errors.Join(errs...)
}

// upToDate tells from ETags alone that a project's pages are what its catalog
// makes them.
func (e *Engine) upToDate(target Target, have stored, seen map[string]string) bool {
	known := e.memory.pagesOf(refOf(have.cat).key(), have.etag)
	for key, want := range known {
		if !e.same(target, key, seen[key], want) {
			return false
		}
	}
	return known != nil
}

// publishProject writes a project's pages where they differ. seen are the pages
// as they were before the catalog was read. A page that somebody else wrote
// meanwhile makes it look at the pages and read the catalog again. It returns
// the catalog that the pages are made of.
func (e *Engine) publishProject(ctx context.Context, target Target, have stored, seen map[string]string) (_ stored, wrote bool, err error) {
	ref := refOf(have.cat)
	for range maxAttempts {
		did, err := e.writeProject(ctx, target, have, seen)
		wrote = wrote || did
		switch {
		case err == nil:
			return have, wrote, nil
		case errors.Is(err, errOwesNoPurge):
			have, err = e.oweRevision(ctx, ref, have)
		case errors.Is(err, objectstore.ErrPrecondition):
			seen, have, err = e.observe(ctx, target, ref)
		}
		if err != nil {
			return have, wrote, err
		}
	}
	return have, wrote, ErrContended
}

// errOwesNoPurge says that pages would be written again that the CDN was told of
// already.
var errOwesNoPurge = errors.New("no purge is owed")

// writeProject renders a project's pages and writes those that differ, one after
// the other: two pages of 100,000 files take 80 MB. Before it writes anything on
// the primary a purge has to be owed.
func (e *Engine) writeProject(ctx context.Context, target Target, have stored, seen map[string]string) (wrote bool, err error) {
	if !have.cat.HasPages() {
		return e.withdrawPages(ctx, target, have, seen)
	}
	etags := map[string]string{}
	for page := range pages.EachOfProject(have.cat, e.baseURL()) {
		etag := page.ETag()
		etags[page.Key] = etag
		ok, err := e.holds(ctx, target, page, etag, seen[page.Key])
		if err != nil {
			return wrote, err
		}
		if ok {
			continue
		}
		if target.Name == e.Primary().Name && !owesPurge(have.cat) {
			return wrote, errOwesNoPurge
		}
		if err := e.writePage(ctx, target, page, etag, seen[page.Key]); err != nil {
			return wrote, err
		}
		wrote = true
	}
	e.memory.rememberPages(refOf(have.cat).key(), have.etag, etags)
	return wrote, nil
}

// observe looks at a project's pages and then, in this order, reads its catalog.
func (e *Engine) observe(ctx context.Context, target Target, ref Ref) (map[string]string, stored, error) {
	html, json := layout.ProjectPages(ref.Platform, ref.Channel, ref.Project)
	seen, err := look(ctx, target, html, json)
	if err != nil {
		return nil, stored{}, err
	}
	have, err := e.read(ctx, ref, "")
	if err == nil && have.cat == nil {
		err = fmt.Errorf("catalog %s is gone from bucket %s; restore its last version", ref.key(), e.Primary().Store.Bucket())
	}
	return seen, have, err
}

// look asks for the ETags of pages. One that is not there has none.
func look(ctx context.Context, target Target, keys ...string) (map[string]string, error) {
	seen := map[string]string{}
	for _, key := range keys {
		info, err := target.Store.Head(ctx, key)
		if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			return nil, err
		}
		seen[key] = info.ETag
	}
	return seen, nil
}

// Publish brings the pages of one project up to date on every store, from the
// catalog as it is now. Every store is tried; the error joins what failed.
func (e *Engine) Publish(ctx context.Context, ref Ref) error {
	return errors.Join(e.PublishStores(ctx, ref))
}

// PublishStores is Publish for a caller that goes on with the primary while a
// mirror is in trouble.
func (e *Engine) PublishStores(ctx context.Context, ref Ref) (primary, mirrors error) {
	_, primary, mirrors = e.publish(ctx, ref)
	return primary, mirrors
}

// publish is Publish with what the primary's pages are made of, and with the
// errors apart.
func (e *Engine) publish(ctx context.Context, ref Ref) (published stored, primary, mirrors error) {
	for i, target := range e.targets {
		seen, have, err := e.observe(ctx, target, ref)
		if err == nil {
			have, _, err = e.publishProject(ctx, target, have, seen)
		}
		if err != nil {
			err = fmt.Errorf("publish %s on %s: %w", ref, target.Name, err)
		}
		if i == 0 {
			published, primary = have, err
		} else {
			mirrors = errors.Join(mirrors, err)
		}
	}
	return published, primary, mirrors
}

// differing are the pages that a store does not have as they should be.
func (e *Engine) differing(ctx context.Context, target Target, wanted []pages.Page, seen map[string]string) (stale []pages.Page, err error) {
	for _, page := range wanted {
		ok, err := e.holds(ctx, target, page, page.ETag(), seen[page.Key])
		if err != nil {
			return nil, err
		}
		if !ok {
			stale = append(stale, page)
		}
	}
	return stale, nil
}

// write writes pages, each over exactly what was seen in its place.
func (e *Engine) write(ctx context.Context, target Target, stale []pages.Page, seen map[string]string) (wrote bool, err error) {
	for _, page := range stale {
		if err := e.writePage(ctx, target, page, page.ETag(), seen[page.Key]); err != nil {
			return wrote, err
		}
		wrote = true
	}
	return wrote, nil
}

// writePage writes a page over exactly what was seen in its place.
func (e *Engine) writePage(ctx context.Context, target Target, page pages.Page, etag, seen string) error {
	written, err := target.Store.Put(ctx, page.Key, page.Body, objectstore.PutOptions{
		ContentType: page.ContentType, CacheControl: page.CacheControl, IfMatch: seen, IfNoneMatch: seen == "",
	})
	if err == nil {
		e.learnTag(target, page.Key, written.ETag, etag)
	}
	return err
}
