package index

import (
	"context"
	"crypto/md5" //nolint:gosec // An S3 ETag is an MD5 sum; nothing relies on it being hard to forge.
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/provenance"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// sidecarType is what a METADATA file is served as: bytes that nobody renders.
const sidecarType = "application/octet-stream"

// candidate is a stored file to be judged.
type candidate struct {
	ref Ref
	// key and obj are what is stored.
	key string
	obj object
	// entry is what the catalog says of the name; nil if nothing.
	entry *catalog.File
	// signers are those whose attestations count; see Engine.trust for trust.
	signers []provenance.Identity
	trust   string
	// outOfReach tells whether a Yank puts a file with this entry out of reach.
	outOfReach func(*catalog.File) bool
}

// archive is true for an archive of libtorch, which has no METADATA.
func (c *candidate) archive() bool { return c.ref.Project == v1alpha1.LibtorchPackage }

// known is true if exactly these bytes were judged good before: all that is
// wanted then is the METADATA file.
func (c *candidate) known() bool {
	return c.entry != nil && c.entry.ETag == c.obj.etag && c.entry.SHA256 != "" &&
		(c.entry.State == catalog.StateListed || c.entry.State == catalog.StateOverwritten || c.entry.State == catalog.StateUnattested)
}

// verdict is what was found out about a stored file.
type verdict struct {
	file catalog.File
	// mended is true when another METADATA file lay beside it and was replaced:
	// caches may hold that one.
	mended bool
}

// judge reads one stored file and says what its catalog entry is. It publishes
// the METADATA file beside a good wheel first, so that no page ever names a
// METADATA file that is not there; not beside one that a Yank puts out of reach,
// whose entry then names none. An error means that the file could not be read,
// which proves nothing about it.
func (e *Engine) judge(ctx context.Context, rules wheel.Rules, c candidate) (v verdict, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.limits.JudgeTimeout)
	defer cancel()

	store := e.Primary().Store
	info, err := store.Head(ctx, c.key)
	if err != nil {
		return verdict{}, err
	}
	if info.ETag != c.obj.etag {
		return verdict{}, fmt.Errorf("%s changed while it was being judged; the next sync judges it again", c.key)
	}
	file := &v.file
	*file = catalog.File{
		Name:       c.obj.name,
		ETag:       info.ETag,
		VersionID:  info.VersionID,
		Size:       info.Size,
		UploadTime: info.LastModified.UTC(),
		State:      catalog.StateListed,
	}
	metadata, err := e.inspect(ctx, rules, c, file)
	if err != nil {
		return verdict{}, err
	}
	// A rejected file is hashed too: a Yank may name it by its hash, and it can
	// still be fetched by its address.
	if c.known() && info.SHA256 == "" {
		file.SHA256 = c.entry.SHA256
	} else if file.SHA256, err = hashOf(ctx, store, c.key, info); err != nil {
		return verdict{}, err
	}
	if file.State != catalog.StateListed || c.outOfReach(file) {
		return v, nil
	}
	if err := e.attest(ctx, c, file); err != nil {
		return verdict{}, err
	}
	if metadata == nil {
		return v, nil
	}
	file.MetadataSHA256 = metadata.MetadataSHA256
	file.MetadataETag, v.mended, err = e.putSidecar(ctx, c, metadata.Metadata)
	return v, err
}

// inspect looks into the file and fills in what it finds. It returns what is to
// be published beside a good wheel; nil for anything else.
func (e *Engine) inspect(ctx context.Context, rules wheel.Rules, c candidate, file *catalog.File) (*wheel.Verdict, error) {
	read := wheel.File{Name: file.Name, Size: file.Size, Read: ranges(e.Primary().Store, c.key, file.ETag)}
	if c.archive() {
		return nil, e.inspectArchive(ctx, rules, c, read, file)
	}
	if parsed, err := wheel.ParseFilename(file.Name); err == nil {
		// A Yank may name a rejected file by its version, too.
		file.Version = parsed.Version.String()
		if c.known() {
			// It stays what it is, whatever the lane's rules are today.
			rules.Packages, rules.MaxBytes = []string{parsed.Project}, 0
		}
	}
	found, err := wheel.Judge(ctx, read, rules)
	if err := settle(file, err); err != nil || file.State != catalog.StateListed {
		return nil, err
	}
	file.RequiresPython = found.RequiresPython
	return &found, nil
}

func (e *Engine) inspectArchive(ctx context.Context, rules wheel.Rules, c candidate, read wheel.File, file *catalog.File) error {
	if parsed, err := wheel.ParseLibtorchFilename(file.Name); err == nil && !parsed.Latest {
		file.Version = parsed.Version.String()
	}
	if c.known() {
		rules.Packages, rules.MaxBytes = []string{wheel.LibtorchPackage}, 0
	}
	_, err := wheel.JudgeArchive(ctx, read, rules)
	return settle(file, err)
}

// settle notes a rejection in the entry. Any other error is returned.
func settle(file *catalog.File, err error) error {
	var rejection *wheel.Rejection
	if errors.As(err, &rejection) {
		file.State, file.Reason, file.Message = catalog.StateRejected, string(rejection.Reason), rejection.Message
		return nil
	}
	return err
}

// ranges reads parts of exactly the bytes that were listed.
func ranges(store objectstore.Store, key, etag string) wheel.RangeReader {
	return func(ctx context.Context, offset, length int64) ([]byte, error) {
		if length == 0 {
			return nil, nil
		}
		body, _, err := store.Get(ctx, key, objectstore.GetOptions{Offset: offset, Length: length, IfMatch: etag})
		if err != nil {
			return nil, err
		}
		defer func() { _ = body.Close() }()
		data := make([]byte, length)
		if _, err := io.ReadFull(body, data); err != nil {
			return nil, fmt.Errorf("read %s: %w", key, err)
		}
		return data, nil
	}
}

// hashOf is the file's SHA-256: the store's own full-object checksum, or one
// pass over the bytes in constant memory.
func hashOf(ctx context.Context, store objectstore.Store, key string, info objectstore.Info) (string, error) {
	if info.SHA256 != "" {
		return info.SHA256, nil
	}
	body, _, err := store.Get(ctx, key, objectstore.GetOptions{IfMatch: info.ETag})
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	sum := sha256.New()
	n, err := io.Copy(sum, body)
	if err != nil {
		return "", fmt.Errorf("hash %s: %w", key, err)
	}
	if n != info.Size {
		return "", fmt.Errorf("hash %s: got %d of %d bytes", key, n, info.Size)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// putSidecar publishes the METADATA file unless the listing shows exactly that
// file already, and returns its ETag, and whether another one lay there. Engines
// that judge the same wheel write the same file. If the wheel was replaced
// meanwhile, the next Sync finds that this file is not the one in the catalog.
func (e *Engine) putSidecar(ctx context.Context, c candidate, data []byte) (etag string, mended bool, err error) {
	have, name := c.obj.metadata, c.obj.name+layout.MetadataSuffix
	if have != "" && have == md5Hex(data) {
		return have, false, nil
	}
	if have != "" {
		// Caches keep these files for long: whatever lay there must go, and a
		// crash after the write must not forget it.
		if err := e.oweCopy(ctx, c.ref, name); err != nil {
			return "", false, err
		}
	}
	written, err := e.Primary().Store.Put(ctx, c.key+layout.MetadataSuffix, data, objectstore.PutOptions{ContentType: sidecarType, CacheControl: pages.CacheControlFile})
	return written.ETag, have != "", err
}

func md5Hex(data []byte) string {
	sum := md5.Sum(data) //nolint:gosec // See the import.
	return hex.EncodeToString(sum[:])
}
