package index

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
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
// is stored under its name.
func decide(entry *catalog.File, obj, sidecar objectstore.Object) action {
	switch {
	case entry == nil || entry.State == catalog.StateGone:
		return judgeIt
	case entry.ETag == obj.ETag:
		switch {
		case entry.State == catalog.StateRejected, hidden(entry):
			return keep
		case sidecar.ETag == "" || sidecar.ETag != entry.MetadataETag:
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
	ref      Ref
	objects  map[string]objectstore.Object
	sidecars map[string]objectstore.Object
	// before is the catalog as it was known before the listing; nil if it was
	// not.
	before *catalog.Catalog
	// owned is true for a package on the lane's list. It has a page even before
	// the first upload: an installer that finds none would look for the name in
	// another index.
	owned bool
	// verdicts are the files judged in this Sync, by name.
	verdicts map[string]catalog.File
}

// merged is what a merge did.
type merged struct {
	changed, resurfaced bool
	// unsure counts entries that may be newer than the listing.
	unsure int
	// relisted are the names whose original bytes are back.
	relisted []string
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
func (p *project) merge(c *catalog.Catalog, rules []Rule) (m merged) {
	if c.Retired {
		c.Retired, m.changed = false, true
	}
	for _, name := range sortedKeys(p.objects) {
		entry := c.Find(name)
		switch decide(entry, p.objects[name], p.sidecars[name+layout.MetadataSuffix]) {
		case judgeIt:
			verdict, ok := p.verdicts[name]
			if !ok {
				continue
			}
			if entry != nil {
				m.resurfaced = m.resurfaced || hidden(entry)
				succeed(&verdict, entry)
			}
			c.Put(verdict)
			m.changed = true
		case markOverwritten:
			if !p.older(entry) {
				m.unsure++
				continue
			}
			entry.State, entry.Reason, entry.Message = catalog.StateOverwritten, reasonOverwritten, messageOverwritten
			m.changed = true
		case relist:
			entry.State, entry.Reason, entry.Message = catalog.StateListed, "", ""
			m.relisted = append(m.relisted, name)
			m.changed = true
		case keep:
		}
	}
	p.dropMissing(c, &m)
	if p.bury(c, rules) {
		m.changed = true
	}
	return m
}

// succeed makes a verdict the successor of the entry of the same name. Other
// bytes under a name that was published before stay off the page, even if they
// are good and the Yank that took the first ones back is withdrawn.
func succeed(verdict, entry *catalog.File) {
	verdict.Tombstones = entry.Tombstones
	if entry.SHA256 == verdict.SHA256 && !entry.UploadTime.IsZero() {
		verdict.UploadTime = entry.UploadTime
	}
	if published := publishedHash(entry); verdict.State == catalog.StateListed && published != "" && published != verdict.SHA256 {
		verdict.State, verdict.Reason, verdict.Message = catalog.StateRejected, reasonOverwritten, messageOverwritten
		verdict.MetadataSHA256, verdict.MetadataETag = "", ""
	}
}

// publishedHash is the SHA-256 under which a name was published; empty if it
// never was.
func publishedHash(f *catalog.File) string {
	for _, t := range f.Tombstones {
		if t.SHA256 != "" {
			return t.SHA256
		}
	}
	if (f.State == catalog.StateListed || f.State == catalog.StateGone) && f.MetadataSHA256 != "" {
		return f.SHA256
	}
	return ""
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

// dropMissing forgets files that are no longer stored. What a Yank took back is
// remembered for ever.
func (p *project) dropMissing(c *catalog.Catalog, m *merged) {
	var missing []string
	for i := range c.Files {
		f := &c.Files[i]
		if _, ok := p.objects[f.Name]; ok {
			continue
		}
		switch {
		case f.State == catalog.StateGone && len(f.Tombstones) > 0:
		case !p.older(f):
			m.unsure++
		case len(f.Tombstones) > 0:
			f.State, f.Reason, f.Message = catalog.StateGone, "", ""
			m.changed = true
		default:
			missing = append(missing, f.Name)
			m.changed = true
		}
	}
	for _, name := range missing {
		c.Drop(name)
	}
}

// candidate is a file of this project that is to be judged.
func (p *project) candidate(name string, c *catalog.Catalog, rules []Rule) candidate {
	todo := candidate{obj: p.objects[name], sidecar: p.sidecars[name+layout.MetadataSuffix]}
	if c != nil {
		todo.entry = c.Find(name)
	}
	todo.outOfReach = func(f *catalog.File) bool {
		return todo.entry != nil && hidden(todo.entry) || slices.ContainsFunc(rules, func(r Rule) bool {
			return r.Tombstone.Mode.BlocksAccess() && r.Selector.Matches(p.ref.Project, p.ref.Channel, f)
		})
	}
	return todo
}

// unjudged are the listed names whose bytes nothing is known of.
func (p *project) unjudged(c *catalog.Catalog) []string {
	var names []string
	for _, name := range sortedKeys(p.objects) {
		var entry *catalog.File
		if c != nil {
			entry = c.Find(name)
		}
		if decide(entry, p.objects[name], p.sidecars[name+layout.MetadataSuffix]) == judgeIt {
			names = append(names, name)
		}
	}
	return names
}

// group sorts a listing into projects. What a file's name or size alone rules
// out belongs to none: it costs no request, is never recorded, and is looked at
// anew each time, so that a change of the lane's packages takes effect.
func group(l listing, rules wheel.Rules, known map[string]stored, fresh func(name string) *project) (map[string]*project, []Rejected) {
	projects := map[string]*project{}
	at := func(name string) *project {
		if projects[name] == nil {
			projects[name] = fresh(name)
		}
		return projects[name]
	}
	// Judged before: a file stays what it is, whatever the rules are today.
	judged := make(map[string]bool, len(l.files))
	for name, have := range known {
		p := at(name)
		for i := range have.cat.Files {
			file := have.cat.Files[i].Name
			if obj, ok := l.files[file]; ok {
				p.objects[file], judged[file] = obj, true
			}
		}
	}
	var rejected []Rejected
	for _, name := range sortedKeys(l.files) {
		if judged[name] {
			continue
		}
		obj := l.files[name]
		parsed, err := wheel.CheckListing(name, obj.Size, rules)
		if err != nil {
			rejected = append(rejected, rejectedBy(obj.Key, err))
			continue
		}
		at(parsed.Project).objects[name] = obj
	}
	for _, obj := range l.strays {
		rejected = append(rejected, Rejected{
			Key: obj.Key, Reason: "UnexpectedFolder",
			Message: "files lie directly in " + strings.TrimSuffix(l.prefix, "/") + "; upload it there, and remove this object",
		})
	}
	return projects, rejected
}

// unexpected are pages of projects that the lane does not have: the index wrote
// none of them.
func unexpected(l listing, projects map[string]*project) (rejected []Rejected) {
	for _, key := range sortedKeys(l.pages) {
		folder, _, nested := strings.Cut(strings.TrimPrefix(key, l.prefix), "/")
		if nested && projects[folder] == nil {
			rejected = append(rejected, Rejected{
				Key: key, Reason: "UnexpectedPage",
				Message: "the lane has no project " + strconv.QuoteToASCII(folder) + ", so the index did not write this page; find out who did, and remove it",
			})
		}
	}
	return rejected
}

func rejectedBy(key string, err error) Rejected {
	var r *wheel.Rejection
	if errors.As(err, &r) {
		return Rejected{Key: key, Reason: string(r.Reason), Message: r.Message}
	}
	return Rejected{Key: key, Reason: "Unreadable", Message: err.Error()}
}
