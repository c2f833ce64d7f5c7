package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// sidecarType is what a METADATA file is served as: bytes that nobody renders.
const sidecarType = "application/octet-stream"

// sidecarCache lets the CDN keep a METADATA file as long as its wheel.
const sidecarCache = "public, max-age=300, s-maxage=31536000, must-revalidate"

// judge reads one stored wheel and says what its catalog entry is. It publishes
// the METADATA file beside a good one first, so that no page ever names a
// METADATA file that is not there. An error means that the file could not be
// read, which proves nothing about it. With bare no METADATA file is published:
// the wheel is one that a Yank put out of reach.
func (e *Engine) judge(ctx context.Context, rules wheel.Rules, obj, sidecar objectstore.Object, bare bool) (catalog.File, error) {
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
	verdict, err := wheel.Judge(ctx, wheel.File{Name: file.Name, Size: file.Size, Read: ranges(store, obj)}, rules)
	var rejection *wheel.Rejection
	if errors.As(err, &rejection) {
		file.State, file.Reason, file.Message = catalog.StateRejected, string(rejection.Reason), rejection.Message
	} else if err != nil {
		return catalog.File{}, err
	}
	// A rejected file is hashed too: a Yank may name it by its hash, and it can
	// still be fetched by its address.
	if file.SHA256, err = hashOf(ctx, store, obj, info); err != nil {
		return catalog.File{}, err
	}
	if file.State != catalog.StateListed {
		return file, nil
	}
	file.Version, file.RequiresPython = verdict.Filename.Version.String(), verdict.RequiresPython
	file.MetadataSHA256 = verdict.MetadataSHA256
	if bare {
		return file, nil
	}
	file.MetadataETag, err = putSidecar(ctx, store, obj.Key+layout.MetadataSuffix, verdict.Metadata, sidecar)
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
// file already, and returns its ETag.
func putSidecar(ctx context.Context, store objectstore.Store, key string, data []byte, have objectstore.Object) (string, error) {
	if have.ETag != "" && have.ETag == md5Hex(data) {
		return have.ETag, nil
	}
	written, err := store.Put(ctx, key, data, objectstore.PutOptions{ContentType: sidecarType, CacheControl: sidecarCache})
	return written.ETag, err
}
