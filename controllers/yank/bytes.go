package yank

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// quarantineTag marks the versions that a Yank hides.
const quarantineTag = "quarantined-by"

// bytes takes stored bytes away in one store, and gives them back.
type bytes struct {
	store     objectstore.Store
	uid       string
	versioned bool
}

// family are a file's key and those of its sidecars, which share its fate.
func family(key string) []string {
	return []string{key, key + layout.MetadataSuffix, key + layout.ProvenanceSuffix}
}

// belongs tells whether a key is the file or one of its sidecars.
func belongs(key, file string) bool {
	rest, ok := strings.CutPrefix(key, file)
	return ok && (rest == "" || rest == layout.MetadataSuffix || rest == layout.ProvenanceSuffix)
}

// movedKey is where a store without versions keeps quarantined bytes.
func movedKey(uid, key string) string { return layout.Private + "quarantine/" + uid + "/" + key }

// versions are all versions and markers of a file and its sidecars, the newest
// of each key first.
func (b bytes) versions(ctx context.Context, key string) ([]objectstore.Version, error) {
	var out []objectstore.Version
	for v, err := range b.store.ListVersions(ctx, key) {
		if err != nil {
			return nil, err
		}
		if belongs(v.Key, key) {
			out = append(out, v)
		}
	}
	return out, nil
}

// hide keeps the bytes and puts them out of everybody's reach: every version is
// tagged, then a delete marker goes on top. Where there are no versions, the
// bytes move below the private quarantine folder.
func (b bytes) hide(ctx context.Context, key string, evidence *StoreEvidence) error {
	if !b.versioned {
		return b.move(ctx, key, evidence)
	}
	versions, err := b.versions(ctx, key)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.DeleteMarker {
			continue
		}
		if err := b.store.TagVersion(ctx, v.Key, v.ID, map[string]string{quarantineTag: b.uid}); err != nil {
			return err
		}
		evidence.note(v, fateHidden)
	}
	return b.mark(ctx, versions)
}

// mark puts a delete marker on top of what can be read.
func (b bytes) mark(ctx context.Context, versions []objectstore.Version) error {
	for _, v := range versions {
		if !v.Latest || v.DeleteMarker {
			continue
		}
		if _, err := b.store.Delete(ctx, v.Key); err != nil {
			return err
		}
	}
	return nil
}

// cover takes down what is about to be destroyed and puts it out of reach in one
// stroke. Without that the versions would come to light one after the other as
// they are destroyed, and one that a lock keeps would stay in the light.
func (b bytes) cover(ctx context.Context, key string, evidence *StoreEvidence) error {
	versions, err := b.versions(ctx, key)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if !v.DeleteMarker {
			evidence.note(v, fateFound)
		}
	}
	if !b.versioned {
		return nil // A marker would take the place of a version.
	}
	return b.mark(ctx, versions)
}

// move copies the bytes below the private quarantine folder, checks the copy
// against the original, and only then deletes the original.
func (b bytes) move(ctx context.Context, key string, evidence *StoreEvidence) error {
	for _, from := range family(key) {
		to := movedKey(b.uid, from)
		info, err := b.store.Head(ctx, from)
		if errors.Is(err, objectstore.ErrNotFound) {
			// A pass that was cut short may have moved it: it must not be missing
			// from the record.
			if info, err = b.store.Head(ctx, to); err == nil {
				info.Key = from
				evidence.note(objectstore.Version{Object: info.Object}, fateMoved)
			}
			if err == nil || errors.Is(err, objectstore.ErrNotFound) {
				continue
			}
		}
		if err != nil {
			return err
		}
		if err := b.moveOne(ctx, from, to); err != nil {
			return err
		}
		evidence.note(objectstore.Version{Object: info.Object}, fateMoved)
	}
	return nil
}

func (b bytes) moveOne(ctx context.Context, from, to string) error {
	if _, err := b.store.Copy(ctx, from, to); err != nil {
		return err
	}
	want, err := hashOf(ctx, b.store, from, "")
	if err != nil {
		return err
	}
	got, err := hashOf(ctx, b.store, to, "")
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s: the copy at %s has other bytes; the original stays where it is", from, to)
	}
	_, err = b.store.Delete(ctx, from)
	return err
}

// destroy ends unfinished uploads of the key and deletes every version and
// marker of the file and its sidecars, and of the copies that the given Yanks
// moved away.
func (b bytes) destroy(ctx context.Context, key string, holders []string, evidence *StoreEvidence) error {
	aborted, err := b.abort(ctx, key)
	evidence.AbortedUploads += aborted
	if err != nil {
		return err
	}
	keys := []string{key}
	for _, uid := range holders {
		keys = append(keys, movedKey(uid, key))
	}
	for _, key := range keys {
		if err := b.destroyVersions(ctx, key, evidence); err != nil {
			return err
		}
	}
	// Once more: what was written meanwhile would otherwise survive.
	left, err := b.versions(ctx, key)
	if err != nil {
		return err
	}
	aborted, err = b.abort(ctx, key)
	evidence.AbortedUploads += aborted
	if err != nil {
		return err
	}
	if len(left)+aborted > 0 {
		return fmt.Errorf("%s: %d versions and %d uploads were begun while it was being destroyed", key, len(left), aborted)
	}
	evidence.nothingLeft()
	return nil
}

// destroyVersions deletes versions before markers: the marker on top is what
// keeps them out of reach until they are gone. A version that a lock keeps does
// not spare the others.
func (b bytes) destroyVersions(ctx context.Context, key string, evidence *StoreEvidence) error {
	versions, err := b.versions(ctx, key)
	if err != nil {
		return err
	}
	var locked error
	for _, markers := range []bool{false, true} {
		for _, v := range versions {
			if v.DeleteMarker != markers {
				continue
			}
			err := b.store.DeleteVersion(ctx, v.Key, v.ID)
			switch {
			case errors.Is(err, objectstore.ErrLocked):
				locked = errors.Join(locked, err)
			case err != nil:
				return err
			case !v.DeleteMarker:
				evidence.note(v, fateDestroyed)
			}
		}
		if locked != nil {
			return locked
		}
	}
	return nil
}

// abort ends unfinished uploads of a file and its sidecars.
func (b bytes) abort(ctx context.Context, key string) (aborted int, err error) {
	for upload, err := range b.store.ListUploads(ctx, key) {
		if err != nil {
			return aborted, err
		}
		if !belongs(upload.Key, key) {
			continue
		}
		if err := b.store.AbortUpload(ctx, upload.Key, upload.ID); err != nil {
			return aborted, err
		}
		aborted++
	}
	return aborted, nil
}

// kept finds the bytes of a key that was hidden: its newest version, or the copy
// below the quarantine folder. ErrNotFound if there are none.
func (b bytes) kept(ctx context.Context, key string) (at, version string, err error) {
	versions, err := b.versions(ctx, key)
	if err != nil {
		return "", "", err
	}
	for _, v := range versions {
		if v.Key != key || v.DeleteMarker {
			continue
		}
		if !b.versioned && !v.Latest {
			continue
		}
		if b.versioned {
			version = v.ID
		}
		return key, version, nil
	}
	moved := movedKey(b.uid, key)
	_, err = b.store.Head(ctx, moved)
	return moved, "", err
}

// unhide takes the delete markers off the file and its sidecars, or copies the
// bytes back from the quarantine folder.
func (b bytes) unhide(ctx context.Context, key, keptAt string) error {
	if keptAt != key {
		for _, to := range family(key) {
			_, err := b.store.Copy(ctx, movedKey(b.uid, to), to)
			if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
				return err
			}
		}
		return nil
	}
	versions, err := b.versions(ctx, key)
	if err != nil {
		return err
	}
	onTop := map[string]bool{}
	for _, v := range versions {
		if v.Latest {
			onTop[v.Key] = true
		}
		if !v.DeleteMarker {
			onTop[v.Key] = false // Markers below a version do no harm.
		}
		if v.DeleteMarker && onTop[v.Key] {
			if err := b.store.DeleteVersion(ctx, v.Key, v.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// hashOf is the SHA-256 of stored bytes, in lower-case hexadecimal; an empty
// version is the current one.
func hashOf(ctx context.Context, store objectstore.Store, key, version string) (string, error) {
	body, info, err := store.Get(ctx, key, objectstore.GetOptions{VersionID: version})
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, body)
	if err == nil && n != info.Size {
		err = fmt.Errorf("%s: got %d of %d bytes", key, n, info.Size)
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}
