package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

// MaxGet is the largest object that [ReadAll] loads into memory, in bytes.
// Catalogs and pages of a project with 100,000 files stay below it (a page of
// that size is about 45 MB).
const MaxGet = 256 << 20

// Store is one bucket. Keys are raw: a plus sign is a plus sign, nothing is
// URL-encoded. Implementations are safe for concurrent use, bound every call
// in time, retry throttling and transport failures a few times and then return
// an error that matches one of this package's sentinel errors and says which
// operation failed on which bucket and key.
type Store interface {
	// Bucket is the name of the bucket, for messages and records.
	Bucket() string

	// List yields the current objects whose key starts with prefix, in key
	// order, at the price of one request per 1,000 objects. An error ends the
	// sequence; a sequence that ends without one was complete.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// ListVersions yields every version and every delete marker of the keys
	// that start with prefix: by key, then newest first.
	ListVersions(ctx context.Context, prefix string) iter.Seq2[Version, error]

	// ListUploads yields the unfinished multipart uploads whose key starts
	// with prefix.
	ListUploads(ctx context.Context, prefix string) iter.Seq2[Upload, error]

	// Head reads the properties of the current version of key. An answer to it
	// has no body: a missing bucket is ErrNotFound here, not ErrNoBucket.
	Head(ctx context.Context, key string) (Info, error)

	// Get opens an object. The caller closes the body. Reading from the body
	// fails when the connection stalls; it is never longer than Info.Size, or
	// than the range asked for. Info.Size is always that of the whole object; a
	// range has no SHA256. A delete marker has no bytes: ErrNotFound. A range
	// that starts behind the end is ErrInvalid.
	Get(ctx context.Context, key string, opts GetOptions) (io.ReadCloser, Info, error)

	// Put writes an object of at most 5 GiB. With IfMatch or IfNoneMatch it
	// writes only if the key still is what the caller last saw and answers
	// ErrPrecondition otherwise (also for a 409 race between two writers).
	// After an error other than ErrPrecondition the write may have happened; a
	// conditional write is repeated only if the store said that it had not, so
	// that ErrPrecondition always means somebody else.
	Put(ctx context.Context, key string, body []byte, opts PutOptions) (Written, error)

	// Delete puts a delete marker on top of key (in a versioned bucket) or
	// removes it (elsewhere). A key that does not exist is not an error.
	Delete(ctx context.Context, key string) (Deleted, error)

	// DeleteVersion destroys one version, or removes one delete marker. A
	// version that does not exist is not an error. ErrLocked when Object Lock
	// or a legal hold refuses.
	DeleteVersion(ctx context.Context, key, versionID string) error

	// TagVersion replaces the tags of one version of key.
	TagVersion(ctx context.Context, key, versionID string, tags map[string]string) error

	// Copy copies the current bytes of one key to another within the bucket
	// without passing them through this process; content type and cache
	// control go along. from and to differ. It costs a Head of from; the copy
	// has a SHA256, unless it is larger than 5 GiB.
	Copy(ctx context.Context, from, to string) (Written, error)

	// AbortUpload ends an unfinished multipart upload and frees its parts. An
	// upload that does not exist is not an error.
	AbortUpload(ctx context.Context, key, uploadID string) error

	// Versioning tells whether the bucket keeps old versions. ErrNoBucket when
	// there is no such bucket.
	Versioning(ctx context.Context) (VersioningState, error)
}

// Object is one entry of a listing.
type Object struct {
	Key string
	// ETag as the store sent it, without the surrounding quotes.
	ETag string
	// Size in bytes.
	Size int64
	// LastModified is when this version was written: not the upload time of
	// the file (rewriting metadata resets it).
	LastModified time.Time
}

// Version is one version or delete marker of a key.
type Version struct {
	Object
	// ID is the version id; "null" for what was written before versioning.
	ID string
	// Latest is true for the version (or marker) that an unversioned read sees.
	Latest bool
	// DeleteMarker is true for a marker: it has no bytes.
	DeleteMarker bool
}

// Upload is an unfinished multipart upload.
type Upload struct {
	Key       string
	ID        string
	Initiated time.Time
}

// Info describes an object that was read.
type Info struct {
	Object
	VersionID    string
	ContentType  string
	CacheControl string
	// SHA256 is the store's own full-object checksum in lower-case
	// hexadecimal; empty when the store has none or only a composite one
	// (multipart uploads), which is not the file's hash.
	SHA256 string
}

// GetOptions narrow a read. The zero value reads the whole current version.
type GetOptions struct {
	VersionID string
	// Offset and Length select bytes. A negative Offset counts from the end
	// (a suffix range) and then Length must be zero. Length zero reads to the
	// end.
	Offset, Length int64
	// IfMatch fails the read with ErrPrecondition when the ETag differs.
	IfMatch string
}

// PutOptions describe a write.
type PutOptions struct {
	ContentType  string
	CacheControl string
	// IfMatch writes only over exactly this ETag.
	IfMatch string
	// IfNoneMatch writes only where no object is.
	IfNoneMatch bool
}

// Written identifies what a Put or Copy stored.
type Written struct {
	ETag      string
	VersionID string
}

// Deleted tells what a Delete left behind.
type Deleted struct {
	// MarkerID is the version id of the delete marker; empty in a bucket
	// without versioning.
	MarkerID string
}

// VersioningState is what a bucket says about keeping old versions.
type VersioningState string

// The three states of a bucket.
const (
	VersioningEnabled   VersioningState = "Enabled"
	VersioningSuspended VersioningState = "Suspended"
	VersioningNever     VersioningState = "Never"
)

// ReadAll loads a whole object of at most limit bytes ([MaxGet] if limit is
// zero). A larger one is ErrTooLarge and costs only the request that told so.
func ReadAll(ctx context.Context, s Store, key string, limit int64) ([]byte, Info, error) {
	if limit <= 0 {
		limit = MaxGet
	}
	body, info, err := s.Get(ctx, key, GetOptions{})
	if err != nil {
		return nil, Info{}, err
	}
	defer func() { _ = body.Close() }()
	if info.Size > limit {
		return nil, info, tooLarge(s, key, limit)
	}
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		if already := (*Error)(nil); !errors.As(err, &already) {
			err = &Error{Op: OpGet, Bucket: s.Bucket(), Key: key, Kind: ErrUnavailable, Cause: err}
		}
		return nil, info, err
	}
	if int64(len(data)) > limit {
		return nil, info, tooLarge(s, key, limit)
	}
	return data, info, nil
}

func tooLarge(s Store, key string, limit int64) error {
	return &Error{Op: OpGet, Bucket: s.Bucket(), Key: key, Kind: ErrTooLarge, Cause: fmt.Errorf("the limit is %d bytes", limit)}
}
