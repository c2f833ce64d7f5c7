package accesskey

import (
	"errors"
	"fmt"
)

// What can go wrong, as the callers tell it apart with errors.Is.
var (
	// ErrDenied: the operator's credentials may not do this, or are no longer
	// valid.
	ErrDenied = errors.New("access denied")
	// ErrForeign: the user is not this lane's.
	ErrForeign = errors.New("the user belongs to somebody else")
	// ErrInUse: something is attached to the user that keeps it from being
	// deleted.
	ErrInUse = errors.New("something is still attached to the user")
	// ErrNotFound: there is no such user or key.
	ErrNotFound = errors.New("no such user or key")
	// ErrTooMany: a quota is used up: two keys for a user, or the account's users.
	ErrTooMany = errors.New("a quota is used up")
	// ErrInvalid: IAM refused the request itself. Repeating it is no use.
	ErrInvalid = errors.New("request refused")
	// ErrThrottled: too many requests. Repeat it later.
	ErrThrottled = errors.New("too many requests")
	// ErrUnavailable: IAM cannot be reached, failed, or has not caught up with an
	// earlier write. Repeat it later.
	ErrUnavailable = errors.New("unavailable")
)

// Error says what failed, for which user, and which of the sentinel errors it is.
type Error struct {
	// Op is the operation in IAM's own words: "CreateAccessKey".
	Op   string
	User string
	// Kind is one of this package's sentinel errors.
	Kind error
	// Cause is what IAM said; nil if there is nothing more to say. It holds no
	// secret.
	Cause error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s of the IAM user %s: %v: %v", e.Op, e.User, e.Kind, e.Cause)
	}
	return fmt.Sprintf("%s of the IAM user %s: %v", e.Op, e.User, e.Kind)
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }
