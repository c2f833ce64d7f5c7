package index

import (
	"context"
	"crypto/md5" //nolint:gosec // An S3 ETag is an MD5 sum; nothing relies on it being hard to forge.
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// sidecarType is what a METADATA file is served as: bytes that nobody renders.
const sidecarType = "application/octet-stream"

// candidate is a stored wheel to be judged.
type candidate struct {
	obj objectstore.Object
	// sidecar is the METADATA file that lies beside it, if there is one.
	sidecar objectstore.Object
	// entry is what the catalog says of the name; nil if nothing.
	entry *catalog.File
	// outOfReach tells whether a Yank puts a file with this entry out of reach.
	outOfReach func(*catalog.File) bool
}

// known is true if exactly these bytes were judged good before: all that is
// wanted then is the METADATA file.
func (c *candidate) known() bool {
	return c.entry != nil && c.entry.ETag == c.obj.ETag && c.entry.SHA256 != "" &&
		(c.entry.State == catalog.StateListed || c.entry.State == catalog.StateOverwritten)
}

// judge reads one stored wheel and says what its catalog entry is. It publishes
// the METADATA file beside a good one first, so that no page ever names a
// METADATA file that is not there; not beside one that a Yank puts out of reach,
// whose entry then names none. An error means that the file could not be read,
// which proves nothing about it.
func (e *Engine) judge(ctx context.Context, rules wheel.Rules, c candidate) (catalog.File, error) {
	obj := c.obj
	release, err := e.acquire(ctx)
	if err != nil {
		return catalog.File{}, err
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, e.limits.JudgeTimeout)
	defer cancel()

	store := e.Primary().Store
	info, err := store.Head(ctx, obj.Key)
	if err != nil {
		return catalog.File{}, err
	}
	if info.ETag != obj.ETag {
		return catalog.File{}, fmt.Errorf("%s changed while it was being judged; the next sync judges it again", obj.Key)
	}
	file := catalog.File{
		Name:       layout.FileName(obj.Key),
		ETag:       info.ETag,
		VersionID:  info.VersionID,
		Size:       info.Size,
		UploadTime: info.LastModified.UTC(),
		State:      catalog.StateListed,
	}
	if parsed, err := wheel.ParseFilename(file.Name); err == nil {
		// A Yank may name a rejected file by its version, too.
		file.Version = parsed.Version.String()
		if c.known() {
			// It stays what it is, whatever the lane's rules are today.
			rules.Packages, rules.MaxBytes = []string{parsed.Project}, 0
		}
	}
	verdict, err := wheel.Judge(ctx, wheel.File{Name: file.Name, Size: file.Size, Read: ranges(store, obj)}, rules)
	var rejection *wheel.Rejection
	if errors.As(err, &rejection) {
		file.State, file.Reason, file.Message = catalog.StateRejected, string(rejection.Reason), rejection.Message
	} else if err != nil {
		return catalog.File{}, err
	}
	// A rejected file is hashed too: a Yank may name it by its hash, and it can
	// still be fetched by its address.
	if c.known() && info.SHA256 == "" {
		file.SHA256 = c.entry.SHA256
	} else if file.SHA256, err = hashOf(ctx, store, obj, info); err != nil {
		return catalog.File{}, err
	}
	if file.State != catalog.StateListed {
		return file, nil
	}
	file.RequiresPython = verdict.RequiresPython
	if c.outOfReach(&file) {
		return file, nil
	}
	file.MetadataSHA256 = verdict.MetadataSHA256
	file.MetadataETag, err = e.putSidecar(ctx, obj.Key+layout.MetadataSuffix, verdict.Metadata, c.sidecar)
	return file, err
}

// ranges reads parts of exactly the bytes that were listed.
func ranges(store objectstore.Store, obj objectstore.Object) wheel.RangeReader {
	return func(ctx context.Context, offset, length int64) ([]byte, error) {
		if length == 0 {
			return nil, nil
		}
		body, _, err := store.Get(ctx, obj.Key, objectstore.GetOptions{Offset: offset, Length: length, IfMatch: obj.ETag})
		if err != nil {
			return nil, err
		}
		defer func() { _ = body.Close() }()
		data := make([]byte, length)
		if _, err := io.ReadFull(body, data); err != nil {
			return nil, fmt.Errorf("read %s: %w", obj.Key, err)
		}
		return data, nil
	}
}

// hashOf is the file's SHA-256: the store's own full-object checksum, or one
// pass over the bytes in constant memory.
func hashOf(ctx context.Context, store objectstore.Store, obj objectstore.Object, info objectstore.Info) (string, error) {
	if info.SHA256 != "" {
		return info.SHA256, nil
	}
	body, _, err := store.Get(ctx, obj.Key, objectstore.GetOptions{IfMatch: obj.ETag})
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, body)
	if err != nil {
		return "", fmt.Errorf("hash %s: %w", obj.Key, err)
	}
	if n != info.Size {
		return "", fmt.Errorf("hash %s: got %d of %d bytes", obj.Key, n, info.Size)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// putSidecar publishes the METADATA file unless the listing shows exactly that
// file already, and returns its ETag. Engines that judge the same wheel write
// the same file. If the wheel was replaced meanwhile, the next Sync finds that
// this file is not the one in the catalog.
func (e *Engine) putSidecar(ctx context.Context, key string, data []byte, have objectstore.Object) (string, error) {
	if have.ETag != "" && have.ETag == md5Hex(data) {
		return have.ETag, nil
	}
	if have.ETag != "" {
		// Caches keep these files for long: whatever lay there must go.
		e.owe(key)
	}
	written, err := e.Primary().Store.Put(ctx, key, data, objectstore.PutOptions{ContentType: sidecarType, CacheControl: pages.CacheControlFile})
	return written.ETag, err
}

func md5Hex(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // See the import.
	return hex.EncodeToString(sum[:])
}
