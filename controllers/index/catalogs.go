package index

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// Catalogs reads all catalogs of a lane, in every channel. What changed lately
// costs nothing beside the listing, the rest a request each.
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

// channelCatalogs lists and reads the catalogs of one channel, by project.
// broken are those that are there and cannot be read: they keep nobody from the
// others.
func (e *Engine) channelCatalogs(ctx context.Context, platform string, channel v1alpha1.ChannelName) (found map[string]stored, broken map[string]error, err error) {
	etags, _, err := e.listCatalogs(ctx, platform, channel)
	if err != nil {
		return nil, nil, err
	}
	return e.readCatalogs(ctx, platform, channel, etags)
}

// listCatalogs are the ETags of a channel's catalogs, by project. owed is true if
// the purge of the channel's root page is; see oweFront.
func (e *Engine) listCatalogs(ctx context.Context, platform string, channel v1alpha1.ChannelName) (etags map[string]string, owed bool, err error) {
	prefix := layout.CatalogPrefix(platform, channel)
	etags = map[string]string{}
	for obj, err := range e.Primary().Store.List(ctx, prefix) {
		if err != nil {
			return nil, false, err
		}
		owed = owed || obj.Key == layout.RootDebtKey(platform, channel)
		project, ok := strings.CutSuffix(strings.TrimPrefix(obj.Key, prefix), ".json")
		if ok && !strings.Contains(project, "/") {
			etags[project] = obj.ETag
		}
	}
	return etags, owed, nil
}

// readCatalogs is channelCatalogs for catalogs that were listed.
func (e *Engine) readCatalogs(ctx context.Context, platform string, channel v1alpha1.ChannelName, etags map[string]string) (found map[string]stored, broken map[string]error, err error) {
	found, broken = map[string]stored{}, map[string]error{}
	for _, project := range sortedKeys(etags) {
		have, err := e.read(ctx, Ref{platform, channel, project}, etags[project])
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
	if have, ok := e.memory.latest(key); ok && etag != "" && have.etag == etag {
		return have, nil
	}
	have, err := e.load(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		e.memory.forget(key)
		return stored{}, nil
	}
	if err == nil && refOf(have.cat) != ref {
		err = fmt.Errorf("it says it is the catalog of %s", refOf(have.cat))
	}
	if err != nil {
		return stored{}, fmt.Errorf("catalog %s in bucket %s: %w", key, e.Primary().Store.Bucket(), err)
	}
	e.memory.remember(ref, have)
	return have, nil
}

// load reads a catalog as it comes in: it may have 50 MB.
func (e *Engine) load(ctx context.Context, key string) (stored, error) {
	body, info, err := e.Primary().Store.Get(ctx, key, objectstore.GetOptions{})
	if err != nil {
		return stored{}, err
	}
	defer func() { _ = body.Close() }()
	if info.Size > objectstore.MaxGet {
		return stored{}, fmt.Errorf("it has %d bytes, at most %d are read: %w", info.Size, objectstore.MaxGet, objectstore.ErrTooLarge)
	}
	cat, err := catalog.Read(io.LimitReader(body, objectstore.MaxGet), info.Size)
	return stored{etag: info.ETag, cat: cat}, err
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
		samePages := have.cat != nil && next.SamePages(before)
		if !samePages {
			next.Revision++
		}
		body, err := next.Encode()
		if err != nil {
			return have, false, fmt.Errorf("encode catalog %s: %w", ref, err)
		}
		written, err := e.Primary().Store.Put(ctx, ref.key(), body, opts)
		if err == nil {
			if samePages && next.Revision == before.Revision {
				e.memory.carryPages(ref.key(), have.etag, written.ETag)
			}
			have = stored{etag: written.ETag, cat: next}
			e.memory.remember(ref, have)
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
