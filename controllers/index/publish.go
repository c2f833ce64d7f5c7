package index

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// rendering remembers which ETags the pages of a catalog have, so that an
// unchanged project is not rendered again.
type rendering struct {
	catalogETag string
	pageETags   map[string]string
}

func refOf(c *catalog.Catalog) Ref { return Ref{c.Platform, c.Channel, c.Project} }

// publishChannel brings the pages of a channel up to date on every store that
// was listed. others are projects that have pages and are left alone. It returns
// the catalogs whose pages are up to date on the primary; the error is that of
// the primary, the report has those of the mirrors.
func (e *Engine) publishChannel(ctx context.Context, platform string, channel v1alpha1.ChannelName, current []stored, others []string, primary listing, mirrors map[string]listing, report *Report) (published []stored, err error) {
	for i, target := range e.targets {
		if i == 0 {
			published, err = e.publishTo(ctx, target, platform, channel, current, others, primary.pages, report)
			continue
		}
		seen, ok := mirrors[target.Name]
		if !ok {
			continue
		}
		if _, mirrorErr := e.publishTo(ctx, target, platform, channel, current, others, seen.pages, report); mirrorErr != nil {
			report.MirrorErr = errors.Join(report.MirrorErr, fmt.Errorf("mirror %s: %w", target.Name, mirrorErr))
		}
	}
	return published, err
}

// publishTo is publishChannel for one store. seen are its pages as they were
// before the catalogs were read. Where it finds a newer catalog it puts that
// into current.
func (e *Engine) publishTo(ctx context.Context, target Target, platform string, channel v1alpha1.ChannelName, current []stored, others []string, seen map[string]string, report *Report) (published []stored, err error) {
	names := slices.Clone(others)
	for _, have := range current {
		if !have.cat.Retired {
			names = append(names, have.cat.Project)
		}
	}
	var errs []error
	if err := e.oweRoot(ctx, target, platform, channel, current, names, seen); err != nil {
		errs = append(errs, err)
	}
	for i, have := range current {
		if !e.upToDate(target, have, seen) {
			next, wrote, err := e.publishProject(ctx, target, have, seen)
			report.Wrote = report.Wrote || wrote
			if err != nil {
				errs = append(errs, fmt.Errorf("publish %s: %w", refOf(have.cat), err))
				continue
			}
			current[i] = next
		}
		published = append(published, current[i])
	}
	wrote, err := e.publishRoot(ctx, target, platform, channel, names, seen)
	report.Wrote = report.Wrote || wrote
	if err != nil {
		errs = append(errs, fmt.Errorf("publish the list of projects of %s (%s): %w", platform, channel, err))
	}
	return published, errors.Join(errs...)
}

// upToDate tells from ETags alone that a project's pages are what its catalog
// makes them.
func (e *Engine) upToDate(target Target, have stored, seen map[string]string) bool {
	e.mu.Lock()
	memo, ok := e.rendered[refOf(have.cat).key()]
	e.mu.Unlock()
	if !ok || memo.catalogETag != have.etag {
		return false
	}
	for key, want := range memo.pageETags {
		if !e.same(target, key, seen[key], want) {
			return false
		}
	}
	return true
}

// publishProject writes a project's pages where they differ. seen are the pages
// as they were before the catalog was read. A page that somebody else wrote
// meanwhile makes it look at the pages and read the catalog again. It returns
// the catalog that the pages are made of.
func (e *Engine) publishProject(ctx context.Context, target Target, have stored, seen map[string]string) (_ stored, wrote bool, err error) {
	ref := refOf(have.cat)
	for range maxAttempts {
		rendered := pages.Project(have.cat)
		stale, err := e.differing(ctx, target, rendered, seen)
		if err == nil && len(stale) > 0 && target.Name == e.Primary().Name && !owesPurge(have.cat) {
			if have, err = e.oweRevision(ctx, ref, have); err == nil {
				rendered = pages.Project(have.cat)
				stale = rendered
			}
		}
		if err != nil {
			return have, wrote, err
		}
		did, err := e.write(ctx, target, stale, seen)
		wrote = wrote || did
		if err == nil {
			e.rememberRendering(ref, have, rendered)
			return have, wrote, nil
		}
		if !errors.Is(err, objectstore.ErrPrecondition) {
			return have, wrote, err
		}
		var next stored
		if seen, next, err = e.observe(ctx, target, ref); err != nil {
			return have, wrote, err
		}
		have = next
	}
	return have, wrote, ErrContended
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
		ok, err := e.holds(ctx, target, page, seen[page.Key])
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
		old := seen[page.Key]
		written, err := target.Store.Put(ctx, page.Key, page.Body, objectstore.PutOptions{
			ContentType: page.ContentType, CacheControl: page.CacheControl, IfMatch: old, IfNoneMatch: old == "",
		})
		if err != nil {
			return wrote, err
		}
		wrote = true
		e.learnTag(target, page.Key, written.ETag, page.ETag())
	}
	return wrote, nil
}

func (e *Engine) rememberRendering(ref Ref, have stored, rendered []pages.Page) {
	memo := rendering{catalogETag: have.etag, pageETags: map[string]string{}}
	for _, page := range rendered {
		memo.pageETags[page.Key] = page.ETag()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rendered[ref.key()] = memo
}
