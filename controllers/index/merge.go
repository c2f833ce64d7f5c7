package index

import (
	"errors"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// reasonOverwritten is the rejection reason of a file whose bytes were replaced.
const reasonOverwritten = "Overwritten"

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
		case entry.State == catalog.StateOverwritten:
			return relist
		case entry.State == catalog.StateListed && !hidden(entry) && sidecar.ETag != entry.MetadataETag:
			return judgeIt
		default:
			return keep
		}
	case entry.State == catalog.StateOverwritten:
		return keep
	case entry.State == catalog.StateListed && len(entry.Tombstones) == 0:
		return markOverwritten
	default:
		return judgeIt
	}
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
	// verdicts are the files judged in this Sync, by name.
	verdicts map[string]catalog.File
	// waiting are files that this Sync does not judge any more.
	waiting map[string]bool
}

// merge brings a catalog up to date with the listing and the verdicts. It is
// called again when another writer was faster, so it decides from scratch.
func (p *project) merge(c *catalog.Catalog, rules []Rule) (changed, resurfaced bool) {
	if c.Retired {
		c.Retired, changed = false, true
	}
	for _, name := range sortedKeys(p.objects) {
		entry := c.Find(name)
		switch decide(entry, p.objects[name], p.sidecars[name+layout.MetadataSuffix]) {
		case judgeIt:
			verdict, ok := p.verdicts[name]
			if !ok || verdict.ETag != p.objects[name].ETag {
				continue
			}
			if entry != nil {
				verdict.Tombstones = entry.Tombstones
				if entry.SHA256 == verdict.SHA256 && !entry.UploadTime.IsZero() {
					verdict.UploadTime = entry.UploadTime
				}
				resurfaced = resurfaced || hidden(entry)
			}
			c.Put(verdict)
			changed = true
		case markOverwritten:
			entry.State, entry.Reason = catalog.StateOverwritten, reasonOverwritten
			entry.Message = "other bytes were uploaded under this published name; put the original version back, or publish the new file under a new version or build number and remove this one"
			changed = true
		case relist:
			entry.State, entry.Reason, entry.Message = catalog.StateListed, "", ""
			changed = true
		case keep:
		}
	}
	dropped, buried := p.dropMissing(c), p.bury(c, rules)
	return changed || dropped || buried, resurfaced
}

// bury applies the standing Yanks, so that a file they match never gets onto a
// page, not even between two reconciles of the Yank.
func (p *project) bury(c *catalog.Catalog, rules []Rule) (changed bool) {
	for _, rule := range rules {
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
func (p *project) dropMissing(c *catalog.Catalog) (changed bool) {
	var missing []string
	for i := range c.Files {
		f := &c.Files[i]
		if _, ok := p.objects[f.Name]; ok {
			continue
		}
		if len(f.Tombstones) == 0 {
			missing = append(missing, f.Name)
		} else if f.State != catalog.StateGone {
			f.State, f.Reason, f.Message = catalog.StateGone, "", ""
			changed = true
		}
	}
	for _, name := range missing {
		c.Drop(name)
	}
	return changed || len(missing) > 0
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
func group(l listing, rules wheel.Rules, known map[string]stored, ref func(string) Ref) (map[string]*project, []Rejected) {
	projects := map[string]*project{}
	at := func(name string) *project {
		if projects[name] == nil {
			projects[name] = &project{
				ref: ref(name), objects: map[string]objectstore.Object{}, sidecars: l.sidecars,
				verdicts: map[string]catalog.File{}, waiting: map[string]bool{},
			}
		}
		return projects[name]
	}
	for name := range known {
		at(name)
	}
	var rejected []Rejected
	for _, name := range sortedKeys(l.files) {
		obj := l.files[name]
		parsed, err := wheel.ParseFilename(name)
		if err == nil && known[parsed.Project].cat != nil && known[parsed.Project].cat.Find(name) != nil {
			// Judged before: it stays what it is, whatever the rules are today.
			at(parsed.Project).objects[name] = obj
			continue
		}
		if parsed, err = wheel.CheckListing(name, obj.Size, rules); err != nil {
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

func rejectedBy(key string, err error) Rejected {
	var r *wheel.Rejection
	if errors.As(err, &r) {
		return Rejected{Key: key, Reason: string(r.Reason), Message: r.Message}
	}
	return Rejected{Key: key, Reason: "Unreadable", Message: err.Error()}
}
