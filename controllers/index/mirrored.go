package index

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

const (
	// mirrorNamed bounds how many files of a mirror a message names.
	mirrorNamed = 3
	// mirrorMended bounds how many METADATA files of a mirror one Sync replaces.
	mirrorMended = 100
)

// strange is what a mirror holds that is not what the primary has.
type strange struct {
	// files are the keys of the first few, count is how many there are.
	files []string
	count int
	// metadata are the keys of METADATA files from before they were mended.
	metadata []string
}

// compareMirrors compares the listed files of a project with what every mirror
// was seen to hold; that costs no request. A mirror may lack a file, for it
// refills from the primary as soon as somebody asks. What it holds it serves: an
// installer that finds other bytes there than the page says stops.
func (p *pass) compareMirrors(c *catalog.Catalog, archives bool) {
	for _, mirror := range p.engine.targets[1:] {
		name := mirror.Name
		l, ok := p.mirrors[name]
		if !ok {
			continue
		}
		held := &l.wheels
		if archives {
			held = &l.archives
		}
		// Equal bytes then have equal ETags on both.
		exact := p.engine.showsMD5(p.engine.Primary()) && p.engine.showsMD5(mirror)
		for i := range c.Files {
			f := &c.Files[i]
			if f.Link != nil || !onPage(f) {
				continue
			}
			key, found := c.FileKey(f.Name), p.strange[name]
			metadata := held.loose[f.Name]
			if obj := held.find(f.Name); obj != nil {
				metadata = obj.metadata
				if obj.size != f.Size || exact && plainTag(obj.etag) && plainTag(f.ETag) && obj.etag != f.ETag {
					if found.count++; found.count <= mirrorNamed {
						found.files = append(found.files, key)
					}
				}
			}
			if exact && metadata != "" && f.MetadataETag != "" && metadata != f.MetadataETag && len(found.metadata) < mirrorMended {
				found.metadata = append(found.metadata, key+layout.MetadataSuffix)
			}
			p.strange[name] = found
		}
	}
}

// plainTag tells the MD5 sum of an object from what stands for one that was
// uploaded in parts.
func plainTag(etag string) bool { return etag != "" && !strings.Contains(etag, "-") }

// settleMirrors replaces old METADATA files on the mirrors and reports what it
// cannot mend: the engine writes no wheels.
func (p *pass) settleMirrors(ctx context.Context) {
	for _, mirror := range p.engine.targets[1:] {
		found, ok := p.strange[mirror.Name]
		if !ok {
			continue
		}
		var errs []error
		for _, key := range found.metadata {
			if err := p.engine.copySidecar(ctx, mirror, key); err != nil {
				errs = append(errs, fmt.Errorf("mirror %s: %w", mirror.Name, err))
				break
			}
			p.report.Wrote = true
		}
		if found.count > 0 {
			errs = append(errs, fmt.Errorf("mirror %s holds other bytes than the primary under %d listed names (%s); remove these objects from bucket %s, and it fetches the right ones",
				mirror.Name, found.count, strings.Join(found.files, ", "), mirror.Store.Bucket()))
		}
		p.report.MirrorErr = errors.Join(append([]error{p.report.MirrorErr}, errs...)...)
	}
}

// copySidecar writes the primary's METADATA file to a mirror.
func (e *Engine) copySidecar(ctx context.Context, mirror Target, key string) error {
	data, _, err := objectstore.ReadAll(ctx, e.Primary().Store, key, 0)
	if err != nil {
		return err
	}
	_, err = mirror.Store.Put(ctx, key, data, objectstore.PutOptions{ContentType: sidecarType, CacheControl: pages.CacheControlFile})
	return err
}
