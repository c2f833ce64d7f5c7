package accesskey

import (
	"context"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/access"
)

// MaxKeys is how many keys IAM lets a user have. It cannot be raised.
const MaxKeys = 2

// Users keeps IAM users and their access keys. Implementations are safe for
// concurrent use, bound every call in time and return errors that match one of
// this package's sentinel errors.
type Users interface {
	// Ensure makes a user what it should be and returns its keys, in no order. It
	// reads first and writes only what differs: the user itself, its one inline
	// policy, its tags and its permissions boundary. Policies that somebody added
	// are removed; tags that somebody added, and a boundary where none is asked
	// for, are left: neither permits anything.
	//
	// ErrForeign if there is a user of that name which want does not own.
	Ensure(ctx context.Context, want access.User) ([]Key, error)

	// CreateKey makes a key that works at once. ErrTooMany if the user has two.
	CreateKey(ctx context.Context, user string) (Credential, error)

	// SetActive makes a key work or not. ErrNotFound if there is no such key.
	SetActive(ctx context.Context, user, keyID string, active bool) error

	// DeleteKey deletes a key. One that is gone already is no error.
	DeleteKey(ctx context.Context, user, keyID string) error

	// Delete deletes a user with its keys and policies. A user that is gone, or
	// that own does not own, is no error and left alone. ErrInUse if somebody
	// attached something to the user that only they should remove.
	Delete(ctx context.Context, own access.User) error
}

// Key is an access key as IAM lists it.
type Key struct {
	ID string
	// Created is when IAM made it, in whole seconds.
	Created time.Time
	// Active keys work.
	Active bool
}

// Credential is a new key with its secret, which IAM tells only once.
type Credential struct {
	Key
	Secret string
}

// String keeps the secret out of logs.
func (c Credential) String() string { return "access key " + c.ID }

// GoString keeps the secret out of logs.
func (c Credential) GoString() string { return c.String() }
