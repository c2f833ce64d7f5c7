package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// Kind is the sort of bucket that a test needs.
type Kind string

// The sorts of bucket.
const (
	Versioned   Kind = "versioned"
	Unversioned Kind = "unversioned"
	// ObjectLock is versioned and allows legal holds.
	ObjectLock Kind = "object-lock"
	// Missing is a bucket that does not exist.
	Missing Kind = "missing"
)

// Bucket is a Store under test, with what other clients do to a bucket and the
// port has no word for.
type Bucket struct {
	objectstore.Store
	// Tags reads the tags of one version.
	Tags func(ctx context.Context, key, versionID string) (map[string]string, error)
	// StartUpload begins a multipart upload and returns its id.
	StartUpload func(ctx context.Context, key string) (string, error)
	// PutMultipart uploads an object in parts (of 5 MiB or more, but for the
	// last), with SHA-256 checksums of each.
	PutMultipart func(ctx context.Context, key string, parts ...[]byte) error
	// Hold puts a legal hold on one version, in a bucket of kind ObjectLock.
	Hold func(ctx context.Context, key, versionID string) error
}

// Server makes buckets to test on.
type Server struct {
	// NewBucket makes an empty bucket that is removed when t ends.
	NewBucket func(t *testing.T, kind Kind) Bucket
	// Differences say where the server does not do what Amazon S3 does.
	Differences Differences
}

// Differences from Amazon S3 that were found in a server. Each is logged and
// asserted: a server that behaves like Amazon's although a difference is
// declared fails the test too.
type Differences struct {
	// MarkerCountsAsObject: to conditional writes a deleted object is still
	// there, with the ETag it had: If-None-Match is refused for good and
	// If-Match with the old ETag brings the object back. To Amazon it does not
	// exist: the first writes, the second answers 404.
	MarkerCountsAsObject bool
	// VersionsUnordered: the listing has all markers apart from all versions,
	// so that the order of those written within one tick of the server's clock
	// is lost.
	VersionsUnordered bool
}

// differs logs that a declared difference is at work.
func (s subject) differs(what string) {
	s.t.Helper()
	s.t.Logf("DIFFERENT FROM AMAZON S3: %s", what)
}

// Run runs the whole contract.
func Run(t *testing.T, server Server) {
	for _, test := range []struct {
		name string
		kind Kind
		run  func(*testing.T, subject)
	}{
		{"an object reads back as written", Versioned, readsBack},
		{"an object reads back as written, unversioned", Unversioned, readsBack},
		{"keys are raw", Versioned, keysAreRaw},
		{"ranges", Versioned, ranges},
		{"reads of one version", Versioned, readsOfVersions},
		{"reads if the ETag matches", Versioned, readsIfMatch},
		{"ReadAll keeps to its limit", Versioned, readAll},
		{"a multipart upload has no file hash", Versioned, multipartHasNoHash},
		{"conditional writes", Versioned, conditionalWrites},
		{"conditional writes, unversioned", Unversioned, conditionalWrites},
		{"of many creators one wins", Versioned, creatorsRace},
		{"of many updaters one wins", Versioned, updatersRace},
		{"a deletion leaves a marker", Versioned, deletionLeavesMarker},
		{"a deletion removes, unversioned", Unversioned, deletionRemoves},
		{"versions are destroyed one by one", Versioned, versionsAreDestroyed},
		{"a held version is locked", ObjectLock, heldIsLocked},
		{"tags", Versioned, tags},
		{"copies", Versioned, copies},
		{"copies, unversioned", Unversioned, copies},
		{"a listing is complete and in order", Versioned, listing},
		{"a listing of many pages", Versioned, listingPages},
		{"versions are listed newest first", Versioned, listingVersions},
		{"a listing of versions of many pages", Versioned, listingVersionPages},
		{"unfinished uploads", Versioned, uploads},
		{"versioning", Versioned, versioningOf(objectstore.VersioningEnabled)},
		{"versioning, unversioned", Unversioned, versioningOf(objectstore.VersioningNever)},
		{"a missing bucket", Missing, missingBucket},
		{"giving up stays visible", Versioned, givingUp},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			t.Cleanup(cancel)
			test.run(t, subject{Bucket: server.NewBucket(t, test.kind), t: t, ctx: ctx, differences: server.Differences})
		})
	}
}

// subject is one bucket in one test.
type subject struct {
	Bucket
	t           *testing.T
	ctx         context.Context
	differences Differences
}

// put writes an object or ends the test.
func (s subject) put(key, body string) objectstore.Written {
	s.t.Helper()
	written, err := s.Put(s.ctx, key, []byte(body), objectstore.PutOptions{ContentType: "text/plain"})
	s.noError(err)
	return written
}

// read opens an object and reads it all.
func (s subject) read(key string, opts objectstore.GetOptions) (string, objectstore.Info, error) {
	s.t.Helper()
	body, info, err := s.Get(s.ctx, key, opts)
	if err != nil {
		return "", info, err
	}
	data, err := io.ReadAll(body)
	if closeErr := body.Close(); err == nil {
		err = closeErr
	}
	return string(data), info, err
}

// wantBody checks the current bytes of key.
func (s subject) wantBody(key, want string) {
	s.t.Helper()
	got, _, err := s.read(key, objectstore.GetOptions{})
	s.noError(err)
	if got != want {
		s.t.Errorf("%s holds %q, want %q", key, got, want)
	}
}

// wantGone checks that key has no current object.
func (s subject) wantGone(key string) {
	s.t.Helper()
	_, err := s.Head(s.ctx, key)
	s.wantError(err, objectstore.ErrNotFound, objectstore.OpHead, key)
	_, _, err = s.read(key, objectstore.GetOptions{})
	s.wantError(err, objectstore.ErrNotFound, objectstore.OpGet, key)
}

func (s subject) noError(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("unexpected error: %v", err)
	}
}

// wantError checks that err is of kind and says where it happened.
func (s subject) wantError(err, kind error, op, key string) {
	s.t.Helper()
	if !errors.Is(err, kind) {
		s.t.Fatalf("got error %v, want %v", err, kind)
	}
	got := (*objectstore.Error)(nil)
	if !errors.As(err, &got) {
		s.t.Fatalf("error %v (%T) is not an *objectstore.Error", err, err)
	}
	if !errors.Is(got.Kind, kind) || got.Op != op || got.Bucket != s.Bucket.Bucket() || got.Key != key {
		s.t.Errorf("error says kind %v, op %s, bucket %s, key %q; want %v, %s, %s, %q",
			got.Kind, got.Op, got.Bucket, got.Key, kind, op, s.Bucket.Bucket(), key)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// collect reads a listing to its end.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}

// versionsOf describes the versions below prefix as "key=id", "+" for the
// latest and "!" for a marker.
func (s subject) versionsOf(prefix string) []string {
	s.t.Helper()
	versions, err := collect(s.ListVersions(s.ctx, prefix))
	s.noError(err)
	out := make([]string, len(versions))
	for i, v := range versions {
		out[i] = describe(v.Key, v.ID, v.Latest, v.DeleteMarker)
	}
	return out
}

func describe(key, id string, latest, marker bool) string {
	out := fmt.Sprintf("%s=%s", key, id)
	if latest {
		out += "+"
	}
	if marker {
		out += "!"
	}
	return out
}
