package index

import (
	"context"
	"slices"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/retention"
)

// A lane lists projects of other indexes beside its own, in every channel: with
// --index-url on any of them a package installs without a second index. Their
// catalogs hold links in place of files, and everything else is as with the
// lane's own projects: tombstones, compare-and-swap, revisions, purges. What the
// other index says is handed in; the engine asks nobody.

// ShrinkPatience is how long a project keeps its links when its index suddenly
// lists far less: a broken upstream is mended by then, and who withdrew files on
// purpose has them withdrawn here a day later, or at once by saying so.
const ShrinkPatience = 24 * time.Hour

// A loss is suspicious if it is everything, or more than one in shrinkShare
// files and more than shrinkFiles of them.
const (
	shrinkShare = 5
	shrinkFiles = 10
)

const messageReplaced = "the index that publishes it now lists other bytes under this name; find out which are right, and accept the change or leave it out"

// Dependency is a project that another index publishes.
type Dependency struct {
	// Project is the normalised name.
	Project  string
	IndexURL string
	// Digest stands for the files. It is empty while the index has not been
	// read: what is listed then stays as it is.
	Digest string
	// Files are links, sorted by name and each once. They are shared between
	// lanes and never changed.
	Files []catalog.File `json:"-"`
	// Accept takes over whatever the index says: somebody looked at it.
	Accept bool
	// Quarantined says that the index itself calls the project unsafe. Its files
	// go at once.
	Quarantined bool
}

// Linked is what a channel lists of a dependency.
type Linked struct {
	Project string
	// Files are on the page.
	Files int
	// Changed is when the links last changed.
	Changed time.Time
	// ShrunkSince is since when the index lists suspiciously less than the page,
	// which keeps what it had. Zero if it does not.
	ShrunkSince time.Time
	// Replaced are files that the index lists with other bytes than before. They
	// are off the page.
	Replaced []string
	// Owned is true if the lane publishes files of the project itself: nothing
	// is linked then.
	Owned bool
}

// dependOn deals the lane's dependencies out to their projects. A package on the
// lane's list is its own, whatever it depends on.
func (p *pass) dependOn() {
	for i := range p.lane.Dependencies {
		d := &p.lane.Dependencies[i]
		if p.broken[d.Project] != nil || d.Project == v1alpha1.LibtorchPackage {
			continue
		}
		owned := slices.Contains(p.rules.Packages, d.Project)
		have, known := p.found[d.Project]
		if owned || known && ownFiles(have.cat) {
			p.report.Linked = append(p.report.Linked, Linked{Project: d.Project, Owned: true})
			continue
		}
		if d.Digest != "" || known {
			p.project(d.Project).links = d
		}
	}
	for _, project := range p.projects {
		have, known := p.found[project.ref.Project]
		if project.links != nil || known && have.cat.Upstream.IndexURL != "" && !project.owned {
			project.policy = retention.Policy{} // Retention is about the lane's own files.
		}
	}
}

// ownFiles tells whether the lane published files of the project itself.
func ownFiles(c *catalog.Catalog) bool {
	return slices.ContainsFunc(c.Files, func(f catalog.File) bool { return f.Link == nil && f.State != catalog.StateGone })
}

// relink brings the links of a catalog up to date with what the other index
// says. It tells whether anything changed.
func (p *project) relink(c *catalog.Catalog) (changed bool) {
	d := p.links
	switch {
	case d == nil:
		return unlink(c, p.owned, p.now)
	case d.Digest == "":
		return false
	}
	was := c.Upstream
	if was.IndexURL == d.IndexURL && !was.Dropped && !d.Accept && !d.Quarantined && shrinks(c, d.Files) {
		if was.ShrunkSince.IsZero() {
			c.Upstream.ShrunkSince = p.now
			return true
		}
		if p.now.Before(was.ShrunkSince.Add(ShrinkPatience)) {
			return false
		}
	}
	moved := was.IndexURL != d.IndexURL
	c.Upstream = catalog.Upstream{IndexURL: d.IndexURL, Changed: was.Changed}
	changed = takeLinks(c, d, moved)
	if changed || was.Dropped || moved {
		c.Upstream.Changed = p.now
	}
	return changed || c.Upstream != was
}

// unlink takes all links of a catalog back. Unless the project is the lane's own
// now, it has no page any more.
func unlink(c *catalog.Catalog, owned bool, now time.Time) (changed bool) {
	was := c.Upstream
	if was.IndexURL == "" || was.Dropped && !owned {
		return false
	}
	takeLinks(c, &Dependency{}, false)
	for i := range c.Files {
		c.Files[i].Link = nil // Should the lane publish the name itself, it is its own.
	}
	c.Upstream = catalog.Upstream{}
	if !owned && !ownFiles(c) {
		c.Upstream = catalog.Upstream{IndexURL: was.IndexURL, Changed: now, Dropped: true}
	}
	return true
}

// shrinks tells whether the files of an index are suspiciously fewer than those
// that a catalog links to.
func shrinks(c *catalog.Catalog, files []catalog.File) bool {
	linked, lost := 0, 0
	for i := range c.Files {
		f := &c.Files[i]
		if f.Link == nil || f.State != catalog.StateListed {
			continue
		}
		linked++
		if find(files, f.Name) == nil {
			lost++
		}
	}
	return lost > 0 && (lost == linked || lost > shrinkFiles && lost*shrinkShare > linked)
}

// takeLinks makes the links of a catalog those of an index. Other bytes under a
// name that is linked to go off the page until somebody has accepted them; moved
// is true if the index itself is another one, which is acceptance enough.
func takeLinks(c *catalog.Catalog, d *Dependency, moved bool) (changed bool) {
	gone := map[string]bool{}
	for i := range c.Files {
		f := &c.Files[i]
		switch {
		case f.Link == nil, find(d.Files, f.Name) != nil:
			continue
		case len(f.Tombstones) == 0:
			gone[f.Name] = true
		case f.State == catalog.StateGone:
			continue
		default: // What a Yank took back is remembered for ever, and where it lay.
			f.State, f.Reason, f.Message = catalog.StateGone, "", ""
		}
		changed = true
	}
	c.DropAll(gone)
	var added []catalog.File
	for i := range d.Files {
		next := d.Files[i]
		f := c.Find(next.Name)
		switch {
		case f == nil:
			added = append(added, next)
		case f.Link == nil && f.State != catalog.StateGone:
			continue // The lane has a file of its own under this name.
		case f.Link != nil && f.SHA256 != next.SHA256 && !moved && !d.Accept:
			if f.State == catalog.StateOverwritten {
				continue
			}
			f.State, f.Reason, f.Message = catalog.StateOverwritten, reasonOverwritten, messageReplaced
		default:
			next.Tombstones = f.Tombstones
			if sameLink(f, &next) {
				continue
			}
			*f = next
		}
		changed = true
	}
	c.PutAll(added)
	return changed
}

// sameLink tells whether two entries say the same, their tombstones aside.
func sameLink(a, b *catalog.File) bool {
	return a.Link != nil && *a.Link == *b.Link && a.State == b.State && a.SHA256 == b.SHA256 && a.Size == b.Size && a.Version == b.Version &&
		a.UploadTime.Equal(b.UploadTime) && a.RequiresPython == b.RequiresPython && a.MetadataSHA256 == b.MetadataSHA256
}

// find is the file of that name in a sorted list, or nil.
func find(files []catalog.File, name string) *catalog.File {
	i, ok := slices.BinarySearchFunc(files, name, func(f catalog.File, n string) int {
		switch {
		case f.Name < n:
			return -1
		case f.Name > n:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return &files[i]
}

// link adds a dependency to a report.
func (r *Report) link(c *catalog.Catalog) {
	l := Linked{Project: c.Project, Changed: c.Upstream.Changed, ShrunkSince: c.Upstream.ShrunkSince}
	for i := range c.Files {
		f := &c.Files[i]
		switch {
		case f.Link == nil:
		case onPage(f):
			l.Files++
		case f.State == catalog.StateOverwritten && len(f.Tombstones) == 0 && len(l.Replaced) < maxNamed:
			l.Replaced = append(l.Replaced, f.Name)
		}
	}
	r.Linked = append(r.Linked, l)
}

// patienceEnds is when a suspicious loss is taken for real; zero for never.
func patienceEnds(c *catalog.Catalog) time.Time {
	if c.Upstream.ShrunkSince.IsZero() {
		return time.Time{}
	}
	return c.Upstream.ShrunkSince.Add(ShrinkPatience)
}

// withdrawPages removes the pages of a project that the lane does not link to any
// more: installers shall find the name elsewhere, and an empty page would stop
// them. All their versions go, for a page can be made again at any time. Who was
// held up may write one once more; the next Sync removes it.
func (e *Engine) withdrawPages(ctx context.Context, target Target, have stored, seen map[string]string) (wrote bool, err error) {
	html, json := layout.ProjectPages(have.cat.Platform, have.cat.Channel, have.cat.Project)
	for _, key := range []string{html, json} {
		if seen[key] == "" {
			continue
		}
		if target.Name == e.Primary().Name && !owesPurge(have.cat) {
			return wrote, errOwesNoPurge
		}
		if err := destroy(ctx, target.Store, key); err != nil {
			return wrote, err
		}
		wrote = true
	}
	e.memory.rememberPages(refOf(have.cat).key(), have.etag, map[string]string{html: "", json: ""})
	return wrote, nil
}

// destroy removes an object with all its versions.
func destroy(ctx context.Context, store objectstore.Store, key string) error {
	versioning, err := store.Versioning(ctx)
	if err != nil {
		return err
	}
	if versioning == objectstore.VersioningNever {
		_, err := store.Delete(ctx, key)
		return err
	}
	for v, err := range store.ListVersions(ctx, key) {
		if err != nil {
			return err
		}
		if v.Key != key {
			continue
		}
		if err := store.DeleteVersion(ctx, key, v.ID); err != nil {
			return err
		}
	}
	return nil
}
