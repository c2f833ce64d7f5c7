package fake

import (
	"context"
	"crypto/md5" //nolint:gosec // S3 defines the ETag of a plain upload as its MD5.
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// Head reads the properties of the current version of key.
func (s *Store) Head(ctx context.Context, key string) (objectstore.Info, error) {
	var info objectstore.Info
	err := s.do(ctx, objectstore.OpHead, key, func() error {
		v := s.current(key)
		if v == nil {
			return objectstore.ErrNotFound
		}
		info = s.info(key, v)
		return nil
	})
	return info, err
}

// Get opens an object. As in S3 a ranged read carries no checksum.
func (s *Store) Get(ctx context.Context, key string, opts objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	var info objectstore.Info
	var body []byte
	err := s.do(ctx, objectstore.OpGet, key, func() error {
		v := s.current(key)
		if opts.VersionID != "" {
			v = s.find(key, opts.VersionID)
		}
		if v == nil || v.marker {
			return objectstore.ErrNotFound
		}
		if opts.IfMatch != "" && opts.IfMatch != v.etag {
			return objectstore.ErrPrecondition
		}
		from, to, err := selectRange(int64(len(v.body)), opts)
		if err != nil {
			return err
		}
		info, body = s.info(key, v), v.body[from:to]
		if opts.Offset != 0 || opts.Length != 0 {
			info.SHA256 = ""
		}
		return nil
	})
	if err != nil {
		return nil, objectstore.Info{}, err
	}
	return &reader{ctx: ctx, store: s, key: key, rest: body, breakAt: len(body) / 2}, info, nil
}

// selectRange gives the half-open range of bytes that opts ask for.
func selectRange(size int64, opts objectstore.GetOptions) (from, to int64, err error) {
	switch {
	case opts.Length < 0 || (opts.Offset < 0 && opts.Length != 0):
		return 0, 0, invalid("range with offset %d and length %d", opts.Offset, opts.Length)
	case opts.Offset == 0 && opts.Length == 0:
		return 0, size, nil
	case size == 0 || opts.Offset >= size:
		return 0, 0, invalid("range from %d is outside of the object's %d bytes", opts.Offset, size)
	case opts.Offset < 0:
		return max(0, size+opts.Offset), size, nil
	case opts.Length == 0:
		return opts.Offset, size, nil
	default:
		return opts.Offset, min(size, opts.Offset+opts.Length), nil
	}
}

// Put writes an object.
func (s *Store) Put(ctx context.Context, key string, body []byte, opts objectstore.PutOptions) (objectstore.Written, error) {
	var written objectstore.Written
	err := s.do(ctx, objectstore.OpPut, key, func() error {
		if err := checkKey(key); err != nil {
			return err
		}
		if int64(len(body)) > maxPutBytes {
			return invalid("%d bytes; one upload may have %d", len(body), int64(maxPutBytes))
		}
		if opts.IfMatch != "" && opts.IfNoneMatch {
			return invalid("If-Match and If-None-Match together")
		}
		old := s.current(key)
		if (opts.IfNoneMatch && old != nil) || (opts.IfMatch != "" && (old == nil || old.etag != opts.IfMatch)) {
			return objectstore.ErrPrecondition
		}
		v := newVersion(body)
		v.contentType, v.cacheControl = opts.ContentType, opts.CacheControl
		s.push(key, v)
		written = objectstore.Written{ETag: v.etag, VersionID: s.answerID(v)}
		return nil
	})
	return written, err
}

// Delete puts a delete marker on top of key, or removes it.
func (s *Store) Delete(ctx context.Context, key string) (objectstore.Deleted, error) {
	var deleted objectstore.Deleted
	err := s.do(ctx, objectstore.OpDelete, key, func() error {
		if err := checkKey(key); err != nil {
			return err
		}
		deleted.MarkerID = s.drop(key)
		return nil
	})
	return deleted, err
}

// drop is Delete without its request. It returns the marker's id.
func (s *Store) drop(key string) string {
	if s.state == objectstore.VersioningNever {
		s.remove(key, nullVersionID)
		return ""
	}
	// S3 puts a marker even where nothing is.
	marker := &version{marker: true}
	s.push(key, marker)
	return marker.id
}

// DeleteVersion destroys one version.
func (s *Store) DeleteVersion(ctx context.Context, key, versionID string) error {
	return s.do(ctx, objectstore.OpDeleteVersion, key, func() error {
		if err := checkVersion(key, versionID); err != nil {
			return err
		}
		if v := s.find(key, versionID); v != nil && v.locked {
			return objectstore.ErrLocked
		}
		s.remove(key, versionID)
		return nil
	})
}

// TagVersion replaces the tags of one version.
func (s *Store) TagVersion(ctx context.Context, key, versionID string, tags map[string]string) error {
	return s.do(ctx, objectstore.OpTagVersion, key, func() error {
		if err := checkVersion(key, versionID); err != nil {
			return err
		}
		if len(tags) > maxTags {
			return invalid("%d tags; S3 allows %d", len(tags), maxTags)
		}
		for k, v := range tags {
			if k == "" || utf8.RuneCountInString(k) > maxTagKey || utf8.RuneCountInString(v) > maxTagValue {
				return invalid("tag %q is empty or too long", k)
			}
		}
		v := s.find(key, versionID)
		if v == nil {
			return objectstore.ErrNotFound
		}
		if v.marker {
			return invalid("a delete marker has no tags")
		}
		v.tags = maps.Clone(tags)
		return nil
	})
}

// Copy copies the current bytes of one key to another.
func (s *Store) Copy(ctx context.Context, from, to string) (objectstore.Written, error) {
	var written objectstore.Written
	err := s.do(ctx, objectstore.OpCopy, to, func() error {
		if err := checkKey(to); err != nil {
			return err
		}
		if from == to {
			return invalid("%q would be copied to itself", from)
		}
		source := s.current(from)
		if source == nil {
			return objectstore.ErrNotFound
		}
		v := newVersion(source.body)
		v.contentType, v.cacheControl, v.tags = source.contentType, source.cacheControl, maps.Clone(source.tags)
		s.push(to, v)
		written = objectstore.Written{ETag: v.etag, VersionID: s.answerID(v)}
		return nil
	})
	return written, err
}

// AbortUpload ends an unfinished multipart upload.
func (s *Store) AbortUpload(ctx context.Context, key, uploadID string) error {
	return s.do(ctx, objectstore.OpAbortUpload, key, func() error {
		s.uploads = slices.DeleteFunc(s.uploads, func(u *upload) bool { return u.key == key && u.id == uploadID })
		return nil
	})
}

// Versioning tells whether the bucket keeps old versions.
func (s *Store) Versioning(ctx context.Context) (objectstore.VersioningState, error) {
	var state objectstore.VersioningState
	err := s.do(ctx, objectstore.OpVersioning, "", func() error {
		state = s.state
		return nil
	})
	return state, err
}

func (s *Store) info(key string, v *version) objectstore.Info {
	info := objectstore.Info{
		Object:       v.object(key),
		VersionID:    s.answerID(v),
		ContentType:  v.contentType,
		CacheControl: v.cacheControl,
		SHA256:       v.sha256,
	}
	if info.ContentType == "" {
		info.ContentType = defaultType
	}
	return info
}

// newVersion is what a plain upload of body stores. The body is copied: the
// caller may use its slice again.
func newVersion(body []byte) *version {
	md, sha := md5.Sum(body), sha256.Sum256(body) //nolint:gosec // see the import
	return &version{
		body:   slices.Clone(body),
		etag:   hex.EncodeToString(md[:]),
		sha256: hex.EncodeToString(sha[:]),
	}
}

func checkVersion(key, versionID string) error {
	if versionID == "" {
		return invalid("no version id given for %q", key)
	}
	return checkKey(key)
}
