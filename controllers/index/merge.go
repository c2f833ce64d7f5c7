package index

import (
	"iter"
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/retention"
)

// reasonOverwritten is the rejection reason of a file whose bytes were replaced.
const reasonOverwritten = "Overwritten"

const messageOverwritten = "other bytes were uploaded under this published name; put the original version back, or publish the new file under a new version or build number and remove this one"

// action is what a listed object means for its catalog entry.
type action int

const (
	keep action = iota
	// judgeIt: nothing is known of these bytes.
	judgeIt
	// markOverwritten: other bytes lie under a listed name.
	markOverwritten
	// relist: the bytes that were once judged good are back.
	relist
)

// decide compares a catalog entry (nil if there is none) with the object that
// is stored under its name. An archive has no METADATA file. trust is that of
// Engine.trust.
func decide(entry *catalog.File, obj *object, archive bool, trust string) action {
	switch {
	case entry == nil || entry.State == catalog.StateGone:
		return judgeIt
	case entry.ETag == obj.etag:
		switch {
		case entry.State == catalog.StateRejected, entry.State == catalog.StateExpired, hidden(entry):
			return keep
		case !archive && (obj.metadata == "" || obj.metadata != entry.MetadataETag):
			return judgeIt
		case attestable(entry, obj.provenance, trust):
			return judgeIt
		case entry.State == catalog.StateOverwritten:
			return relist
		default:
			return keep
		}
	case entry.State == catalog.StateOverwritten:
		return keep
	case onPage(entry):
		return markOverwritten
	default:
		return judgeIt
	}
}

// onPage is true for a file that pages list, flagged or not.
func onPage(f *catalog.File) bool {
	listed, _, _ := f.OnPage()
	return listed
}

// hidden is true for a file that a Yank put out of reach.
func hidden(f *catalog.File) bool {
	t, ok := f.Effective()
	return ok && t.Mode.BlocksAccess()
}

// project is what one Sync knows of one project.
type project struct {
	ref    Ref
	prefix string
	// objects are the stored files, by name.
	objects []*object
	// before is the catalog as it was known before the listing; nil if it was
	// not.
	before *catalog.Catalog
	// owned is true for a package on the lane's list. It has a page even before
	// the first upload: an installer that finds none would look for the name in
	// another index.
	owned bool
	// links is what another index says of the project; nil if the lane does not
	// depend on it.
	links *Dependency
	// policy is what the channel keeps, preview how long what it does not keep is
	// on show, and now the time of the Sync.
	policy  retention.Policy
	preview time.Duration
	now     time.Time
	// trust is that of Engine.trust; attested is true where nothing is listed
	// without a verified attestation.
	trust    string
	attested bool
	// verdicts are the files judged in this Sync, by name, and jobs where they
	// come from.
	verdicts map[string]verdict
	jobs     []*job
}

// archive is true for the project of C++ archives.
func (p *project) archive() bool { return p.ref.Project == v1alpha1.LibtorchPackage }

// merged is what a merge did.
type merged struct {
	changed, resurfaced bool
	// unsure counts entries that may be newer than the listing.
	unsure int
	// expired are the files that retention took off the page.
	expired Files

	added   []catalog.File
	missing map[string]bool
}

// older is true if the entry was there before the listing was made, so that the
// listing is the newer of the two. Another engine may have recorded an upload
// that this listing came too early for: to take that for a missing or an
// overwritten file would lose its update.
func (p *project) older(f *catalog.File) bool {
	if p.before == nil {
		return false
	}
	was := p.before.Find(f.Name)
	return was != nil && was.ETag == f.ETag && was.VersionID == f.VersionID && was.UploadTime.Equal(f.UploadTime)
}

// merge brings a catalog up to date with the listing and the verdicts. It is
// called again when another writer was faster, so it decides from scratch.
func (p *project) merge(c *catalog.Catalog, rules []Rule) merged {
	m := merged{missing: map[string]bool{}}
	if c.Retired {
		c.Retired, m.changed = false, true
		// Nobody saw what was due meanwhile: it is on show anew.
		c.Retention = catalog.Retention{}
	}
	m.changed = p.relink(c) || m.changed
	for entry, obj := range p.pairs(c) {
		if entry != nil && entry.Link != nil {
			continue
		}
		if obj == nil {
			p.mergeMissing(entry, &m)
		} else {
			p.mergeStored(c, entry, obj, &m)
		}
	}
	c.PutAll(m.added)
	oweMissing(c, m.missing)
	c.DropAll(m.missing)
	if len(m.added)+len(m.missing) > 0 {
		m.changed = true
	}
	if p.demandAttestations(c) {
		m.changed = true
	}
	if p.bury(c, rules) {
		m.changed = true
	}
	if p.retain(c, &m) {
		m.changed = true
	}
	return m
}

// pairs walks over a catalog and the stored files side by side, in the order of
// their names. Either of a pair may be nil, never both.
func (p *project) pairs(c *catalog.Catalog) iter.Seq2[*catalog.File, *object] {
	return func(yield func(*catalog.File, *object) bool) {
		var files []catalog.File
		if c != nil {
			files = c.Files
		}
		i, j := 0, 0
		for i < len(files) || j < len(p.objects) {
			order := -1
			switch {
			case i == len(files):
				order = 1
			case j < len(p.objects):
				order = strings.Compare(files[i].Name, p.objects[j].name)
			}
			var entry *catalog.File
			var obj *object
			if order <= 0 {
				entry = &files[i]
				i++
			}
			if order >= 0 {
				obj = p.objects[j]
				j++
			}
			if !yield(entry, obj) {
				return
			}
		}
	}
}

// mergeStored merges a stored file; entry is nil if the catalog has none.
func (p *project) mergeStored(c *catalog.Catalog, entry *catalog.File, obj *object, m *merged) {
	switch decide(entry, obj, p.archive(), p.trust) {
	case judgeIt:
		found, ok := p.verdicts[obj.name]
		if !ok {
			return
		}
		m.changed = true
		if found.mended {
			c.OweCopies(obj.name + layout.MetadataSuffix)
		}
		if entry == nil {
			m.added = append(m.added, found.file)
			return
		}
		m.resurfaced = m.resurfaced || hidden(entry)
		oweReplaced(c, entry, &found.file)
		*entry = p.successor(found.file, entry)
	case markOverwritten:
		if !p.older(entry) {
			m.unsure++
			return
		}
		entry.State, entry.Reason, entry.Message = catalog.StateOverwritten, reasonOverwritten, messageOverwritten
		m.changed = true
	case relist:
		entry.State, entry.Reason, entry.Message = catalog.StateListed, "", ""
		// The CDN may still hold the other bytes.
		c.OweCopies(obj.name)
		m.changed = true
	case keep:
	}
}

// oweReplaced notes that the CDN may still hold what lay under the name of a file,
// or of its attestation, before this was judged.
func oweReplaced(c *catalog.Catalog, was, is *catalog.File) {
	if was.ETag != "" && was.ETag != is.ETag {
		c.OweCopies(was.Name)
	}
	if was.ProvenanceETag != "" && was.ProvenanceETag != is.ProvenanceETag {
		c.OweCopies(was.Name + layout.ProvenanceSuffix)
	}
}

// maxStale is from how many forgotten files on the CDN drops its copies of all.
const maxStale = 100

// oweMissing notes that the CDN may still hold files that are forgotten: other
// bytes may come under their names, and nobody will know that they are others.
func oweMissing(c *catalog.Catalog, missing map[string]bool) {
	if len(missing) > maxStale {
		c.OweCopies(allFiles)
		return
	}
	for name := range missing {
		c.OweCopies(name, name+layout.MetadataSuffix, name+layout.ProvenanceSuffix)
	}
}

// successor makes a verdict the successor of the entry of the same name. Other
// bytes under a name that was published before stay off the page, even if they
// are good and the Yank that took the first ones back is withdrawn.
func (p *project) successor(next catalog.File, entry *catalog.File) catalog.File {
	next.Tombstones, next.DueTime = entry.Tombstones, entry.DueTime
	published := p.publishedHash(entry)
	if entry.Published != "" {
		next.Published, next.DueTime = entry.Published, time.Time{}
	}
	if entry.SHA256 == next.SHA256 && !entry.UploadTime.IsZero() {
		next.UploadTime = entry.UploadTime
	}
	if next.State == catalog.StateListed && published != "" && published != next.SHA256 {
		next.State, next.Reason, next.Message = catalog.StateRejected, reasonOverwritten, messageOverwritten
		next.MetadataSHA256, next.MetadataETag = "", ""
	}
	return next
}

// publishedHash is the SHA-256 under which a name was published; empty if it
// never was.
func (p *project) publishedHash(f *catalog.File) string {
	for _, t := range f.Tombstones {
		if t.SHA256 != "" {
			return t.SHA256
		}
	}
	switch {
	case f.Published != "":
		return f.Published
	case (f.State == catalog.StateListed || f.State == catalog.StateUnattested || f.State == catalog.StateGone) && (f.MetadataSHA256 != "" || p.archive()):
		return f.SHA256
	}
	return ""
}

// mergeMissing merges an entry whose file is not stored (any more). What a Yank
// took back is remembered for ever, and so is what retention removed.
func (p *project) mergeMissing(f *catalog.File, m *merged) {
	switch {
	case f.State == catalog.StateGone && len(f.Tombstones) > 0, f.State == catalog.StateExpired && f.ETag == "":
	case !p.older(f):
		m.unsure++
	case f.State == catalog.StateExpired:
		m.changed = f.Forget() || m.changed
	case len(f.Tombstones) > 0:
		f.State, f.Reason, f.Message = catalog.StateGone, "", ""
		m.changed = true
	case f.Published != "":
		f.SHA256 = f.Published
		f.Expire(p.now)
		f.Forget()
		m.changed = true
	default:
		m.missing[f.Name] = true
	}
}

// bury applies the standing Yanks, so that a file they match never gets onto a
// page, not even between two reconciles of the Yank.
func (p *project) bury(c *catalog.Catalog, rules []Rule) (changed bool) {
	for _, rule := range rules {
		if rule.InForce != nil && !rule.InForce() {
			continue
		}
		for i := range c.Files {
			if rule.Selector.Matches(p.ref.Project, p.ref.Channel, &c.Files[i]) && c.Files[i].Bury(rule.Tombstone) {
				changed = true
			}
		}
	}
	return changed
}

// candidate is a file of this project that is to be judged; entry is nil if the
// catalog has none. It holds on to neither the catalog nor the listing: a large
// file is judged for minutes.
func (p *project) candidate(entry *catalog.File, obj *object, rules []Rule) candidate {
	if entry != nil {
		alone := *entry
		entry = &alone
	}
	ref := p.ref
	return candidate{
		ref: ref, key: p.prefix + obj.name, obj: *obj, entry: entry,
		outOfReach: func(f *catalog.File) bool {
			return entry != nil && hidden(entry) || slices.ContainsFunc(rules, func(r Rule) bool {
				return r.Tombstone.Mode.BlocksAccess() && r.Selector.Matches(ref.Project, ref.Channel, f)
			})
		},
	}
}

// unjudged are the stored files of which nothing is known.
func (p *project) unjudged(c *catalog.Catalog, rules []Rule) (out []candidate) {
	for entry, obj := range p.pairs(c) {
		if obj != nil && decide(entry, obj, p.archive(), p.trust) == judgeIt {
			out = append(out, p.candidate(entry, obj, rules))
		}
	}
	return out
}
