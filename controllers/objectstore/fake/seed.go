package fake

import (
	"crypto/md5" //nolint:gosec // S3 defines ETags by MD5.
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// What follows is what others do to a bucket: it is neither counted nor failed.

// SeedOptions describe an object that somebody else uploads.
type SeedOptions struct {
	ContentType  string
	CacheControl string
	// Modified is when it was written; zero means now.
	Modified time.Time
	// NoChecksum leaves out the full-object SHA-256, as most clients do.
	NoChecksum bool
}

// Seed uploads an object in one part.
func (s *Store) Seed(key string, body []byte, opts SeedOptions) objectstore.Written {
	return s.seed(key, newVersion(body), opts)
}

// SeedMultipart uploads an object in several parts: its ETag is composite and
// it has no full-object SHA-256.
func (s *Store) SeedMultipart(key string, opts SeedOptions, parts ...[]byte) objectstore.Written {
	v := newVersion(slices.Concat(parts...))
	v.etag = compositeETag(parts)
	opts.NoChecksum = true
	return s.seed(key, v, opts)
}

func (s *Store) seed(key string, v *version, opts SeedOptions) objectstore.Written {
	v.contentType, v.cacheControl = opts.ContentType, opts.CacheControl
	v.modified = opts.Modified.UTC().Truncate(time.Second)
	if opts.NoChecksum {
		v.sha256 = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push(key, v)
	return objectstore.Written{ETag: v.etag, VersionID: s.answerID(v)}
}

// SeedDelete deletes an object, as the bucket's owner does.
func (s *Store) SeedDelete(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current(key) != nil {
		s.drop(key)
	}
}

// upload is an unfinished multipart upload.
type upload struct {
	key, id   string
	initiated time.Time
}

// StartUpload begins a multipart upload that nobody finishes and returns its
// id.
func (s *Store) StartUpload(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	u := &upload{key: key, id: fmt.Sprintf("u%08d", s.seq), initiated: s.now()}
	s.uploads = append(s.uploads, u)
	return u.id
}

// SetLocked puts one version under Object Lock, or releases it. It panics when
// there is no such version: a test would otherwise test nothing.
func (s *Store) SetLocked(key, versionID string, locked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.find(key, versionID)
	if v == nil {
		panic(fmt.Sprintf("fake: %s has no version %s", key, versionID))
	}
	v.locked = locked
}

// Tags returns the tags of one version; nil when it has none or is not there.
func (s *Store) Tags(key, versionID string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.find(key, versionID); v != nil {
		return maps.Clone(v.tags)
	}
	return nil
}

// Contents returns the current objects and their bytes by key, for a test to
// compare.
func (s *Store) Contents() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]string, len(s.keys))
	for _, key := range s.keys {
		if v := s.current(key); v != nil {
			out[key] = string(v.body)
		}
	}
	return out
}

// compositeETag is S3's ETag of a multipart upload: the MD5 over the parts'
// MD5s, and their number.
func compositeETag(parts [][]byte) string {
	var sums []byte
	for _, part := range parts {
		sum := md5.Sum(part) //nolint:gosec // see the import
		sums = append(sums, sum[:]...)
	}
	all := md5.Sum(sums) //nolint:gosec // see the import
	return fmt.Sprintf("%s-%d", hex.EncodeToString(all[:]), len(parts))
}
