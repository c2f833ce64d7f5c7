package fake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

var errCrash = errors.New("crash")

func put(t *testing.T, s *fake.Store, key, body string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, []byte(body), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestFaults(t *testing.T) {
	s := fake.New("b")
	s.FailBefore(fake.On(objectstore.OpPut, fake.Nth(1, errCrash)))
	_, err := s.Put(t.Context(), "k", []byte("x"), objectstore.PutOptions{})
	if !errors.Is(err, errCrash) || !errors.Is(err, objectstore.ErrUnavailable) {
		t.Errorf("before: %v", err)
	}
	if got := s.Contents(); len(got) != 0 {
		t.Errorf("before: the write happened: %v", got)
	}
	put(t, s, "k", "x") // the second passes

	s.FailBefore(nil)
	s.FailAfter(fake.Nth(1, objectstore.ErrThrottled))
	_, err = s.Put(t.Context(), "k", []byte("y"), objectstore.PutOptions{})
	if !errors.Is(err, objectstore.ErrThrottled) || s.Contents()["k"] != "y" {
		t.Errorf("after: %v, contents %v", err, s.Contents())
	}

	s.FailAfter(fake.From(2, errCrash))
	put(t, s, "k", "z")
	for range 2 {
		if _, err := s.Head(t.Context(), "k"); !errors.Is(err, errCrash) {
			t.Errorf("from: %v", err)
		}
	}
}

func TestBrokenBody(t *testing.T) {
	s := fake.New("b")
	put(t, s, "k", "0123456789")
	s.FailBefore(fake.On(fake.OpBody, fake.Nth(1, errCrash)))
	body, _, err := s.Get(t.Context(), "k", objectstore.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if string(data) != "01234" || !errors.Is(err, errCrash) || !errors.Is(err, objectstore.ErrUnavailable) {
		t.Errorf("%q, %v", data, err)
	}
}

func TestCalls(t *testing.T) {
	s := fake.New("b", fake.WithPageSize(10))
	for i := range 20 {
		s.Seed(fmt.Sprintf("k%02d", i), nil, fake.SeedOptions{})
	}
	put(t, s, "k20", "")
	for _, err := range s.List(t.Context(), "k") {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Head(t.Context(), "absent"); err == nil {
		t.Error("no error")
	}
	want := map[string]int{objectstore.OpPut: 1, objectstore.OpList: 3, objectstore.OpHead: 1}
	if got := s.Calls(); !maps.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
	s.ResetCalls()
	if got := s.Calls(); len(got) != 0 {
		t.Errorf("calls %v, want none", got)
	}
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 999, time.FixedZone("x", 3600))
	s := fake.New("b", fake.WithClock(func() time.Time { return now }))
	put(t, s, "k", "")
	info, err := s.Head(t.Context(), "k")
	if want := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC); err != nil || info.LastModified != want {
		t.Errorf("%v, %v, want %v", info.LastModified, err, want)
	}
}

// Suspended versioning keeps the versions that have ids and replaces the null
// version.
func TestSuspendedVersioning(t *testing.T) {
	s := fake.New("b")
	put(t, s, "k", "kept")
	s.SetVersioning(objectstore.VersioningSuspended)
	put(t, s, "k", "null")
	put(t, s, "k", "null again")
	deleted, err := s.Delete(t.Context(), "k")
	if err != nil || deleted.MarkerID != "null" {
		t.Fatalf("%+v, %v", deleted, err)
	}
	var got []string
	for v, err := range s.ListVersions(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %t %t", v.ID, v.DeleteMarker, v.Latest))
	}
	if want := "[null true true v00000001 false false]"; fmt.Sprint(got) != want {
		t.Errorf("versions %v, want %s", got, want)
	}
}

func TestSeeds(t *testing.T) {
	s := fake.New("b")
	s.Seed("a", []byte("x"), fake.SeedOptions{NoChecksum: true})
	s.SeedMultipart("m", fake.SeedOptions{}, []byte("x"), []byte("y"))
	for _, key := range []string{"a", "m"} {
		info, err := s.Head(t.Context(), key)
		if err != nil || info.SHA256 != "" {
			t.Errorf("%s: %q, %v", key, info.SHA256, err)
		}
	}
	if s.Contents()["m"] != "xy" {
		t.Error("the parts were not put together")
	}
	defer func() {
		if recover() == nil {
			t.Error("locking nothing did not panic")
		}
	}()
	s.SetLocked("a", "absent", true)
}

// A caller may use its slice again.
func TestBodiesAreCopied(t *testing.T) {
	s := fake.New("b")
	body := []byte("before")
	if _, err := s.Put(t.Context(), "k", body, objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	copy(body, "after!")
	if got := s.Contents()["k"]; got != "before" {
		t.Errorf("the object holds %q", got)
	}
}

func TestBlockedFaultSeesTheCallersPatience(t *testing.T) {
	s := fake.New("b")
	ctx, cancel := context.WithCancel(t.Context())
	s.FailBefore(func(string, string) error { cancel(); return nil })
	_, err := s.Put(ctx, "k", []byte("x"), objectstore.PutOptions{})
	if !errors.Is(err, context.Canceled) || s.Contents()["k"] != "x" {
		t.Errorf("%v, %v", err, s.Contents())
	}
}
