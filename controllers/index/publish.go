package index

import (
	"context"
	"crypto/md5" //nolint:gosec // An S3 ETag is an MD5 sum; nothing relies on it being hard to forge.
	"encoding/hex"
	"errors"
	"fmt"

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

// publishChannel brings the pages of a channel up to date on every store that
// was listed.
func (e *Engine) publishChannel(ctx context.Context, platform string, channel v1alpha1.ChannelName, current []stored, primary listing, mirrors map[string]listing, report *Report) error {
	var errs, mirrorErrs []error
	for i, target := range e.targets {
		seen, ok := primary, true
		if i > 0 {
			seen, ok = mirrors[target.Name]
		}
		if !ok {
			continue
		}
		err := e.publishTo(ctx, target, platform, channel, current, seen.pages, report)
		switch {
		case err != nil && i > 0:
			mirrorErrs = append(mirrorErrs, fmt.Errorf("mirror %s: %w", target.Name, err))
		case err != nil:
			errs = append(errs, err)
		}
	}
	report.MirrorErr = errors.Join(append(mirrorErrs, report.MirrorErr)...)
	return errors.Join(errs...)
}

func (e *Engine) publishTo(ctx context.Context, target Target, platform string, channel v1alpha1.ChannelName, current []stored, seen map[string]string, report *Report) error {
	var errs []error
	var names []string
	for _, have := range current {
		if !have.cat.Retired {
			names = append(names, have.cat.Project)
		}
		if e.upToDate(target, have, seen) {
			continue
		}
		ref := Ref{platform, channel, have.cat.Project}
		wrote, err := e.publishProject(ctx, target, ref, have, seen)
		report.Wrote = report.Wrote || wrote
		if err != nil {
			errs = append(errs, fmt.Errorf("publish %s: %w", ref, err))
		}
	}
	for _, page := range pages.Root(platform, channel, names) {
		wrote, err := e.put(ctx, target, page, seen[page.Key])
		report.Wrote = report.Wrote || wrote
		if err != nil {
			errs = append(errs, fmt.Errorf("publish the list of projects of %s (%s): %w", platform, channel, err))
		}
	}
	return errors.Join(errs...)
}

// upToDate tells from ETags alone that a project's pages are what its catalog
// makes them.
func (e *Engine) upToDate(target Target, have stored, seen map[string]string) bool {
	e.mu.Lock()
	memo, ok := e.rendered[Ref{have.cat.Platform, have.cat.Channel, have.cat.Project}.key()]
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
// meanwhile makes it look at the pages and read the catalog again.
func (e *Engine) publishProject(ctx context.Context, target Target, ref Ref, have stored, seen map[string]string) (wrote bool, err error) {
	for range maxAttempts {
		lost := false
		rendered := pages.Project(have.cat)
		for _, page := range rendered {
			did, err := e.put(ctx, target, page, seen[page.Key])
			wrote = wrote || did
			if errors.Is(err, objectstore.ErrPrecondition) {
				lost = true
				break
			}
			if err != nil {
				return wrote, err
			}
		}
		if !lost {
			e.rememberRendering(ref, have, rendered)
			return wrote, nil
		}
		if seen, have, err = e.observe(ctx, target, ref); err != nil {
			return wrote, err
		}
	}
	return wrote, ErrContended
}

// observe looks at a project's pages and then, in this order, reads its catalog.
func (e *Engine) observe(ctx context.Context, target Target, ref Ref) (map[string]string, stored, error) {
	seen := map[string]string{}
	html, json := layout.ProjectPages(ref.Platform, ref.Channel, ref.Project)
	for _, key := range []string{html, json} {
		info, err := target.Store.Head(ctx, key)
		if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			return nil, stored{}, err
		}
		seen[key] = info.ETag
	}
	have, err := e.read(ctx, ref, "")
	if err == nil && have.cat == nil {
		err = fmt.Errorf("catalog %s is gone from bucket %s; restore its last version", ref.key(), e.Primary().Store.Bucket())
	}
	return seen, have, err
}

// Publish brings the pages of one project up to date on every store, from the
// catalog as it is now. Every store is tried; the error joins what failed.
func (e *Engine) Publish(ctx context.Context, ref Ref) error {
	var errs []error
	for _, target := range e.targets {
		seen, have, err := e.observe(ctx, target, ref)
		if err == nil {
			_, err = e.publishProject(ctx, target, ref, have, seen)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("publish %s on %s: %w", ref, target.Name, err))
		}
	}
	return errors.Join(errs...)
}

// PublishRemovals writes the public feed of what the lane took back.
func (e *Engine) PublishRemovals(ctx context.Context, platform string) error {
	var errs []error
	for _, target := range e.targets {
		if err := e.publishRemovals(ctx, target, platform); err != nil {
			errs = append(errs, fmt.Errorf("publish %s on %s: %w", layout.RemovalsKey(platform), target.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) publishRemovals(ctx context.Context, target Target, platform string) error {
	for range maxAttempts {
		info, err := target.Store.Head(ctx, layout.RemovalsKey(platform))
		if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			return err
		}
		catalogs, err := e.Catalogs(ctx, platform)
		if err != nil {
			return err
		}
		_, err = e.put(ctx, target, pages.Removals(platform, pages.RemovalsOf(catalogs)), info.ETag)
		if !errors.Is(err, objectstore.ErrPrecondition) {
			return err
		}
	}
	return ErrContended
}

// put writes a page over the version that was seen, unless that is the page
// already.
func (e *Engine) put(ctx context.Context, target Target, page pages.Page, seen string) (wrote bool, err error) {
	if e.same(target, page.Key, seen, page.ETag()) {
		return false, nil
	}
	written, err := target.Store.Put(ctx, page.Key, page.Body, objectstore.PutOptions{
		ContentType: page.ContentType, CacheControl: page.CacheControl, IfMatch: seen, IfNoneMatch: seen == "",
	})
	if err != nil {
		return false, err
	}
	if written.ETag != page.ETag() {
		// An encrypting store answers an ETag that is no MD5 sum: remember what
		// it stands for.
		e.mu.Lock()
		e.pageTags[target.Name+"/"+page.Key] = written.ETag + "=" + page.ETag()
		e.mu.Unlock()
	}
	return true, nil
}

// same tells whether the ETag that a store shows is that of the wanted bytes.
func (e *Engine) same(target Target, key, shown, want string) bool {
	if shown == want || shown == "" {
		return shown == want
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pageTags[target.Name+"/"+key] == shown+"="+want
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

// Retire takes everything off a lane's pages, in all channels. The pages stay,
// empty: an installer that asks for a name of the lane must not fall through to
// another index. Catalogs stay too, and with them what Yanks took back.
func (e *Engine) Retire(ctx context.Context, platform string) error {
	catalogs, err := e.Catalogs(ctx, platform)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range catalogs {
		ref := Ref{c.Platform, c.Channel, c.Project}
		_, err := e.Update(ctx, ref, func(c *catalog.Catalog) bool {
			was := c.Retired
			c.Retired = true
			return !was
		})
		if err == nil {
			err = e.Publish(ctx, ref)
		}
		errs = append(errs, err)
	}
	for _, channel := range layout.Channels() {
		errs = append(errs, e.retireChannel(ctx, platform, channel))
	}
	return errors.Join(errs...)
}

// retireChannel empties a channel's list of projects, where there is one, and
// purges what the CDN holds of its pages.
func (e *Engine) retireChannel(ctx context.Context, platform string, channel v1alpha1.ChannelName) error {
	var errs []error
	for _, target := range e.targets {
		for _, page := range pages.Root(platform, channel, nil) {
			info, err := target.Store.Head(ctx, page.Key)
			if errors.Is(err, objectstore.ErrNotFound) {
				continue
			}
			if err == nil {
				_, err = e.put(ctx, target, page, info.ETag)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("on %s: %w", target.Name, err))
			}
		}
	}
	found, err := e.channelCatalogs(ctx, platform, channel)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	var current []stored
	for _, project := range sortedKeys(found) {
		current = append(current, found[project])
	}
	return errors.Join(append(errs, e.purge(ctx, current))...)
}

func md5Hex(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // See the import.
	return hex.EncodeToString(sum[:])
}
