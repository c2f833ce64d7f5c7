package fake

import "sync/atomic"

// OpBody is the operation that a [Fault] sees when half of an object's bytes
// have been read from the body that Get returned: failing it breaks the
// connection there.
const OpBody = "GetObject.Body"

// Fault decides whether a request fails. op is one of the names in package
// objectstore (or [OpBody]), key the key or, for listings, the prefix. An error
// that matches one of the sentinel errors of package objectstore fails the call
// with that kind, any other error with ErrUnavailable. A Fault may call back
// into the store and may block; it has to be safe for concurrent use.
type Fault func(op, key string) error

// FailBefore sets a fault that strikes before a request has any effect; nil
// removes it.
func (s *Store) FailBefore(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// FailAfter sets a fault that strikes after a request has had its effect: the
// write happened, the answer was lost; nil removes it.
func (s *Store) FailAfter(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = f
}

// Nth is a fault that lets n-1 requests pass, fails the nth and lets all later
// ones pass. Counting n up from 1 until a run is no longer hit tries a crash at
// every call.
func Nth(n int, err error) Fault {
	var seen atomic.Int64
	return func(string, string) error {
		if seen.Add(1) == int64(n) {
			return err
		}
		return nil
	}
}

// From is a fault that lets n-1 requests pass and fails all from the nth on: a
// process that dies there, or a store that goes away.
func From(n int, err error) Fault {
	var seen atomic.Int64
	return func(string, string) error {
		if seen.Add(1) >= int64(n) {
			return err
		}
		return nil
	}
}

// On narrows a fault to one operation.
func On(op string, f Fault) Fault {
	return func(gotOp, key string) error {
		if gotOp != op {
			return nil
		}
		return f(gotOp, key)
	}
}
