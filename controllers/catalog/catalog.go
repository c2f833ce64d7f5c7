// Package catalog holds what is known of the files of one project in one
// channel of a lane: the only state the operator keeps outside Kubernetes, and
// all that the index pages are made of.
//
// It is pure: it knows neither Kubernetes' client nor AWS.
package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
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
	// Files are sorted by name.
	Files []File `json:"files"`
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
	// StateGone: the bytes are not there (any more); only a tombstone keeps the
	// entry.
	StateGone State = "Gone"
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

	State State `json:"state"`
	// Reason is one word, for StateRejected and StateOverwritten.
	Reason string `json:"reason,omitempty"`
	// Message says what is wrong and what to do about it.
	Message string `json:"message,omitempty"`

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

// Effective is the strongest tombstone on the file; ok is false if there is
// none.
func (f *File) Effective() (strongest Tombstone, ok bool) {
	for _, t := range f.Tombstones {
		if t.Mode.Rank() > strongest.Mode.Rank() {
			strongest, ok = t, true
		}
	}
	return strongest, ok
}

// OnPage tells whether pages list the file, and whether and why they mark it as
// yanked (PEP 592).
func (f *File) OnPage() (listed, flagged bool, reason string) {
	if f.State != StateListed || f.SHA256 == "" {
		return false, false, ""
	}
	t, yanked := f.Effective()
	if !yanked {
		return true, false, ""
	}
	if t.Mode == v1alpha1.YankFlag {
		return true, true, t.Reason
	}
	return false, false, ""
}

// Bury sets or raises the tombstone of one Yank on the file. It never weakens
// one, and sets none without mode or UID, which could not be read back. It tells
// whether anything changed.
func (f *File) Bury(t Tombstone) bool {
	if t.Mode.Rank() == 0 || t.UID == "" {
		return false
	}
	if t.SHA256 == "" && f.State == StateListed {
		t.SHA256, t.Size, t.VersionID = f.SHA256, f.Size, f.VersionID
	}
	return f.bury(t)
}

// bury is Bury for a tombstone that is complete.
func (f *File) bury(t Tombstone) bool {
	for i := range f.Tombstones {
		old := &f.Tombstones[i]
		if old.UID != t.UID {
			continue
		}
		if old.Mode.Rank() >= t.Mode.Rank() {
			return false
		}
		old.Mode = t.Mode
		return true
	}
	f.Tombstones = append(f.Tombstones, t)
	slices.SortFunc(f.Tombstones, func(a, b Tombstone) int { return strings.Compare(a.UID, b.UID) })
	return true
}

// Exhume removes the tombstone of one Yank. It tells whether there was one.
func (f *File) Exhume(uid string) bool {
	before := len(f.Tombstones)
	f.Tombstones = slices.DeleteFunc(f.Tombstones, func(t Tombstone) bool { return t.UID == uid })
	return len(f.Tombstones) != before
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

// Drop removes an entry by its name. Entries with tombstones stay.
func (c *Catalog) Drop(name string) {
	if i, ok := c.search(name); ok && len(c.Files[i].Tombstones) == 0 {
		c.Files = slices.Delete(c.Files, i, i+1)
	}
}

func (c *Catalog) search(name string) (int, bool) {
	return slices.BinarySearchFunc(c.Files, name, func(f File, n string) int { return strings.Compare(f.Name, n) })
}

// SamePages tells whether both catalogs put the same on a page, so that a write
// need not count as a new revision.
func (c *Catalog) SamePages(o *Catalog) bool {
	if c.Retired != o.Retired {
		return false
	}
	if c.Retired {
		return true
	}
	next, stop := iter.Pull(o.pageEntries())
	defer stop()
	for entry := range c.pageEntries() {
		if other, ok := next(); !ok || entry != other {
			return false
		}
	}
	_, more := next()
	return !more
}

// pageEntry is all that a page says about a file.
type pageEntry struct {
	name, sha256, version, requiresPython, metadata, provenance, yanked string
	size                                                                int64
	uploaded                                                            int64
	flagged                                                             bool
}

func (c *Catalog) pageEntries() iter.Seq[pageEntry] {
	return func(yield func(pageEntry) bool) {
		for i := range c.Files {
			f := &c.Files[i]
			listed, flagged, reason := f.OnPage()
			if !listed {
				continue
			}
			if !yield(pageEntry{
				f.Name, f.SHA256, f.Version, f.RequiresPython, f.MetadataSHA256, f.Provenance, reason,
				f.Size, f.UploadTime.UnixNano(), flagged,
			}) {
				return
			}
		}
	}
}

// Clone is a copy that shares nothing that can be changed.
func (c *Catalog) Clone() *Catalog {
	out := *c
	out.Files = slices.Clone(c.Files)
	for i := range out.Files {
		out.Files[i].Tombstones = slices.Clone(out.Files[i].Tombstones)
	}
	return &out
}

// Encode is the stored form: deterministic, one file a line, so that a person
// can read and compare it. It refuses what Decode would refuse, for nothing
// could be read or repaired from it any more.
func (c *Catalog) Encode() ([]byte, error) {
	if c.Format != Format {
		return nil, fmt.Errorf("write catalog: format %d, this operator writes format %d", c.Format, Format)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("write catalog: %w", err)
	}
	var b bytes.Buffer
	head := *c
	head.Files = nil
	h, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("write catalog: %w", err)
	}
	b.Write(bytes.TrimSuffix(h, []byte("null}")))
	b.WriteString("[")
	for i := range c.Files {
		line, err := json.Marshal(&c.Files[i])
		if err != nil {
			return nil, fmt.Errorf("write catalog: %q: %w", c.Files[i].Name, err)
		}
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n")
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}

// Decode reads the stored form. It refuses what it does not wholly understand:
// acting on half a catalog could list a file that was taken back.
func Decode(data []byte) (*Catalog, error) {
	var c Catalog
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(&c)
	if err != nil {
		// A newer format has fields that are unknown here: say that instead.
		var head struct {
			Format int `json:"format"`
		}
		if json.Unmarshal(data, &head) != nil || head.Format == Format {
			return nil, fmt.Errorf("read catalog: %w; restore an older version of the object", err)
		}
		c.Format = head.Format
	}
	if c.Format != Format {
		return nil, fmt.Errorf("read catalog: format %d, this operator reads format %d; run the operator version that wrote it", c.Format, Format)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read catalog: something follows its end; restore an older version of the object")
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("read catalog: %w; restore an older version of the object", err)
	}
	return &c, nil
}

// validate checks what every reader relies on.
func (c *Catalog) validate() error {
	for i := range c.Files {
		f := &c.Files[i]
		switch f.State {
		case StateListed, StateRejected, StateOverwritten, StateGone:
		default:
			return fmt.Errorf("%q has the unknown state %q", f.Name, f.State)
		}
		if i > 0 && c.Files[i-1].Name >= f.Name {
			return fmt.Errorf("files are not sorted by name at %q", f.Name)
		}
		for _, t := range f.Tombstones {
			if t.Mode.Rank() == 0 || t.UID == "" {
				return fmt.Errorf("%q has a tombstone without mode or uid", f.Name)
			}
		}
	}
	return nil
}
