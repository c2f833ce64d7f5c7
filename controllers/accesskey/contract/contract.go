// Package contract is what every accesskey.Users has to do, as tests: the fake
// runs them in memory, the IAM adapter against a server. It is imported by tests
// only and may import packages accesskey and access and the standard library.
package contract

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
)

// Server is an account to test on.
type Server struct {
	Users accesskey.Users
	// Path and Prefix are those of users that are the test's.
	Path, Prefix string
	// Writes counts what was written to IAM.
	Writes func(t *testing.T) int
	// What somebody else sees and does. Tag removes a tag whose value is empty.
	Put       func(t *testing.T, name, path string, tags ...access.Tag)
	PutPolicy func(t *testing.T, name, policy, document string)
	Tag       func(t *testing.T, name string, tags ...access.Tag)
	Policies  func(t *testing.T, name string) (policies map[string]string, ok bool)
	Describe  func(t *testing.T, name string) (tags []access.Tag, boundary string)
}

// Run runs the whole contract. connect is called for each test.
func Run(t *testing.T, connect func(t *testing.T) Server) {
	for name, test := range map[string]func(context.Context, *testing.T, Server){
		"a user is made complete":               complete,
		"an unchanged user costs no write":      steady,
		"what drifts is mended":                 mends,
		"a suspended user loses its rights":     suspends,
		"somebody else's user is left alone":    foreign,
		"another path is refused":               anotherPath,
		"two keys and no third":                 keys,
		"keys of nobody":                        keysOfNobody,
		"deletion leaves nothing":               deletes,
		"deletion leaves somebody else's":       deletesOwnOnly,
		"giving up stays visible":               givingUp,
		"a policy that is none is refused":      badPolicy,
		"a user without boundary keeps its":     noBoundary,
		"a key without its user cannot be":      lostUser,
		"the date of a key is in whole seconds": dates,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			t.Cleanup(cancel)
			test(ctx, t, connect(t))
		})
	}
}

var serial atomic.Int64

// user is one that no other test has.
func (s Server) user(ctx context.Context, t *testing.T) access.User {
	t.Helper()
	name := fmt.Sprintf("%scontract-%d-%d", s.Prefix, time.Now().UnixNano(), serial.Add(1))
	u := access.User{
		Name: name, Path: s.Path, ARN: "arn:aws:iam::000000000000:user" + s.Path + name,
		RoleARN: "arn:aws:iam::000000000000:role" + s.Path + name, BoundaryARN: "arn:aws:iam::000000000000:policy/boundary",
		InlinePolicy: access.Policy{Name: "lane", Document: document("sts:AssumeRole")},
		Tags:         []access.Tag{{Key: "lane", Value: "spyre"}, {Key: access.TagCluster, Value: "c"}, {Key: access.TagLaneResource, Value: "ns/" + name}},
	}
	t.Cleanup(func() {
		if err := s.Users.Delete(context.WithoutCancel(ctx), u); err != nil {
			t.Error(err)
		}
	})
	return u
}

func document(action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action + `","Resource":"arn:aws:iam::000000000000:role/x"}]}`
}

func (s Server) ensure(ctx context.Context, t *testing.T, u access.User) []accesskey.Key {
	t.Helper()
	found, err := s.Users.Ensure(ctx, u)
	noError(t, err)
	return found
}

// is fails unless the user is exactly what is wanted, beside further tags.
func (s Server) is(t *testing.T, want access.User) {
	t.Helper()
	policies, ok := s.Policies(t, want.Name)
	if !ok || !maps.Equal(policies, map[string]string{want.InlinePolicy.Name: want.InlinePolicy.Document}) {
		t.Errorf("there %t, policies %v", ok, policies)
	}
	tags, boundary := s.Describe(t, want.Name)
	for _, tag := range want.Tags {
		if !slices.Contains(tags, tag) {
			t.Errorf("no tag %v in %v", tag, tags)
		}
	}
	if boundary != want.BoundaryARN {
		t.Errorf("boundary %q, want %q", boundary, want.BoundaryARN)
	}
}

func complete(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	if found := s.ensure(ctx, t, u); len(found) > 0 {
		t.Errorf("a new user has keys: %v", found)
	}
	s.is(t, u)
}

func steady(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	_, err := s.Users.CreateKey(ctx, u.Name)
	noError(t, err)
	before := s.Writes(t)
	for range 3 {
		s.ensure(ctx, t, u)
	}
	if n := s.Writes(t) - before; n > 0 {
		t.Errorf("%d writes for an unchanged user", n)
	}
}

func mends(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	s.PutPolicy(t, u.Name, u.InlinePolicy.Name, document("sts:*"))
	s.PutPolicy(t, u.Name, "more", document("s3:*"))
	s.Tag(t, u.Name, access.Tag{Key: "lane"}, access.Tag{Key: "cost-centre", Value: "7"})
	s.ensure(ctx, t, u)
	s.is(t, u)
	if tags, _ := s.Describe(t, u.Name); !slices.Contains(tags, access.Tag{Key: "cost-centre", Value: "7"}) {
		t.Errorf("somebody's tag is gone: %v", tags)
	}
	u.BoundaryARN += "2"
	s.ensure(ctx, t, u)
	s.is(t, u)
}

func noBoundary(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	had := u
	u.BoundaryARN = ""
	before := s.Writes(t)
	s.ensure(ctx, t, u)
	if n := s.Writes(t) - before; n > 0 {
		t.Errorf("%d writes: a boundary that somebody set only narrows", n)
	}
	s.is(t, had)
}

func suspends(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	k, err := s.Users.CreateKey(ctx, u.Name)
	noError(t, err)
	u.Suspended, u.InlinePolicy.Document = true, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`
	s.ensure(ctx, t, u)
	s.is(t, u)
	for _, active := range []bool{false, false, true} {
		noError(t, s.Users.SetActive(ctx, u.Name, k.ID, active))
		if found := s.ensure(ctx, t, u); len(found) != 1 || found[0].Active != active {
			t.Errorf("active %t: %v", active, found)
		}
	}
}

func foreign(ctx context.Context, t *testing.T, s Server) {
	for what, owner := range map[string][]access.Tag{
		"made by hand":      nil,
		"another lane's":    {{Key: access.TagLaneResource, Value: "ns/other"}, {Key: access.TagCluster, Value: "c"}},
		"another cluster's": {{Key: access.TagLaneResource, Value: "own"}, {Key: access.TagCluster, Value: "d"}},
	} {
		u := s.user(ctx, t)
		for i := range owner {
			owner[i].Value = strings.Replace(owner[i].Value, "own", "ns/"+u.Name, 1)
		}
		s.Put(t, u.Name, u.Path, owner...)
		before := s.Writes(t)
		_, err := s.Users.Ensure(ctx, u)
		isKind(t, err, accesskey.ErrForeign)
		if n := s.Writes(t) - before; n > 0 {
			t.Errorf("%s: %d writes", what, n)
		}
		if policies, _ := s.Policies(t, u.Name); len(policies) > 0 {
			t.Errorf("%s: has the policies %v", what, policies)
		}
	}
}

func anotherPath(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	moved := u
	moved.Path, moved.ARN = s.Path+"more/", "arn:aws:iam::000000000000:user"+s.Path+"more/"+u.Name
	_, err := s.Users.Ensure(ctx, moved)
	isKind(t, err, accesskey.ErrForeign)
}

func keys(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	a, err := s.Users.CreateKey(ctx, u.Name)
	noError(t, err)
	b, err := s.Users.CreateKey(ctx, u.Name)
	noError(t, err)
	if a.ID == b.ID || a.Secret == b.Secret || a.Secret == "" || !a.Active {
		t.Errorf("keys %v and %v", a, b)
	}
	if _, _, ok := accesskey.ReadKey(accesskey.Handout{KeyID: a.ID, SecretKey: a.Secret}.Data()); !ok {
		t.Errorf("a Secret with %s cannot be read back", a.ID)
	}
	_, err = s.Users.CreateKey(ctx, u.Name)
	isKind(t, err, accesskey.ErrTooMany)
	found := s.ensure(ctx, t, u)
	if len(found) != 2 || !slices.Contains(found, a.Key) || !slices.Contains(found, b.Key) {
		t.Errorf("listed %v, made %v and %v", found, a.Key, b.Key)
	}
	for range 2 {
		noError(t, s.Users.DeleteKey(ctx, u.Name, a.ID))
	}
	if found := s.ensure(ctx, t, u); !slices.Equal(found, []accesskey.Key{b.Key}) {
		t.Errorf("listed %v, want %v", found, b.Key)
	}
	isKind(t, s.Users.SetActive(ctx, u.Name, a.ID, true), accesskey.ErrNotFound)
}

func keysOfNobody(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	noError(t, s.Users.Delete(ctx, u))
	if _, err := s.Users.CreateKey(ctx, u.Name); err == nil {
		t.Error("a key without a user")
	}
}

// lostUser: a user that vanished is made again, and without keys.
func lostUser(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	_, err := s.Users.CreateKey(ctx, u.Name)
	noError(t, err)
	noError(t, s.Users.Delete(ctx, u))
	if found := s.ensure(ctx, t, u); len(found) > 0 {
		t.Errorf("it has the keys %v", found)
	}
	s.is(t, u)
}

func deletes(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	for range 2 {
		_, err := s.Users.CreateKey(ctx, u.Name)
		noError(t, err)
	}
	s.PutPolicy(t, u.Name, "more", document("s3:*"))
	for range 2 {
		noError(t, s.Users.Delete(ctx, u))
		if _, there := s.Policies(t, u.Name); there {
			t.Error("the user is still there")
		}
	}
}

func deletesOwnOnly(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	stranger := u
	stranger.Tags = []access.Tag{{Key: access.TagLaneResource, Value: "ns/other"}, {Key: access.TagCluster, Value: "c"}}
	noError(t, s.Users.Delete(ctx, stranger))
	s.is(t, u)
}

func badPolicy(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	u.InlinePolicy.Document = "{}"
	_, err := s.Users.Ensure(ctx, u)
	isKind(t, err, accesskey.ErrInvalid)
}

func dates(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	k, err := s.Users.CreateKey(ctx, u.Name)
	noError(t, err)
	if age := time.Since(k.Created); k.Created.Nanosecond() != 0 || k.Created.Location() != time.UTC || age < -time.Second || age > time.Minute {
		t.Errorf("made at %v", k.Created)
	}
}

func givingUp(ctx context.Context, t *testing.T, s Server) {
	u := s.user(ctx, t)
	s.ensure(ctx, t, u)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Users.Ensure(gone, u); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// isKind fails unless the error is of a kind and names operation and user.
func isKind(t *testing.T, err, kind error) {
	t.Helper()
	var e *accesskey.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Op == "" || e.User == "" {
		t.Errorf("got %v, want %v", err, kind)
	}
}
