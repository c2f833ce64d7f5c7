package fake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// Limits that S3 sets and callers can run into.
const (
	maxKeyBytes   = 1024
	maxPutBytes   = 5 << 30
	maxTags       = 10
	maxTagKey     = 128
	maxTagValue   = 256
	defaultType   = "binary/octet-stream"
	nullVersionID = "null"
)

// kinds are the errors that callers tell apart.
var kinds = []error{
	objectstore.ErrNotFound, objectstore.ErrNoBucket, objectstore.ErrPrecondition,
	objectstore.ErrDenied, objectstore.ErrLocked, objectstore.ErrThrottled,
	objectstore.ErrUnavailable, objectstore.ErrInvalid, objectstore.ErrTooLarge,
}

// Store is a bucket in memory. The zero value is not usable; see [New].
type Store struct {
	name     string
	clock    func() time.Time
	pageSize int

	mu      sync.Mutex
	state   objectstore.VersioningState
	missing bool
	// keys is sorted and has exactly the keys of stacks.
	keys    []string
	stacks  map[string][]*version
	uploads []*upload
	seq     int
	calls   map[string]int
	before  Fault
	after   Fault
}

var _ objectstore.Store = (*Store)(nil)

// version is one entry in a key's stack, which is ordered from oldest to newest.
type version struct {
	id           string
	marker       bool
	body         []byte
	etag         string
	sha256       string
	contentType  string
	cacheControl string
	modified     time.Time
	tags         map[string]string
	locked       bool
}

// Option sets up a [Store].
type Option func(*Store)

// WithVersioning sets the versioning state; without it versioning is enabled.
func WithVersioning(state objectstore.VersioningState) Option {
	return func(s *Store) { s.state = state }
}

// WithClock sets where times come from; without it, the system clock. As in S3,
// times are kept in whole seconds.
func WithClock(now func() time.Time) Option {
	return func(s *Store) { s.clock = now }
}

// WithPageSize sets how many entries one listing request returns; without it
// [objectstore.ListPageSize].
func WithPageSize(n int) Option {
	return func(s *Store) { s.pageSize = n }
}

// New makes an empty bucket with versioning enabled.
func New(bucket string, opts ...Option) *Store {
	s := &Store{
		name:     bucket,
		clock:    time.Now,
		pageSize: objectstore.ListPageSize,
		state:    objectstore.VersioningEnabled,
		stacks:   map[string][]*version{},
		calls:    map[string]int{},
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Bucket is the bucket's name.
func (s *Store) Bucket() string { return s.name }

// Calls returns how often each operation was requested, by the names in
// package objectstore. A listing counts once for each page.
func (s *Store) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// ResetCalls sets all counts to zero.
func (s *Store) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.calls)
}

// SetVersioning changes the versioning state, as a bucket's owner may do at any
// time. S3 never goes back to [objectstore.VersioningNever]; nor may a test.
func (s *Store) SetVersioning(state objectstore.VersioningState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

// SetMissing makes every call behave as if the bucket did not exist. The
// contents come back with SetMissing(false).
func (s *Store) SetMissing(missing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missing = missing
}

// do runs one request: it counts, asks the faults and runs effect under the
// lock in between.
func (s *Store) do(ctx context.Context, op, key string, effect func() error) error {
	if err := ctx.Err(); err != nil {
		return s.fail(op, key, err)
	}
	s.mu.Lock()
	s.calls[op]++
	before, after := s.before, s.after
	s.mu.Unlock()

	if before != nil {
		if err := before(op, key); err != nil {
			return s.fail(op, key, err)
		}
	}
	s.mu.Lock()
	err := s.bucketError(op)
	if err == nil {
		err = effect()
	}
	s.mu.Unlock()
	if after != nil {
		if lost := after(op, key); lost != nil {
			return s.fail(op, key, lost)
		}
	}
	if err == nil {
		// A caller that gave up while the request was under way does not
		// learn its outcome.
		err = ctx.Err()
	}
	if err != nil {
		return s.fail(op, key, err)
	}
	return nil
}

// bucketError is what a missing bucket answers. An answer to HEAD has no body
// that could tell a missing bucket from a missing key.
func (s *Store) bucketError(op string) error {
	switch {
	case !s.missing:
		return nil
	case op == objectstore.OpHead:
		return objectstore.ErrNotFound
	default:
		return objectstore.ErrNoBucket
	}
}

// fail dresses err as the port promises. An error that matches none of the
// sentinel errors is a broken connection.
func (s *Store) fail(op, key string, err error) error {
	if already := (*objectstore.Error)(nil); errors.As(err, &already) {
		return err
	}
	out := &objectstore.Error{Op: op, Bucket: s.name, Key: key, Kind: objectstore.ErrUnavailable}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			out.Kind = kind
			break
		}
	}
	if err != out.Kind { //nolint:errorlint // what wraps the sentinel has more to say than the sentinel itself
		out.Cause = err
	}
	return out
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", objectstore.ErrInvalid, fmt.Sprintf(format, args...))
}

// --- the stack of versions; callers hold the lock ---

// current is the newest version of key, or nil when there is none or when it
// is a delete marker.
func (s *Store) current(key string) *version {
	stack := s.stacks[key]
	if len(stack) == 0 || stack[len(stack)-1].marker {
		return nil
	}
	return stack[len(stack)-1]
}

func (s *Store) find(key, id string) *version {
	for _, v := range s.stacks[key] {
		if v.id == id {
			return v
		}
	}
	return nil
}

// push puts v on top of key, under the rules of the versioning state, and
// gives it its id.
func (s *Store) push(key string, v *version) {
	s.seq++
	if s.state == objectstore.VersioningEnabled {
		v.id = fmt.Sprintf("v%08d", s.seq)
	} else {
		// Without versioning, or with it suspended, there is one null version
		// and a write replaces it; versions with ids stay.
		v.id = nullVersionID
		s.remove(key, nullVersionID)
	}
	if v.modified.IsZero() {
		v.modified = s.now()
	}
	if at, found := slices.BinarySearch(s.keys, key); !found {
		s.keys = slices.Insert(s.keys, at, key)
	}
	s.stacks[key] = append(s.stacks[key], v)
}

func (s *Store) remove(key, id string) {
	stack := slices.DeleteFunc(s.stacks[key], func(v *version) bool { return v.id == id })
	if len(stack) > 0 {
		s.stacks[key] = stack
		return
	}
	delete(s.stacks, key)
	if at, found := slices.BinarySearch(s.keys, key); found {
		s.keys = slices.Delete(s.keys, at, at+1)
	}
}

func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Second) }

// answerID is the version id as answers carry it: a bucket that never had
// versioning sends none.
func (s *Store) answerID(v *version) string {
	if s.state == objectstore.VersioningNever {
		return ""
	}
	return v.id
}

func checkKey(key string) error {
	switch {
	case key == "":
		return invalid("the key is empty")
	case len(key) > maxKeyBytes:
		return invalid("the key has %d bytes; S3 allows %d", len(key), maxKeyBytes)
	case strings.ContainsRune(key, 0):
		return invalid("the key contains a NUL byte")
	}
	return nil
}
