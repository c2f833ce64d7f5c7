package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

func listing(t *testing.T, s subject) {
	keys := []string{"whl/a.txt", "whl/a/1", "whl/a/2+x", "whl/a0", "whl/b/1", "z"}
	etags := map[string]string{}
	for _, key := range slices.Backward(keys) {
		etags[key] = s.put(key, key).ETag
	}
	for prefix, want := range map[string][]string{
		"":         keys,
		"whl/":     keys[:5],
		"whl/a/":   keys[1:3],
		"whl/a":    keys[:4],
		"whl/a/2+": keys[2:3],
		"nothing":  nil,
	} {
		objects, err := collect(s.List(s.ctx, prefix))
		s.noError(err)
		var got []string
		for _, o := range objects {
			got = append(got, o.Key)
			equal(t, "size of "+o.Key, o.Size, int64(len(o.Key)))
			equal(t, "ETag of "+o.Key, o.ETag, etags[o.Key])
			if o.LastModified.IsZero() {
				t.Errorf("%s has no time", o.Key)
			}
		}
		equal(t, fmt.Sprintf("keys below %q", prefix), fmt.Sprint(got), fmt.Sprint(want))
	}
	for o, err := range s.List(s.ctx, "") { // a caller may stop
		s.noError(err)
		equal(t, "first key", o.Key, keys[0])
		break
	}
}

// putMany writes one object for each key, several at a time.
func (s subject) putMany(keys []string) {
	s.t.Helper()
	work := make(chan string)
	errs := make(chan error, len(keys))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for key := range work {
				if _, err := s.Put(s.ctx, key, nil, objectstore.PutOptions{}); err != nil {
					errs <- err
				}
			}
		})
	}
	for _, key := range keys {
		work <- key
	}
	close(work)
	group.Wait()
	close(errs)
	for err := range errs {
		s.noError(err)
	}
}

func listingPages(t *testing.T, s subject) {
	want := make([]string, objectstore.ListPageSize+7)
	for i := range want {
		want[i] = fmt.Sprintf("whl/spyre/torch-2.9.%04d+spyre.whl", i)
	}
	s.putMany(want)
	s.put("whl/spyre0", "a neighbour")
	objects, err := collect(s.List(s.ctx, "whl/spyre/"))
	s.noError(err)
	got := make([]string, len(objects))
	for i, o := range objects {
		got[i] = o.Key
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d keys, want %d: %v", len(got), len(want), difference(got, want))
	}
}

func listingVersions(t *testing.T, s subject) {
	// In quick succession: times cannot tell the order.
	a1 := s.put("a", "1")
	b1 := s.put("b", "1")
	a2, err := s.Delete(s.ctx, "a")
	s.noError(err)
	a3 := s.put("a", "3")
	a4, err := s.Delete(s.ctx, "a")
	s.noError(err)
	a5, err := s.Delete(s.ctx, "a")
	s.noError(err)
	a6 := s.put("a", "6")
	b2 := s.put("b", "2")
	want := []string{
		describe("a", a6.VersionID, true, false),
		describe("a", a5.MarkerID, false, true),
		describe("a", a4.MarkerID, false, true),
		describe("a", a3.VersionID, false, false),
		describe("a", a2.MarkerID, false, true),
		describe("a", a1.VersionID, false, false),
		describe("b", b2.VersionID, true, false),
		describe("b", b1.VersionID, false, false),
	}
	got := s.versionsOf("")
	if s.differences.VersionsUnordered {
		s.differs("markers and versions of one moment are listed in no order")
		equal(t, "the latest", got[0], want[0])
		slices.Sort(got[1:6])
		slices.Sort(want[1:6])
	}
	equal(t, "all versions", fmt.Sprint(got), fmt.Sprint(want))
	equal(t, "versions of b", fmt.Sprint(s.versionsOf("b")), fmt.Sprint(want[6:]))

	versions, err := collect(s.ListVersions(s.ctx, "b"))
	s.noError(err)
	equal(t, "ETag", versions[0].ETag, b2.ETag)
	equal(t, "size", versions[0].Size, int64(1))
}

func listingVersionPages(t *testing.T, s subject) {
	keys := make([]string, objectstore.ListPageSize/2+3)
	for i := range keys {
		keys[i] = fmt.Sprintf("whl/spyre/torch-2.9.%04d+spyre.whl", i)
	}
	s.putMany(keys)
	s.putMany(keys)
	versions, err := collect(s.ListVersions(s.ctx, "whl/spyre/"))
	s.noError(err)
	equal(t, "number of versions", len(versions), 2*len(keys))
	seen := map[string]bool{}
	for i, v := range versions {
		equal(t, "key", v.Key, keys[min(i/2, len(keys)-1)])
		equal(t, "latest", v.Latest, i%2 == 0)
		if seen[v.ID] {
			t.Fatalf("version %s is listed twice", v.ID)
		}
		seen[v.ID] = true
	}
}

func versioningOf(want objectstore.VersioningState) func(*testing.T, subject) {
	return func(t *testing.T, s subject) {
		got, err := s.Versioning(s.ctx)
		s.noError(err)
		equal(t, "state", got, want)
	}
}

func missingBucket(_ *testing.T, s subject) {
	_, err := s.Versioning(s.ctx)
	s.wantError(err, objectstore.ErrNoBucket, objectstore.OpVersioning, "")
	_, err = collect(s.List(s.ctx, "p/"))
	s.wantError(err, objectstore.ErrNoBucket, objectstore.OpList, "p/")
	_, err = collect(s.ListVersions(s.ctx, "p/"))
	s.wantError(err, objectstore.ErrNoBucket, objectstore.OpListVersions, "p/")
	_, err = collect(s.ListUploads(s.ctx, "p/"))
	s.wantError(err, objectstore.ErrNoBucket, objectstore.OpListUploads, "p/")
	_, _, err = s.read("k", objectstore.GetOptions{})
	s.wantError(err, objectstore.ErrNoBucket, objectstore.OpGet, "k")
	_, err = s.Put(s.ctx, "k", nil, objectstore.PutOptions{})
	s.wantError(err, objectstore.ErrNoBucket, objectstore.OpPut, "k")
	_, err = s.Put(s.ctx, "k", nil, objectstore.PutOptions{IfMatch: "0123456789abcdef0123456789abcdef"})
	s.wantError(err, objectstore.ErrNoBucket, objectstore.OpPut, "k")
	_, err = s.Delete(s.ctx, "k")
	s.wantError(err, objectstore.ErrNoBucket, objectstore.OpDelete, "k")
	s.wantError(s.DeleteVersion(s.ctx, "k", "null"), objectstore.ErrNoBucket, objectstore.OpDeleteVersion, "k")
	s.wantError(s.TagVersion(s.ctx, "k", "null", nil), objectstore.ErrNoBucket, objectstore.OpTagVersion, "k")
	s.wantError(s.AbortUpload(s.ctx, "k", "an-upload"), objectstore.ErrNoBucket, objectstore.OpAbortUpload, "k")
	// An answer to HEAD has no body that could name the bucket.
	_, err = s.Head(s.ctx, "k")
	s.wantError(err, objectstore.ErrNotFound, objectstore.OpHead, "k")
}

func givingUp(t *testing.T, s subject) {
	s.put("k", "body")
	ctx, cancel := context.WithCancel(s.ctx)
	body, _, err := s.Get(ctx, "k", objectstore.GetOptions{})
	s.noError(err)
	_ = body.Close()
	cancel()
	_, headErr := s.Head(ctx, "k")
	_, putErr := s.Put(ctx, "k", nil, objectstore.PutOptions{})
	_, listErr := collect(s.List(ctx, ""))
	_, _, getErr := s.Get(ctx, "k", objectstore.GetOptions{})
	for op, err := range map[string]error{"Head": headErr, "Put": putErr, "List": listErr, "Get": getErr} {
		if !errors.Is(err, context.Canceled) || !errors.Is(err, objectstore.ErrUnavailable) {
			t.Errorf("%s after the caller gave up: %v", op, err)
		}
	}
	s.wantBody("k", "body")
}

// difference names what is in only one of the two.
func difference(got, want []string) []string {
	var out []string
	for _, key := range got {
		if !slices.Contains(want, key) {
			out = append(out, "unexpected "+key)
		}
	}
	for _, key := range want {
		if !slices.Contains(got, key) {
			out = append(out, "missing "+key)
		}
	}
	return out
}
