package objectstore

import (
	"errors"
	"fmt"
)

// What can go wrong, as the callers tell it apart with errors.Is.
var (
	// ErrNotFound: no such key or version.
	ErrNotFound = errors.New("not found")
	// ErrNoBucket: the bucket does not exist.
	ErrNoBucket = errors.New("bucket does not exist")
	// ErrPrecondition: somebody else wrote first (412, or 409 in a race). Read
	// again, decide again.
	ErrPrecondition = errors.New("changed by somebody else")
	// ErrDenied: the credentials may not do this (403), or are no longer valid.
	ErrDenied = errors.New("access denied")
	// ErrLocked: Object Lock or a legal hold forbids it. Retrying is no use.
	ErrLocked = errors.New("locked by Object Lock")
	// ErrThrottled: the store asks for fewer requests (503 SlowDown, 429).
	ErrThrottled = errors.New("throttled")
	// ErrUnavailable: the store cannot be reached or failed (5xx, timeouts,
	// broken connections). Retry later.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: the store refused the request itself (other 4xx). A defect or
	// a wrong configuration; retrying is no use.
	ErrInvalid = errors.New("request refused")
	// ErrTooLarge: the object is larger than the reader accepts.
	ErrTooLarge = errors.New("larger than the limit")
)

// Error says what failed, where, and which of the sentinel errors it is.
type Error struct {
	// Op is the operation in the store's own words: "PutObject".
	Op     string
	Bucket string
	Key    string
	// Kind is one of this package's sentinel errors.
	Kind error
	// Cause is what the store said; nil if there is nothing more to say.
	Cause error
}

func (e *Error) Error() string {
	where := "bucket " + e.Bucket
	if e.Key != "" {
		where = fmt.Sprintf("%s in bucket %s", e.Key, e.Bucket)
	}
	if e.Cause != nil {
		return fmt.Sprintf("%s %s: %v: %v", e.Op, where, e.Kind, e.Cause)
	}
	return fmt.Sprintf("%s %s: %v", e.Op, where, e.Kind)
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }
