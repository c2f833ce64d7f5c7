// Package catalog holds what is known of the files of one project in one
// channel of a lane: the only state the operator keeps outside Kubernetes, and
// all that the index pages are made of.
//
// It is pure: it knows neither Kubernetes' client nor AWS.
package catalog

import (
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// Format is the version of the stored form that this package writes. It reads
// no other: a catalog written by a newer operator is never overwritten by an
// older one that would drop what it does not know.
const Format = 1

// Catalog is one project's files in one channel.
type Catalog struct {
	Format   int                  `json:"format"`
	Platform string               `json:"platform"`
	Channel  v1alpha1.ChannelName `json:"channel"`
	// Project is the normalised name (PEP 503).
	Project string `json:"project"`
	// Revision counts the writes of this catalog. It goes into the pages, so
	// that two revisions never render to the same bytes and a late writer of an
	// older page always loses its compare-and-swap.
	// It counts only writes that change a page.
	Revision int64 `json:"revision"`
	// PurgedRevision is the last revision whose pages the CDN was asked to
	// fetch anew. While it is behind Revision, a purge is owed.
	PurgedRevision int64 `json:"purgedRevision,omitempty"`
	// Retired is true after the lane was deleted: the pages list nothing.
	Retired bool `json:"retired,omitempty"`
	// Retention says under which policy files become due, and since when.
	Retention Retention `json:"retention,omitzero"`
	// Upstream says where a project comes from that the lane only links to.
	Upstream Upstream `json:"upstream,omitzero"`
	// Stale are the names of files and sidecars whose copies the CDN has still
	// to drop, in order: other bytes lay under them. A * at the end stands for
	// anything.
	Stale []string `json:"stale,omitempty"`
	// Files are sorted by name.
	Files []File `json:"files"`
}

// Retention is the policy that a catalog was last looked at with.
type Retention struct {
	// Policy in its canonical spelling; empty if everything is kept.
	Policy string `json:"policy,omitempty"`
	// Since is when the policy was first seen. Nothing goes before its effect
	// has been on show for a while.
	Since time.Time `json:"since,omitzero"`
}

// State is the judgement on a stored file.
type State string

// What a file's state may be.
const (
	// StateListed: judged good; it is on the page unless a tombstone says
	// otherwise.
	StateListed State = "Listed"
	// StateRejected: judged bad; Reason and Message say why.
	StateRejected State = "Rejected"
	// StateOverwritten: it was listed, and then other bytes were stored under
	// its name. It stays off the page until somebody decides.
	StateOverwritten State = "Overwritten"
	// StateUnattested: judged good, but the lane lists nothing without a verified
	// attestation, and this has none.
	StateUnattested State = "Unattested"
	// StateGone: the bytes are not there (any more); only a tombstone keeps the
	// entry.
	StateGone State = "Gone"
	// StateExpired: retention took it off the page; its bytes are going or gone.
	// The entry stays, so that other bytes are never listed under its name.
	StateExpired State = "Expired"
)

// File is one stored file.
type File struct {
	// Name is the file's name; its key is the channel's prefix and this.
	Name string `json:"name"`
	// ETag identifies the bytes that were judged.
	ETag string `json:"etag"`
	// VersionID of those bytes, where the store keeps versions.
	VersionID string `json:"versionID,omitempty"`
	// Size in bytes.
	Size int64 `json:"size"`
	// SHA256 of the bytes, in lower-case hexadecimal. Empty for a file that was
	// rejected before it was worth hashing.
	SHA256 string `json:"sha256,omitempty"`
	// Version is the version in the file's name (PEP 440), as written there.
	Version string `json:"version,omitempty"`
	// UploadTime is when the file was first seen stored; rewriting an object's
	// metadata does not move it.
	UploadTime time.Time `json:"uploadTime"`
	// RequiresPython as METADATA has it.
	RequiresPython string `json:"requiresPython,omitempty"`
	// MetadataSHA256 is the hash of the METADATA file published beside the
	// wheel (PEP 658); empty if there is none.
	MetadataSHA256 string `json:"metadataSHA256,omitempty"`
	// MetadataETag is the published METADATA file's ETag.
	MetadataETag string `json:"metadataETag,omitempty"`
	// Provenance is the hash of the verified attestation (PEP 740).
	Provenance string `json:"provenance,omitempty"`
	// ProvenanceETag is the ETag of the attestation that was looked at, verified
	// or not; empty if none was.
	ProvenanceETag string `json:"provenanceETag,omitempty"`
	// ProvenanceUnder stands for those whose signatures counted when it was
	// refused, and for the trust root; empty if it was not.
	ProvenanceUnder string `json:"provenanceUnder,omitempty"`
	// ProvenanceReason and ProvenanceMessage say why it was not verified.
	ProvenanceReason  string `json:"provenanceReason,omitempty"`
	ProvenanceMessage string `json:"provenanceMessage,omitempty"`

	State State `json:"state"`
	// Reason is one word, for StateRejected, StateOverwritten and StateUnattested.
	Reason string `json:"reason,omitempty"`
	// Message says what is wrong and what to do about it.
	Message string `json:"message,omitempty"`

	// DueTime is since when the retention policy no longer keeps the file; for
	// an expired one, when it was taken off the page.
	DueTime time.Time `json:"dueTime,omitzero"`

	// Published is the hash that the name stands for since retention removed the
	// file once: other bytes are not listed under it. Empty if it never did.
	Published string `json:"published,omitempty"`

	// Link is set for a file that another index publishes: its bytes are not the
	// lane's, and no object of the lane has its name.
	Link *Link `json:"link,omitempty"`

	// Tombstones are the Yanks that took this file back, by UID.
	Tombstones []Tombstone `json:"tombstones,omitempty"`
}

// Tombstone records that a Yank took the file back. It outlives the Yank
// resource and the cluster; only a restore removes it.
type Tombstone struct {
	// UID, Namespace and Name of the Yank resource.
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Mode is how far the file is taken back.
	Mode v1alpha1.YankMode `json:"mode"`
	// Reason is shown on pages and in the removal feed.
	Reason      string `json:"reason"`
	AdvisoryID  string `json:"advisoryID,omitempty"`
	AdvisoryURL string `json:"advisoryURL,omitempty"`
	// Requester is who created the Yank.
	Requester string `json:"requester,omitempty"`
	// Time of the tombstone.
	Time time.Time `json:"time"`
	// SHA256, Size and VersionID of the bytes when the tombstone was set: what
	// a restore must find again.
	SHA256    string `json:"sha256,omitempty"`
	Size      int64  `json:"size,omitempty"`
	VersionID string `json:"versionID,omitempty"`
}

// New is an empty catalog.
func New(platform string, channel v1alpha1.ChannelName, project string) *Catalog {
	return &Catalog{Format: Format, Platform: platform, Channel: channel, Project: project}
}

// Find returns the entry of a file name, or nil.
func (c *Catalog) Find(name string) *File {
	i, ok := c.search(name)
	if !ok {
		return nil
	}
	return &c.Files[i]
}

// Put adds or replaces an entry by its name. Tombstones of the entry that it
// replaces stay: a new judgement never brings a file back.
func (c *Catalog) Put(f File) {
	i, ok := c.search(f.Name)
	if ok {
		kept := c.Files[i].Tombstones
		c.Files[i] = f
		c.Files[i].Tombstones = slices.Clone(f.Tombstones)
		for _, t := range kept {
			c.Files[i].bury(t)
		}
		return
	}
	c.Files = slices.Insert(c.Files, i, f)
}

// PutAll is Put for many files of different names at once, in time that does not
// grow with their number times that of the entries.
func (c *Catalog) PutAll(files []File) {
	var fresh []File
	for i := range files {
		if _, ok := c.search(files[i].Name); ok {
			c.Put(files[i])
		} else {
			fresh = append(fresh, files[i])
		}
	}
	if len(fresh) == 0 {
		return
	}
	byName := func(a, b File) int { return strings.Compare(a.Name, b.Name) }
	slices.SortStableFunc(fresh, byName)
	last := len(c.Files) - 1
	c.Files = append(c.Files, fresh...)
	// From the end, so that each entry moves once.
	for at, next := len(c.Files)-1, len(fresh)-1; next >= 0; at-- {
		if last >= 0 && byName(c.Files[last], fresh[next]) > 0 {
			c.Files[at] = c.Files[last]
			last--
		} else {
			c.Files[at] = fresh[next]
			next--
		}
	}
}

// Drop removes an entry by its name. Entries with tombstones stay.
func (c *Catalog) Drop(name string) {
	if i, ok := c.search(name); ok && len(c.Files[i].Tombstones) == 0 {
		c.Files = slices.Delete(c.Files, i, i+1)
	}
}

// DropAll is Drop for many names at once.
func (c *Catalog) DropAll(names map[string]bool) {
	if len(names) > 0 {
		c.Files = slices.DeleteFunc(c.Files, func(f File) bool { return names[f.Name] && len(f.Tombstones) == 0 })
	}
}

// OweCopies notes files and sidecars whose copies the CDN has to drop. It tells
// whether any of them was not noted before.
func (c *Catalog) OweCopies(names ...string) (changed bool) {
	for _, name := range names {
		if i, ok := slices.BinarySearch(c.Stale, name); !ok {
			c.Stale = slices.Insert(c.Stale, i, name)
			changed = true
		}
	}
	return changed
}

// SettleCopies strikes off names that OweCopies noted. It tells whether there
// was one.
func (c *Catalog) SettleCopies(names ...string) (changed bool) {
	before := len(c.Stale)
	c.Stale = slices.DeleteFunc(c.Stale, func(name string) bool { return slices.Contains(names, name) })
	return len(c.Stale) != before
}

func (c *Catalog) search(name string) (int, bool) {
	return slices.BinarySearchFunc(c.Files, name, func(f File, n string) int { return strings.Compare(f.Name, n) })
}

// SamePages tells whether both catalogs put the same on a page, so that a write
// need not count as a new revision.
func (c *Catalog) SamePages(o *Catalog) bool {
	if c.HasPages() != o.HasPages() {
		return false
	}
	if c.Retired || o.Retired {
		return c.Retired == o.Retired
	}
	i, j := 0, 0
	for {
		mine, ok := c.nextOnPage(&i)
		other, more := o.nextOnPage(&j)
		if !ok || !more {
			return ok == more
		}
		if mine != other {
			return false
		}
	}
}

// pageEntry is all that a page says about a file.
type pageEntry struct {
	name, url, sha256, version, requiresPython, metadata, provenance, yanked string
	size                                                                     int64
	uploaded                                                                 int64
	flagged                                                                  bool
}

// nextOnPage is what pages say of the next file from i on that they list.
func (c *Catalog) nextOnPage(i *int) (entry pageEntry, ok bool) {
	for ; *i < len(c.Files); *i++ {
		f := &c.Files[*i]
		listed, flagged, reason := f.OnPage()
		if !listed {
			continue
		}
		*i++
		return pageEntry{
			f.Name, f.URL(), f.SHA256, f.Version, f.RequiresPython, f.MetadataSHA256, f.Provenance, reason,
			f.Size, f.UploadTime.UnixNano(), flagged,
		}, true
	}
	return pageEntry{}, false
}

// spare is how many files can be added to a clone before its list is copied.
const spare = 64

// Clone is a copy that shares nothing that can be changed.
func (c *Catalog) Clone() *Catalog {
	out := *c
	out.Stale = slices.Clone(c.Stale)
	if c.Files != nil {
		out.Files = append(make([]File, 0, len(c.Files)+spare), c.Files...)
	}
	for i := range out.Files {
		if f := &out.Files[i]; f.Tombstones != nil {
			f.Tombstones = slices.Clone(f.Tombstones)
		}
	}
	return &out
}

// Footprint is about how much memory the catalog takes, in bytes.
func (c *Catalog) Footprint() int64 {
	const perFile, perTombstone = 320, 256
	n := int64(len(c.Files)) * perFile
	for i := range c.Files {
		f := &c.Files[i]
		n += int64(len(f.Name) + len(f.ETag) + len(f.VersionID) + len(f.SHA256) + len(f.MetadataSHA256) + len(f.MetadataETag) + len(f.Message))
		n += int64(len(f.Tombstones)) * perTombstone
	}
	return n
}
