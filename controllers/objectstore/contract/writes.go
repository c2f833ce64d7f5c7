package contract

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

func conditionalWrites(t *testing.T, s subject) {
	create := objectstore.PutOptions{IfNoneMatch: true}
	first, err := s.Put(s.ctx, "k", []byte("first"), create)
	s.noError(err)
	_, err = s.Put(s.ctx, "k", []byte("again"), create)
	s.wantError(err, objectstore.ErrPrecondition, objectstore.OpPut, "k")

	second, err := s.Put(s.ctx, "k", []byte("second"), objectstore.PutOptions{IfMatch: first.ETag})
	s.noError(err)
	_, err = s.Put(s.ctx, "k", []byte("third"), objectstore.PutOptions{IfMatch: first.ETag})
	s.wantError(err, objectstore.ErrPrecondition, objectstore.OpPut, "k")
	s.wantBody("k", "second")

	// What is gone matches no ETag, and leaves room for a creation.
	_, err = s.Put(s.ctx, "absent", []byte("x"), objectstore.PutOptions{IfMatch: first.ETag})
	s.wantError(err, objectstore.ErrPrecondition, objectstore.OpPut, "absent")
	s.wantGone("absent")
	_, err = s.Delete(s.ctx, "k")
	s.noError(err)
	s.writeOnDeleted("k", second.ETag, "new")

	_, err = s.Put(s.ctx, "k", []byte("x"), objectstore.PutOptions{IfMatch: second.ETag, IfNoneMatch: true})
	s.wantError(err, objectstore.ErrInvalid, objectstore.OpPut, "k")
	s.wantBody("k", "new")
	equal(t, "ETag", first.ETag == second.ETag, false)
}

// writeOnDeleted ends with body in key, which was deleted and had etag.
func (s subject) writeOnDeleted(key, etag, body string) {
	s.t.Helper()
	state, err := s.Versioning(s.ctx)
	s.noError(err)
	_, createErr := s.Put(s.ctx, key, []byte(body), objectstore.PutOptions{IfNoneMatch: true})
	if s.differences.MarkerCountsAsObject && state == objectstore.VersioningEnabled {
		s.differs("conditional writes take a delete marker for the object it hides")
		s.wantError(createErr, objectstore.ErrPrecondition, objectstore.OpPut, key)
		s.wantGone(key)
		_, err := s.Put(s.ctx, key, []byte(body), objectstore.PutOptions{IfMatch: etag})
		s.noError(err)
		s.wantBody(key, body)
		return
	}
	s.noError(createErr)
	s.wantBody(key, body)
	_, err = s.Delete(s.ctx, key)
	s.noError(err)
	_, err = s.Put(s.ctx, key, []byte("x"), objectstore.PutOptions{IfMatch: etag})
	s.wantError(err, objectstore.ErrPrecondition, objectstore.OpPut, key)
	s.wantGone(key)
	s.put(key, body)
}

func creatorsRace(_ *testing.T, s subject) {
	s.race(objectstore.PutOptions{IfNoneMatch: true})
}

func updatersRace(_ *testing.T, s subject) {
	first := s.put("k", "first")
	s.race(objectstore.PutOptions{IfMatch: first.ETag})
}

// race lets many writers write to k at once: one wins, and only its bytes are
// there.
func (s subject) race(opts objectstore.PutOptions) {
	s.t.Helper()
	const writers = 8
	errs := make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			_, errs[i] = s.Put(s.ctx, "k", fmt.Appendf(nil, "writer %d", i), opts)
		})
	}
	group.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			s.t.Fatalf("writers %d and %d both won", winner, i)
		case !errors.Is(err, objectstore.ErrPrecondition):
			s.t.Fatalf("writer %d: %v", i, err)
		}
	}
	if winner < 0 {
		s.t.Fatal("nobody won")
	}
	s.wantBody("k", fmt.Sprintf("writer %d", winner))
}

func deletionLeavesMarker(t *testing.T, s subject) {
	written := s.put("k", "body")
	deleted, err := s.Delete(s.ctx, "k")
	s.noError(err)
	if deleted.MarkerID == "" || deleted.MarkerID == written.VersionID {
		t.Fatalf("marker id %q", deleted.MarkerID)
	}
	s.wantGone("k")
	equal(t, "versions", fmt.Sprint(s.versionsOf("k")), fmt.Sprint([]string{
		describe("k", deleted.MarkerID, true, true), describe("k", written.VersionID, false, false),
	}))
	objects, err := collect(s.List(s.ctx, ""))
	s.noError(err)
	equal(t, "number of listed objects", len(objects), 0)

	// Removing the marker brings the object back.
	s.noError(s.DeleteVersion(s.ctx, "k", deleted.MarkerID))
	s.wantBody("k", "body")
	equal(t, "versions", fmt.Sprint(s.versionsOf("k")), fmt.Sprint([]string{describe("k", written.VersionID, true, false)}))
}

func deletionRemoves(t *testing.T, s subject) {
	s.put("k", "body")
	deleted, err := s.Delete(s.ctx, "k")
	s.noError(err)
	equal(t, "marker id", deleted.MarkerID, "")
	s.wantGone("k")
	_, err = s.Delete(s.ctx, "k")
	s.noError(err)
	_, err = s.Delete(s.ctx, "never/was")
	s.noError(err)
}

func versionsAreDestroyed(t *testing.T, s subject) {
	first, second, third := s.put("k", "first"), s.put("k", "second"), s.put("k", "third")
	s.noError(s.DeleteVersion(s.ctx, "k", second.VersionID))
	s.noError(s.DeleteVersion(s.ctx, "k", second.VersionID)) // again: not an error
	s.wantBody("k", "third")
	s.noError(s.DeleteVersion(s.ctx, "k", third.VersionID))
	s.wantBody("k", "first")
	s.noError(s.DeleteVersion(s.ctx, "k", first.VersionID))
	s.wantGone("k")
	equal(t, "versions left", len(s.versionsOf("k")), 0)
	s.noError(s.DeleteVersion(s.ctx, "k", first.VersionID))

	s.wantError(s.DeleteVersion(s.ctx, "k", ""), objectstore.ErrInvalid, objectstore.OpDeleteVersion, "k")
}

func heldIsLocked(t *testing.T, s subject) {
	written := s.put("k", "body")
	s.noError(s.Hold(s.ctx, "k", written.VersionID))
	s.wantError(s.DeleteVersion(s.ctx, "k", written.VersionID), objectstore.ErrLocked, objectstore.OpDeleteVersion, "k")
	s.wantBody("k", "body")
	// A marker hides a held version; it destroys nothing.
	_, err := s.Delete(s.ctx, "k")
	s.noError(err)
	s.wantGone("k")
	got, _, err := s.read("k", objectstore.GetOptions{VersionID: written.VersionID})
	s.noError(err)
	equal(t, "body of the held version", got, "body")
}

func tags(t *testing.T, s subject) {
	first, second := s.put("k", "first"), s.put("k", "second")
	quarantined := map[string]string{"lane-quarantine": "yank/torch-2.9.0+spyre", "reason": "a b=c"}
	s.noError(s.TagVersion(s.ctx, "k", first.VersionID, quarantined))
	s.noError(s.TagVersion(s.ctx, "k", second.VersionID, map[string]string{"old": "1"}))
	s.noError(s.TagVersion(s.ctx, "k", second.VersionID, quarantined)) // replaces
	_, err := s.Delete(s.ctx, "k")
	s.noError(err)
	for _, id := range []string{first.VersionID, second.VersionID} {
		got, err := s.Tags(s.ctx, "k", id)
		s.noError(err)
		if !maps.Equal(got, quarantined) {
			t.Errorf("version %s is tagged %v, want %v", id, got, quarantined)
		}
	}
	// Tagging below a marker changes no bytes and brings nothing back.
	s.noError(s.TagVersion(s.ctx, "k", first.VersionID, map[string]string{"x": "y"}))
	s.wantGone("k")
	got, _, err := s.read("k", objectstore.GetOptions{VersionID: first.VersionID})
	s.noError(err)
	equal(t, "body", got, "first")

	s.noError(s.DeleteVersion(s.ctx, "k", first.VersionID))
	s.wantError(s.TagVersion(s.ctx, "k", first.VersionID, quarantined), objectstore.ErrNotFound, objectstore.OpTagVersion, "k")
	s.wantError(s.TagVersion(s.ctx, "k", "", quarantined), objectstore.ErrInvalid, objectstore.OpTagVersion, "k")
	many := map[string]string{}
	for i := range 11 {
		many[fmt.Sprint(i)] = "x"
	}
	s.wantError(s.TagVersion(s.ctx, "k", second.VersionID, many), objectstore.ErrInvalid, objectstore.OpTagVersion, "k")
}

func copies(t *testing.T, s subject) {
	_, err := s.Put(s.ctx, "from", []byte("body"), objectstore.PutOptions{ContentType: "text/html", CacheControl: "max-age=300"})
	s.noError(err)
	source, err := s.Head(s.ctx, "from")
	s.noError(err)
	s.put("to", "what was here before")
	written, err := s.Copy(s.ctx, "from", "to")
	s.noError(err)
	got, info, err := s.read("to", objectstore.GetOptions{})
	s.noError(err)
	equal(t, "body", got, "body")
	equal(t, "version", info.VersionID, written.VersionID)
	equal(t, "ETag", info.ETag, written.ETag)
	equal(t, "SHA-256", info.SHA256, source.SHA256)
	equal(t, "content type", info.ContentType, "text/html")
	equal(t, "cache control", info.CacheControl, "max-age=300")
	s.wantBody("from", "body")

	_, err = s.Copy(s.ctx, "absent", "to")
	if !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("copy of an absent key: %v, want not found", err)
	}
	_, err = s.Copy(s.ctx, "from", "from")
	s.wantError(err, objectstore.ErrInvalid, objectstore.OpCopy, "from")
	s.wantBody("to", "body")
}

func uploads(t *testing.T, s subject) {
	var want []string
	for _, key := range []string{"whl/a/x.whl", "whl/a/y+1.whl", "whl/b/z.whl"} {
		id, err := s.StartUpload(s.ctx, key)
		s.noError(err)
		want = append(want, key+"="+id)
	}
	got := func(prefix string) (out []string) {
		all, err := collect(s.ListUploads(s.ctx, prefix))
		s.noError(err)
		for _, u := range all {
			if u.Initiated.IsZero() {
				t.Errorf("%s has no start time", u.Key)
			}
			out = append(out, u.Key+"="+u.ID)
		}
		return out
	}
	equal(t, "all uploads", fmt.Sprint(got("")), fmt.Sprint(want))
	equal(t, "uploads below whl/a/", fmt.Sprint(got("whl/a/")), fmt.Sprint(want[:2]))

	all, err := collect(s.ListUploads(s.ctx, "whl/a/y"))
	s.noError(err)
	equal(t, "number of uploads of y", len(all), 1)
	s.noError(s.AbortUpload(s.ctx, all[0].Key, all[0].ID))
	s.noError(s.AbortUpload(s.ctx, all[0].Key, all[0].ID)) // again: not an error
	equal(t, "uploads left", fmt.Sprint(got("")), fmt.Sprint(slices.Delete(want, 1, 2)))
	s.wantGone("whl/a/x.whl")
}
