package fake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
)

// Users are users in memory.
type Users struct {
	mu     sync.Mutex
	now    func() time.Time
	users  map[string]*user
	made   int
	writes int
	reads  int
	before func(op string) error
	after  func(op string) error
}

type user struct {
	arn, boundary string
	tags          []access.Tag
	policies      map[string]string
	keys          []accesskey.Key
}

var _ accesskey.Users = (*Users)(nil)

// New returns an account without users.
func New(now func() time.Time) *Users { return &Users{now: now, users: map[string]*user{}} }

// FailBefore makes operations fail before they do anything, FailAfter when they
// are done; nil lifts it. op is IAM's name for the operation, or "GetUser" for all
// of Ensure's reading.
func (u *Users) FailBefore(before func(op string) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.before = before
}

// FailAfter makes operations fail when they are done; see [Users.FailBefore].
func (u *Users) FailAfter(after func(op string) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.after = after
}

// Writes is how often something was written, Reads how often Ensure looked.
func (u *Users) Writes() int { return u.count(&u.writes) }

// Reads is how often Ensure looked at a user.
func (u *Users) Reads() int { return u.count(&u.reads) }

func (u *Users) count(n *int) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return *n
}

// do runs one operation on a user, nil if there is none.
func (u *Users) do(op, name string, f func(live *user) error) error {
	fail := func(hook func(string) error) error {
		if hook == nil {
			return nil
		}
		if err := hook(op); err != nil {
			return &accesskey.Error{Op: op, User: name, Kind: err}
		}
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := fail(u.before); err != nil {
		return err
	}
	if err := f(u.users[name]); err != nil {
		return &accesskey.Error{Op: op, User: name, Kind: err}
	}
	return fail(u.after)
}

// Ensure implements accesskey.Users.
func (u *Users) Ensure(ctx context.Context, want access.User) (keys []accesskey.Key, err error) {
	err = u.do("GetUser", want.Name, func(live *user) error {
		u.reads++
		if live == nil {
			live = &user{arn: want.ARN, tags: want.Tags}
			u.users[want.Name] = live
			u.writes++
		}
		if !want.Owns(live.tags) || live.arn != want.ARN {
			return accesskey.ErrForeign
		}
		if !strings.Contains(want.InlinePolicy.Document, `"Statement"`) {
			return accesskey.ErrInvalid
		}
		if policies := map[string]string{want.InlinePolicy.Name: want.InlinePolicy.Document}; !maps.Equal(live.policies, policies) {
			live.policies = policies
			u.writes++
		}
		if want.BoundaryARN != "" && live.boundary != want.BoundaryARN {
			live.boundary = want.BoundaryARN
			u.writes++
		}
		for _, t := range want.Tags {
			if !slices.Contains(live.tags, t) {
				live.tags = append(slices.DeleteFunc(slices.Clone(live.tags), func(l access.Tag) bool { return l.Key == t.Key }), t)
				u.writes++
			}
		}
		keys = slices.Clone(live.keys)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return keys, ctx.Err()
}

// CreateKey implements accesskey.Users.
func (u *Users) CreateKey(ctx context.Context, name string) (made accesskey.Credential, err error) {
	err = u.do("CreateAccessKey", name, func(live *user) error {
		switch {
		case live == nil:
			return accesskey.ErrNotFound
		case len(live.keys) >= accesskey.MaxKeys:
			return accesskey.ErrTooMany
		}
		u.made++
		u.writes++
		made = accesskey.Credential{
			Key:    accesskey.Key{ID: fmt.Sprintf("AKIAFAKE%012d", u.made), Created: u.now().UTC().Truncate(time.Second), Active: true},
			Secret: fmt.Sprintf("secret/%033d", u.made),
		}
		live.keys = append(live.keys, made.Key)
		return nil
	})
	if err != nil {
		return accesskey.Credential{}, err
	}
	return made, ctx.Err()
}

// SetActive implements accesskey.Users.
func (u *Users) SetActive(ctx context.Context, name, keyID string, active bool) error {
	return u.key(ctx, "UpdateAccessKey", name, keyID, func(live *user, at int) error {
		if at < 0 {
			return accesskey.ErrNotFound
		}
		u.writes++
		live.keys[at].Active = active
		return nil
	})
}

// DeleteKey implements accesskey.Users.
func (u *Users) DeleteKey(ctx context.Context, name, keyID string) error {
	return u.key(ctx, "DeleteAccessKey", name, keyID, func(live *user, at int) error {
		if at >= 0 {
			u.writes++
			live.keys = slices.Delete(live.keys, at, at+1)
		}
		return nil
	})
}

func (u *Users) key(ctx context.Context, op, name, keyID string, f func(live *user, at int) error) error {
	err := u.do(op, name, func(live *user) error {
		if live == nil {
			return f(nil, -1)
		}
		return f(live, slices.IndexFunc(live.keys, func(k accesskey.Key) bool { return k.ID == keyID }))
	})
	if err != nil {
		return err
	}
	return ctx.Err()
}

// Delete implements accesskey.Users.
func (u *Users) Delete(ctx context.Context, own access.User) error {
	err := u.do("DeleteUser", own.Name, func(live *user) error {
		if live != nil && own.Owns(live.tags) {
			delete(u.users, own.Name)
			u.writes++
		}
		return nil
	})
	if err != nil {
		return err
	}
	return ctx.Err()
}

// Put makes a user as somebody else would.
func (u *Users) Put(name, arn string, tags ...access.Tag) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.users[name] = &user{arn: arn, tags: tags}
}

// PutPolicy changes a user's policies as somebody else would.
func (u *Users) PutPolicy(name, policy, document string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	live := u.users[name]
	live.policies = maps.Clone(live.policies)
	if live.policies == nil {
		live.policies = map[string]string{}
	}
	live.policies[policy] = document
}

// PutKey gives a user a key as somebody else would.
func (u *Users) PutKey(name string, key accesskey.Key) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.users[name].keys = append(u.users[name].keys, key)
}

// Keys are a user's, nil if there is no such user.
func (u *Users) Keys(name string) []accesskey.Key {
	u.mu.Lock()
	defer u.mu.Unlock()
	if live := u.users[name]; live != nil {
		return slices.Clone(live.keys)
	}
	return nil
}

// Policies are a user's inline policies; ok is false if there is no such user.
func (u *Users) Policies(name string) (policies map[string]string, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	live := u.users[name]
	if live == nil {
		return nil, false
	}
	return maps.Clone(live.policies), true
}

// Tag sets and removes tags as somebody else would; an empty value removes one.
func (u *Users) Tag(name string, tags ...access.Tag) {
	u.mu.Lock()
	defer u.mu.Unlock()
	live := u.users[name]
	for _, t := range tags {
		live.tags = slices.DeleteFunc(slices.Clone(live.tags), func(l access.Tag) bool { return l.Key == t.Key })
		if t.Value != "" {
			live.tags = append(live.tags, t)
		}
	}
}

// Describe are a user's tags, in the order of their keys, and its boundary.
func (u *Users) Describe(name string) (tags []access.Tag, boundary string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if live := u.users[name]; live != nil {
		tags, boundary = slices.Clone(live.tags), live.boundary
		slices.SortFunc(tags, func(a, b access.Tag) int { return strings.Compare(a.Key, b.Key) })
	}
	return tags, boundary
}
