package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/retention"
)

// Retention works in three steps, each of which the catalog remembers:
//
//  1. A file that the policy no longer keeps is due: DueTime says since when. It
//     stays on the page, and status shows it.
//  2. When it has been on show for the whole preview, and so has the policy, it
//     expires: the page is published without it, and purged.
//  3. When who read the old page has had the time to fetch it, its bytes are
//     removed, on the primary and then on the mirrors.
//
// The entry stays for ever, with the name and the hash alone.

// removalPause is how long the bytes of an expired file stay after it was taken
// off the page: long enough for an installer that has read the page to finish.
const removalPause = time.Hour

// removalsPerPass bounds the files whose bytes one Sync removes.
const removalsPerPass = 200

// RetentionTag marks the versions that retention removed from a bucket that
// keeps versions, so that one lifecycle rule of the bucket can destroy them, and
// nothing else: what Yanks keep is hidden in the same way.
const (
	RetentionTag   = "removed-by"
	RetentionValue = "retention"
)

// maxNamed is how many files a report names.
const maxNamed = 10

// Files counts files and names the first of them, by key.
type Files struct {
	Count int
	Bytes int64
	Keys  []string
}

func (f *Files) add(key string, size int64) {
	f.Count++
	f.Bytes += size
	if i, ok := slices.BinarySearch(f.Keys, key); !ok && i < maxNamed {
		f.Keys = slices.Insert(f.Keys, i, key)
		f.Keys = f.Keys[:min(len(f.Keys), maxNamed)]
	}
}

// Join adds the files of another count.
func (f *Files) Join(o Files) {
	f.Count, f.Bytes = f.Count+o.Count, f.Bytes+o.Bytes
	f.Keys = append(f.Keys, o.Keys...)
	slices.Sort(f.Keys)
	f.Keys = f.Keys[:min(len(f.Keys), maxNamed)]
}

// Due is what retention is about to remove.
type Due struct {
	Files
	// Since is when the first of them became due, and Expires when the first of
	// them goes.
	Since, Expires time.Time
}

// expiry is when a file that is due since then expires.
func (p *project) expiry(c *catalog.Catalog, f *catalog.File) time.Time {
	since := f.DueTime
	if c.Retention.Since.After(since) {
		since = c.Retention.Since
	}
	return since.Add(p.preview)
}

// retain applies the channel's policy. It notes what has become due and what is
// no longer, and takes off the page what has been on show for long enough.
func (p *project) retain(c *catalog.Catalog, m *merged) (changed bool) {
	if policy := p.policy.String(); c.Retention.Policy != policy {
		c.Retention = catalog.Retention{Policy: policy, Since: p.now}
		if policy == "" {
			c.Retention.Since = time.Time{}
		}
		changed = true
	}
	due := retention.Of(c, p.policy, p.now).Due
	for i := range c.Files {
		f := &c.Files[i]
		if len(due) > 0 && due[0] < f.Name {
			due = due[1:]
		}
		isDue := len(due) > 0 && due[0] == f.Name
		switch {
		case f.State == catalog.StateExpired:
		case !isDue && !f.DueTime.IsZero():
			f.DueTime, changed = time.Time{}, true
		case isDue && f.DueTime.IsZero():
			f.DueTime, changed = p.now, true
		case isDue && !p.now.Before(p.expiry(c, f)):
			m.expired.add(c.FileKey(f.Name), f.Size)
			f.Expire(p.now)
			changed = true
		}
	}
	return changed
}

// outlook adds to a report what is due in a catalog, and returns when time alone
// will make a difference; zero for never.
func (p *project) outlook(c *catalog.Catalog, report *Report) (next time.Time) {
	if c.Retired {
		return time.Time{}
	}
	next = retention.Of(c, p.policy, p.now).Next
	for i := range c.Files {
		f := &c.Files[i]
		switch {
		case f.DueTime.IsZero():
		case f.State == catalog.StateExpired:
			if f.ETag != "" && gone(f) {
				next = earliest(next, f.DueTime.Add(removalPause))
			}
		default:
			expires := p.expiry(c, f)
			report.Due.add(c.FileKey(f.Name), f.Size)
			report.Due.Since, report.Due.Expires = earliest(report.Due.Since, f.DueTime), earliest(report.Due.Expires, expires)
			next = earliest(next, expires)
		}
	}
	return next
}

// earliest is the earlier of two times; zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// removal is a file whose bytes are to be removed.
type removal struct {
	ref             Ref
	name, key, etag string
	size            int64
	mirrors         []string
}

// removeExpired removes the bytes of expired files, once no page of any store
// lists them and their purge was asked for. published are the catalogs of which
// that is true on the primary; nothing is removed while a mirror is behind.
func (p *pass) removeExpired(ctx context.Context, published []stored) {
	if p.report.failed() {
		return
	}
	var due []removal
	for _, have := range published {
		for _, r := range p.removals[have.cat.Project] {
			if f := have.cat.Find(r.name); f != nil && gone(f) {
				due = append(due, r)
			}
		}
	}
	if len(due) > removalsPerPass {
		p.report.Pending += len(due) - removalsPerPass
		due = due[:removalsPerPass]
	}
	if len(due) == 0 {
		return
	}
	versioned, err := p.engine.versioned(ctx)
	if err != nil {
		p.report.RemovalErr = err
		return
	}
	var (
		mu    sync.Mutex
		errs  []error
		group sync.WaitGroup
	)
	slots := make(chan struct{}, p.engine.limits.FilesAtOnce)
	for _, r := range due {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			still, err := p.engine.stillGone(ctx, r)
			if still && err == nil {
				err = p.engine.remove(ctx, r, versioned)
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				errs = append(errs, err)
			case still:
				p.report.Removed.add(r.key, r.size)
			}
		})
	}
	group.Wait()
	p.report.RemovalErr = errors.Join(errs...)
}

// gone is true for a file that retention, and no Yank, took off the page.
func gone(f *catalog.File) bool { return f.State == catalog.StateExpired && len(f.Tombstones) == 0 }

// stillGone asks again right before a file is removed: publishing and purging
// take their time, and a Yank that came in between wants to keep the bytes.
func (e *Engine) stillGone(ctx context.Context, r removal) (bool, error) {
	have, ok := e.memory.latest(r.ref.key())
	if !ok {
		var err error
		if have, err = e.read(ctx, r.ref, ""); err != nil || have.cat == nil {
			return false, err
		}
	}
	f := have.cat.Find(r.name)
	return f != nil && gone(f), nil
}

// removalsOf are the expired files of a catalog whose time has come and that are
// still stored somewhere.
func (p *pass) removalsOf(c *catalog.Catalog) (due []removal) {
	if c.Retired {
		return nil
	}
	for i := range c.Files {
		f := &c.Files[i]
		if !gone(f) || p.now.Before(f.DueTime.Add(removalPause)) {
			continue
		}
		r := removal{ref: refOf(c), name: f.Name, key: c.FileKey(f.Name), size: f.Size}
		switch obj := p.primary.folderOf(c).find(f.Name); {
		case obj == nil:
		case obj.etag == f.ETag:
			r.etag = obj.etag
		default:
			continue // Somebody uploaded it again; nobody has judged that.
		}
		for _, name := range sortedKeys(p.mirrors) {
			mirror := p.mirrors[name]
			if mirror.folderOf(c).find(f.Name) != nil {
				r.mirrors = append(r.mirrors, name)
			}
		}
		if r.etag != "" || len(r.mirrors) > 0 {
			due = append(due, r)
		}
	}
	return due
}

// folderOf is the folder that a catalog's files are in.
func (l *listing) folderOf(c *catalog.Catalog) *folder {
	if c.FileKey("") == l.archives.prefix {
		return &l.archives
	}
	return &l.wheels
}

// versioned tells which stores keep versions, by name.
func (e *Engine) versioned(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for _, target := range e.targets {
		state, err := target.Store.Versioning(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target.Name, err)
		}
		out[target.Name] = state == objectstore.VersioningEnabled
	}
	return out, nil
}

// remove removes a file and its sidecars from the primary, and then from the
// mirrors, which may refill from it.
func (e *Engine) remove(ctx context.Context, r removal, versioned map[string]bool) error {
	for i, target := range e.targets {
		if i == 0 && r.etag == "" || i > 0 && !slices.Contains(r.mirrors, target.Name) {
			continue
		}
		etag := "" // Copies elsewhere may have another one.
		if i == 0 {
			info, err := target.Store.Head(ctx, r.key)
			if errors.Is(err, objectstore.ErrNotFound) {
				continue
			}
			if err == nil && info.ETag != r.etag {
				err = errUploadedAgain
			}
			if err != nil {
				return fmt.Errorf("remove %s from %s: %w", r.key, target.Name, err)
			}
			etag = r.etag
		}
		if err := removeFamily(ctx, target.Store, r.key, etag, versioned[target.Name]); err != nil {
			return fmt.Errorf("remove %s from %s: %w", r.key, target.Name, err)
		}
	}
	return nil
}

var errUploadedAgain = errors.New("it was uploaded again while it was being removed, and stays")

// removeFamily removes a file and its sidecars, the file last: as long as it is
// there its removal is tried again. Where versions are kept they are tagged, and
// a delete marker goes on top. A file that has another ETag than the given one
// stays; an empty one stands for any.
func removeFamily(ctx context.Context, store objectstore.Store, key, etag string, versioned bool) error {
	keys := []string{key + layout.ProvenanceSuffix, key + layout.MetadataSuffix, key}
	if !versioned {
		for _, k := range keys {
			if _, err := store.Delete(ctx, k); err != nil {
				return err
			}
		}
		return nil
	}
	latest := map[string]string{}
	for v, err := range store.ListVersions(ctx, key) {
		if err != nil {
			return err
		}
		if v.Latest && !v.DeleteMarker && slices.Contains(keys, v.Key) {
			latest[v.Key] = v.ID
			if v.Key == key && etag != "" && v.ETag != etag {
				return errUploadedAgain
			}
		}
	}
	for _, k := range keys {
		id, ok := latest[k]
		if !ok {
			continue
		}
		if err := store.TagVersion(ctx, k, id, map[string]string{RetentionTag: RetentionValue}); err != nil {
			return err
		}
		if _, err := store.Delete(ctx, k); err != nil {
			return err
		}
	}
	return nil
}
