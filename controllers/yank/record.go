package yank

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/probe"
)

// recordFormat is the version of the record's stored form.
const recordFormat = 1

// Record is everything that was done for one Yank, with the evidence. It lies in
// the bucket, beside the catalogs, and outlives the resource and the cluster.
// The bucket keeps each version that was written.
type Record struct {
	Format   int    `json:"format"`
	Platform string `json:"platform"`
	// Yank is the resource this record is about.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	// Spec is what was asked for when the record was last written.
	Spec      v1alpha1.YankSpec `json:"spec"`
	Requester string            `json:"requester,omitempty"`
	// Asked is when the resource was created.
	Asked    time.Time `json:"asked"`
	Planned  time.Time `json:"planned"`
	Warnings []string  `json:"warnings,omitempty"`
	// Limits says what no server can reach.
	Limits string `json:"limits"`

	Artifacts []Artifact `json:"artifacts"`
	Purges    []Purge    `json:"purges,omitempty"`
	// Pages are the last answers of the public index pages.
	Pages []probe.Result `json:"pages,omitempty"`
	// Restored is when a deleted Yank put its files back.
	Restored time.Time `json:"restored,omitzero"`

	// etag and bytes of the stored record, for the compare-and-swap.
	etag, stored string
}

// limits stands in every record.
const limits = "Copies in the caches of clients (pip, uv, proxies of third parties) cannot be reached from here: they are not asked again until they expire. Publish an advisory that names the hashes."

// Artifact is one file and what was done to it.
type Artifact struct {
	Key       string               `json:"key"`
	Channel   v1alpha1.ChannelName `json:"channel"`
	Project   string               `json:"project"`
	SHA256    string               `json:"sha256,omitempty"`
	SizeBytes int64                `json:"sizeBytes"`
	ETag      string               `json:"etag,omitempty"`
	VersionID string               `json:"versionID,omitempty"`
	// URL of a file that the lane only linked to: its bytes are another index's,
	// and no Yank reaches them.
	URL      string    `json:"url,omitempty"`
	Uploaded time.Time `json:"uploaded"`

	// Mode is how far these times speak of.
	Mode       v1alpha1.YankMode `json:"mode"`
	Tombstoned time.Time         `json:"tombstoned,omitzero"`
	// Revision of the catalog that first held the tombstone: its pages are the
	// ones to purge.
	Revision  int64     `json:"revision,omitempty"`
	Published time.Time `json:"published,omitzero"`
	Bytes     time.Time `json:"bytes,omitzero"`
	Purged    time.Time `json:"purged,omitzero"`
	Verified  time.Time `json:"verified,omitzero"`
	// Tries counts the probes that proved nothing or too much, up to manyTries.
	Tries int `json:"tries,omitempty"`

	// Stores tell what became of the bytes in each store.
	Stores []StoreEvidence `json:"stores,omitempty"`
	// Probes are the last answers of the public URLs.
	Probes []probe.Result `json:"probes,omitempty"`
}

// StoreEvidence is what became of one file, and what belongs to it, in one
// store.
type StoreEvidence struct {
	Store    string            `json:"store"`
	Versions []VersionEvidence `json:"versions,omitempty"`
	// AbortedUploads counts unfinished multipart uploads of the key.
	AbortedUploads int `json:"abortedUploads,omitempty"`
}

// VersionEvidence is one stored version.
type VersionEvidence struct {
	Key       string    `json:"key"`
	VersionID string    `json:"versionID"`
	ETag      string    `json:"etag,omitempty"`
	SizeBytes int64     `json:"sizeBytes"`
	Stored    time.Time `json:"stored"`
	// Fate is Found (about to be destroyed), Hidden (kept, behind a delete
	// marker), Moved (kept below the private quarantine folder) or Destroyed.
	Fate string `json:"fate"`
}

// The fates of a version.
const (
	fateFound     = "Found"
	fateHidden    = "Hidden"
	fateMoved     = "Moved"
	fateDestroyed = "Destroyed"
)

// Purge is one invalidation.
type Purge struct {
	Token     string    `json:"token"`
	ID        string    `json:"id"`
	Paths     []string  `json:"paths"`
	Requested time.Time `json:"requested"`
	Completed time.Time `json:"completed,omitzero"`
}

// find returns the artifact of a key, or nil.
func (r *Record) find(key string) *Artifact {
	i, ok := slices.BinarySearchFunc(r.Artifacts, key, func(a Artifact, k string) int { return strings.Compare(a.Key, k) })
	if !ok {
		return nil
	}
	return &r.Artifacts[i]
}

// enter adds a selected file, or takes note that its bytes or the mode changed
// and that everything has to be done again for it.
func (r *Record) enter(key string, c *catalog.Catalog, f *catalog.File, mode v1alpha1.YankMode) {
	fresh := Artifact{
		Key: key, Channel: c.Channel, Project: c.Project, SHA256: f.SHA256, SizeBytes: f.Size,
		ETag: f.ETag, VersionID: f.VersionID, URL: f.URL(), Uploaded: f.UploadTime, Mode: mode,
	}
	have := r.find(key)
	if have == nil {
		i, _ := slices.BinarySearchFunc(r.Artifacts, key, func(a Artifact, k string) int { return strings.Compare(a.Key, k) })
		r.Artifacts = slices.Insert(r.Artifacts, i, fresh)
		return
	}
	back := f.State != catalog.StateGone && mode.BlocksAccess() && !have.Bytes.IsZero()
	if have.Mode == mode && !back && (have.ETag == f.ETag || f.State == catalog.StateGone) {
		return
	}
	fresh.Stores = have.Stores // What was destroyed or hidden before stays on record.
	if fresh.SHA256 == "" {
		fresh.SHA256 = have.SHA256
	}
	if f.State == catalog.StateGone {
		fresh.URL = have.URL // What was another index's does not become the lane's by going.
	}
	*have = fresh
}

// pending are the artifacts that still lack a step.
func (r *Record) pending(lacks func(*Artifact) bool) []*Artifact {
	var out []*Artifact
	for i := range r.Artifacts {
		if lacks(&r.Artifacts[i]) {
			out = append(out, &r.Artifacts[i])
		}
	}
	return out
}

// ref names the catalog that the file is in.
func (a *Artifact) ref(platform string) index.Ref {
	return index.Ref{Platform: platform, Channel: a.Channel, Project: a.Project}
}

func (a *Artifact) evidence(store string) *StoreEvidence {
	for i := range a.Stores {
		if a.Stores[i].Store == store {
			return &a.Stores[i]
		}
	}
	a.Stores = append(a.Stores, StoreEvidence{Store: store})
	return &a.Stores[len(a.Stores)-1]
}

// note records a version's fate, once. The ETag tells apart what a store without
// versions held one after the other.
func (e *StoreEvidence) note(v objectstore.Version, fate string) {
	for i := range e.Versions {
		if e.Versions[i].Key == v.Key && e.Versions[i].VersionID == v.ID && e.Versions[i].ETag == v.ETag {
			e.Versions[i].Fate = fate
			return
		}
	}
	e.Versions = append(e.Versions, VersionEvidence{
		Key: v.Key, VersionID: v.ID, ETag: v.ETag, SizeBytes: v.Size, Stored: v.LastModified.UTC(), Fate: fate,
	})
}

// nothingLeft notes that every version is destroyed, those included that a pass
// destroyed which was cut short.
func (e *StoreEvidence) nothingLeft() {
	for i := range e.Versions {
		e.Versions[i].Fate = fateDestroyed
	}
}

// loadRecord reads the record of a Yank, or starts one.
func loadRecord(ctx context.Context, store objectstore.Store, platform, uid string) (*Record, error) {
	key := layout.YankRecordKey(platform, uid)
	data, info, err := objectstore.ReadAll(ctx, store, key, 0)
	if errors.Is(err, objectstore.ErrNotFound) {
		return &Record{Format: recordFormat, Platform: platform, UID: uid, Limits: limits}, nil
	}
	if err != nil {
		return nil, err
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read record %s in bucket %s: %w; restore its last version", key, store.Bucket(), err)
	}
	if r.Format != recordFormat || r.UID != uid || r.Platform != platform {
		return nil, fmt.Errorf("record %s in bucket %s is not that of this Yank, or of another operator version; restore its last version", key, store.Bucket())
	}
	r.etag, r.stored = info.ETag, string(data)
	return &r, nil
}

// save writes the record over exactly the version that was read, unless it says
// the same already.
func (r *Record) save(ctx context.Context, store objectstore.Store) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if string(data) == r.stored {
		return nil
	}
	written, err := store.Put(ctx, layout.YankRecordKey(r.Platform, r.UID), data, objectstore.PutOptions{
		ContentType: "application/json", CacheControl: "no-store", IfMatch: r.etag, IfNoneMatch: r.etag == "",
	})
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	r.etag, r.stored = written.ETag, string(data)
	return nil
}
