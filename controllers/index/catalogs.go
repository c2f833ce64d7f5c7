package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// stored is a catalog as it lies in the bucket. The catalog is shared: it is
// never changed, only cloned. A nil catalog stands for one that is not there.
type stored struct {
	etag string
	cat  *catalog.Catalog
}

func (r Ref) key() string { return layout.CatalogKey(r.Platform, r.Channel, r.Project) }

// Catalogs reads all catalogs of a lane, in every channel. What has not changed
// since it was last read costs nothing beside the listing.
func (e *Engine) Catalogs(ctx context.Context, platform string) ([]*catalog.Catalog, error) {
	var out []*catalog.Catalog
	for _, channel := range layout.Channels() {
		found, broken, err := e.channelCatalogs(ctx, platform, channel)
		if err == nil {
			err = joined(broken)
		}
		if err != nil {
			return nil, err
		}
		for _, project := range sortedKeys(found) {
			out = append(out, found[project].cat)
		}
	}
	return out, nil
}

// channelCatalogs reads the catalogs of one channel, by project. broken are
// those that are there and cannot be read: they keep nobody from the others.
func (e *Engine) channelCatalogs(ctx context.Context, platform string, channel v1alpha1.ChannelName) (found map[string]stored, broken map[string]error, err error) {
	prefix := layout.CatalogPrefix(platform, channel)
	found, broken = map[string]stored{}, map[string]error{}
	for obj, err := range e.Primary().Store.List(ctx, prefix) {
		if err != nil {
			return nil, nil, err
		}
		project, ok := strings.CutSuffix(strings.TrimPrefix(obj.Key, prefix), ".json")
		if !ok || strings.Contains(project, "/") {
			continue
		}
		have, err := e.read(ctx, Ref{platform, channel, project}, obj.ETag)
		switch {
		case ctx.Err() != nil:
			return nil, nil, err
		case err != nil:
			broken[project] = err
		case have.cat != nil:
			found[project] = have
		}
	}
	return found, broken, nil
}

// joined is all errors of a map, in the order of its keys.
func joined(byName map[string]error) error {
	var errs []error
	for _, name := range sortedKeys(byName) {
		errs = append(errs, byName[name])
	}
	return errors.Join(errs...)
}

// read returns the catalog that the bucket holds under this ETag, or a newer
// one. With an empty ETag it always asks the bucket.
func (e *Engine) read(ctx context.Context, ref Ref, etag string) (stored, error) {
	key := ref.key()
	if have, ok := e.remembered(key); ok && etag != "" && have.etag == etag {
		return have, nil
	}
	data, info, err := objectstore.ReadAll(ctx, e.Primary().Store, key, 0)
	if errors.Is(err, objectstore.ErrNotFound) {
		e.forget(key)
		return stored{}, nil
	}
	if err != nil {
		return stored{}, err
	}
	cat, err := catalog.Decode(data)
	if err == nil && (cat.Platform != ref.Platform || cat.Channel != ref.Channel || cat.Project != ref.Project) {
		err = fmt.Errorf("it says it is the catalog of %s", Ref{cat.Platform, cat.Channel, cat.Project})
	}
	if err != nil {
		return stored{}, fmt.Errorf("catalog %s in bucket %s: %w", key, e.Primary().Store.Bucket(), err)
	}
	have := stored{etag: info.ETag, cat: cat}
	e.remember(key, have)
	return have, nil
}

// Update changes one catalog by compare-and-swap. change gets a copy that it
// may edit and tells whether it did; it is called again with the newer catalog
// when another writer was faster. A catalog that does not exist is created if
// change edits it.
func (e *Engine) Update(ctx context.Context, ref Ref, change func(*catalog.Catalog) bool) (*catalog.Catalog, error) {
	have, err := e.read(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	have, _, err = e.update(ctx, ref, have, func(c *catalog.Catalog) (bool, error) { return change(c), nil })
	return have.cat, err
}

// update is Update for a caller that has just read the catalog.
func (e *Engine) update(ctx context.Context, ref Ref, have stored, change func(*catalog.Catalog) (bool, error)) (stored, bool, error) {
	for range maxAttempts {
		before, opts := have.cat, objectstore.PutOptions{ContentType: "application/json", CacheControl: "no-store", IfMatch: have.etag}
		if before == nil {
			before, opts.IfNoneMatch = catalog.New(ref.Platform, ref.Channel, ref.Project), true
		}
		next := before.Clone()
		changed, err := change(next)
		if err != nil || !changed {
			return have, false, err
		}
		if have.cat == nil || !next.SamePages(before) {
			next.Revision++
		}
		body, err := next.Encode()
		if err != nil {
			return have, false, fmt.Errorf("encode catalog %s: %w", ref, err)
		}
		written, err := e.Primary().Store.Put(ctx, ref.key(), body, opts)
		if err == nil {
			have = stored{etag: written.ETag, cat: next}
			e.remember(ref.key(), have)
			return have, true, nil
		}
		if !errors.Is(err, objectstore.ErrPrecondition) {
			return have, false, err
		}
		if have, err = e.read(ctx, ref, ""); err != nil {
			return have, false, err
		}
	}
	return have, false, fmt.Errorf("catalog %s: %w", ref, ErrContended)
}

func (e *Engine) remembered(key string) (stored, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	have, ok := e.catalogs[key]
	return have, ok
}

func (e *Engine) remember(key string, have stored) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.catalogs[key] = have
}

// rememberedIn are the catalogs of a channel as this engine knew them last, by
// project.
func (e *Engine) rememberedIn(platform string, channel v1alpha1.ChannelName) map[string]*catalog.Catalog {
	prefix := layout.CatalogPrefix(platform, channel)
	out := map[string]*catalog.Catalog{}
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, have := range e.catalogs {
		if strings.HasPrefix(key, prefix) {
			out[have.cat.Project] = have.cat
		}
	}
	return out
}

func (e *Engine) forget(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.catalogs, key)
	delete(e.rendered, key)
}

// Holders tells which other lanes list bytes with one of these hashes, as far as
// this engine has seen them: platform by hash.
func (e *Engine) Holders(platform string, hashes map[string]bool) map[string][]string {
	e.mu.Lock()
	seen := make([]*catalog.Catalog, 0, len(e.catalogs))
	for _, have := range e.catalogs {
		if have.cat.Platform != platform {
			seen = append(seen, have.cat)
		}
	}
	e.mu.Unlock()
	out := map[string][]string{}
	for _, c := range seen {
		for i := range c.Files {
			if hash := c.Files[i].SHA256; hashes[hash] && !slices.Contains(out[hash], c.Platform) {
				out[hash] = append(out[hash], c.Platform)
			}
		}
	}
	for _, platforms := range out {
		slices.Sort(platforms)
	}
	return out
}
