package events

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Source yields notifications. Implementations are safe for concurrent use and
// bound every call in time.
type Source interface {
	// Receive waits for notifications, for seconds at most, and returns those
	// that are there; none is not an error. One that is not acknowledged is
	// delivered again after a while.
	//
	// Bodies that cannot be decoded are not returned: they are reported to the
	// source's owner and removed, so that they do not come back for days.
	Receive(ctx context.Context) ([]Notification, error)
}

// Notification is one message about changes. It has at least one.
type Notification struct {
	// ID names the message in logs.
	ID      string
	Changes []Change

	acknowledge func(ctx context.Context) error
}

// NewNotification makes a notification that is acknowledged with ack, for
// implementations of [Source].
func NewNotification(id string, changes []Change, ack func(ctx context.Context) error) Notification {
	return Notification{ID: id, Changes: changes, acknowledge: ack}
}

// Ack says that the notification was dealt with and need not come again. After
// an error it may come again.
func (n Notification) Ack(ctx context.Context) error { return n.acknowledge(ctx) }

// Change is something that happened to an object.
type Change struct {
	Kind   Kind
	Bucket string
	// Key is raw: a plus sign is a plus sign.
	Key string
	// VersionID, ETag (without quotes) and Size (in bytes) are empty when the
	// event does not tell.
	VersionID string
	ETag      string
	Size      int64
	// Time is when it happened; zero when the event does not tell.
	Time time.Time
}

// Kind is what happened to an object.
type Kind string

// The kinds of changes. Others (tags, access lists, restores) are not reported.
const (
	// Created: the key has a new current version.
	Created Kind = "Created"
	// Removed: a version was destroyed, or a delete marker was put on top.
	Removed Kind = "Removed"
)

// What can go wrong, as the callers tell it apart with errors.Is.
var (
	// ErrDenied: the credentials may not do this, or are no longer valid.
	ErrDenied = errors.New("access denied")
	// ErrNoQueue: the queue does not exist.
	ErrNoQueue = errors.New("queue does not exist")
	// ErrUnavailable: the queue cannot be reached, failed, or asks for fewer
	// requests. Try again later.
	ErrUnavailable = errors.New("unavailable")
	// ErrInvalid: the queue refused the request itself; repeating it is no use.
	ErrInvalid = errors.New("request refused")
)

// The operations, as they appear in [Error.Op].
const (
	OpReceive = "ReceiveMessage"
	OpAck     = "DeleteMessage"
)

// Error says what failed, where, and which of the sentinel errors it is.
type Error struct {
	// Op is the operation in the queue's own words: "ReceiveMessage".
	Op    string
	Queue string
	// Kind is one of this package's sentinel errors.
	Kind error
	// Cause is what the queue said; nil if there is nothing more to say.
	Cause error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s on queue %s: %v: %v", e.Op, e.Queue, e.Kind, e.Cause)
	}
	return fmt.Sprintf("%s on queue %s: %v", e.Op, e.Queue, e.Kind)
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }
