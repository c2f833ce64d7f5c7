package cdn

import (
	"errors"
	"fmt"
)

// What can go wrong, as the callers tell it apart with errors.Is.
var (
	// ErrThrottled: too many invalidations are in progress, or too many
	// requests were sent. Nothing was done; repeat it later.
	ErrThrottled = errors.New("too many invalidations or requests")
	// ErrDenied: the credentials may not do this, or are no longer valid.
	ErrDenied = errors.New("access denied")
	// ErrUnavailable: the CDN cannot be reached or failed. Repeat it later with
	// the same token.
	ErrUnavailable = errors.New("unavailable")
	// ErrNoDistribution: the distribution does not exist.
	ErrNoDistribution = errors.New("distribution does not exist")
	// ErrNotFound: the distribution knows no such invalidation.
	ErrNotFound = errors.New("no such invalidation")
	// ErrInvalid: the request itself was refused: a path the CDN does not take,
	// or a token that was used for other paths. Repeating it is no use.
	ErrInvalid = errors.New("request refused")
)

// Error says what failed, where, and which of the sentinel errors it is.
type Error struct {
	// Op is the operation in the CDN's own words: "CreateInvalidation".
	Op           string
	Distribution string
	// Kind is one of this package's sentinel errors.
	Kind error
	// Cause is what the CDN said; nil if there is nothing more to say.
	Cause error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s on distribution %s: %v: %v", e.Op, e.Distribution, e.Kind, e.Cause)
	}
	return fmt.Sprintf("%s on distribution %s: %v", e.Op, e.Distribution, e.Kind)
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }

// The operations, as they appear in [Error.Op].
const (
	OpInvalidate = "CreateInvalidation"
	OpStatus     = "GetInvalidation"
)

// Check tells why a request cannot be right; nil when it can. Adapters call it
// first, so that every one of them refuses the same.
func Check(token string, paths []string) error {
	switch {
	case token == "" || len(token) > MaxToken:
		return fmt.Errorf("the token has %d bytes; it must have 1 to %d", len(token), MaxToken)
	case len(paths) == 0:
		return errors.New("no paths")
	}
	for _, path := range paths {
		if err := checkPath(path); err != nil {
			return fmt.Errorf("path %q: %w", path, err)
		}
	}
	return nil
}
