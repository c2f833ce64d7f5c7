package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// DeleteFiles removes every version of a retired lane's files from every store.
// Pages stay (they are empty), and so does what a Yank keeps as evidence. It
// refuses while a catalog is not retired, and makes sure that no page of any
// store lists a file before the first one goes. The CDN drops its copies last.
// What Object Lock protects stays and keeps nothing else from going.
func (e *Engine) DeleteFiles(ctx context.Context, platform string) error {
	catalogs, err := e.Catalogs(ctx, platform)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, c := range catalogs {
		if !c.Retired {
			return fmt.Errorf("%s %s of platform %s is still listed; retire it first", c.Channel, c.Project, platform)
		}
		for i := range c.Files {
			if len(c.Files[i].Tombstones) > 0 {
				kept[c.FileKey(c.Files[i].Name)] = true
			}
		}
		if err := e.Publish(ctx, refOf(c)); err != nil {
			return fmt.Errorf("nothing was deleted: %w", err)
		}
	}
	var errs []error
	for _, target := range e.targets {
		for _, channel := range layout.Channels() {
			for _, prefix := range []string{layout.WheelPrefix(platform, channel), layout.LibtorchPrefix(platform, channel)} {
				owe := func() error { return e.oweFolder(ctx, catalogs, prefix) }
				if err := deleteBelow(ctx, target.Store, prefix, kept, owe); err != nil {
					errs = append(errs, fmt.Errorf("on %s: %w", target.Name, err))
				}
			}
		}
	}
	errs = append(errs, e.purgeFolders(ctx, platform))
	return errors.Join(errs...)
}

// oweFolder notes that the CDN has to drop whatever lies in a folder. One of the
// catalogs whose files are there can bear that for all.
func (e *Engine) oweFolder(ctx context.Context, catalogs []*catalog.Catalog, prefix string) error {
	for _, c := range catalogs {
		if c.FileKey("") == prefix {
			return e.oweCopy(ctx, refOf(c), allFiles)
		}
	}
	return nil // Nothing there was ever listed.
}

// purgeFolders has the CDN drop what oweFolder noted, in this call or in one that
// was cut short.
func (e *Engine) purgeFolders(ctx context.Context, platform string) error {
	var errs []error
	for _, channel := range layout.Channels() {
		found, broken, err := e.channelCatalogs(ctx, platform, channel)
		errs = append(errs, err, joined(broken))
		var owing []stored
		for _, project := range sortedKeys(found) {
			if len(found[project].cat.Stale) > 0 {
				owing = append(owing, found[project])
			}
		}
		errs = append(errs, e.purge(ctx, owing))
	}
	return errors.Join(errs...)
}

// deleteBelow deletes what lies in a folder. It calls owe before the first
// deletion.
func deleteBelow(ctx context.Context, store objectstore.Store, prefix string, kept map[string]bool, owe func() error) error {
	var locked error
	count, owed := 0, false
	for v, err := range store.ListVersions(ctx, prefix) {
		if err != nil {
			return err
		}
		if isPage(v.Key) || kept[fileOf(v.Key)] {
			continue
		}
		if !owed {
			if err := owe(); err != nil {
				return err
			}
			owed = true
		}
		err = store.DeleteVersion(ctx, v.Key, v.ID)
		switch {
		case errors.Is(err, objectstore.ErrLocked):
			locked = cmp.Or(locked, err)
			count++
		case err != nil:
			return err
		}
	}
	for upload, err := range store.ListUploads(ctx, prefix) {
		if err != nil {
			return err
		}
		if err := store.AbortUpload(ctx, upload.Key, upload.ID); err != nil {
			return err
		}
	}
	if locked != nil {
		return fmt.Errorf("%d versions below %s are protected; the first: %w", count, prefix, locked)
	}
	return nil
}

func isPage(key string) bool {
	switch layout.FileName(key) {
	case layout.HTMLPage, layout.JSONPage, "removals.json":
		return true
	default:
		return false
	}
}

// fileOf is the file that a key belongs to: itself, or the wheel of a sidecar.
func fileOf(key string) string {
	return strings.TrimSuffix(strings.TrimSuffix(key, layout.MetadataSuffix), layout.ProvenanceSuffix)
}
