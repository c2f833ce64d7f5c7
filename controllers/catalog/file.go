package catalog

import (
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

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
	if !yanked && f.Link != nil && f.Link.Yanked {
		return true, true, f.Link.YankReason
	}
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
	if t.SHA256 == "" && (f.State == StateListed || f.State == StateUnattested) {
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

// Expire takes the file off the page for good, at the given time. What is left
// of the entry is the name and the hash, to which no other bytes may come back,
// and, until Forget, the bytes that are still to go.
func (f *File) Expire(now time.Time) {
	f.State, f.Reason, f.Message = StateExpired, "", ""
	f.RequiresPython, f.MetadataSHA256, f.MetadataETag, f.Provenance = "", "", "", ""
	f.ProvenanceETag, f.ProvenanceUnder, f.ProvenanceReason, f.ProvenanceMessage = "", "", "", ""
	f.DueTime, f.Published = now, f.SHA256
}

// Forget notes that the bytes of an expired file are gone. It tells whether they
// were still to go.
func (f *File) Forget() bool {
	if f.ETag == "" && f.VersionID == "" {
		return false
	}
	f.ETag, f.VersionID = "", ""
	return true
}
