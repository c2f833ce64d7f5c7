package contract

import (
	"crypto/md5" //nolint:gosec // S3 defines ETags by MD5.
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

func readsBack(t *testing.T, s subject) {
	const key, body = "whl/spyre/torch/index.html", "<!DOCTYPE html>"
	before := time.Now().Add(-time.Minute)
	written, err := s.Put(s.ctx, key, []byte(body), objectstore.PutOptions{
		ContentType:  "text/html; charset=utf-8",
		CacheControl: "public, max-age=0, s-maxage=86400, must-revalidate",
	})
	s.noError(err)
	md, sha := md5.Sum([]byte(body)), sha256.Sum256([]byte(body)) //nolint:gosec // see the import
	equal(t, "ETag of the write", written.ETag, hex.EncodeToString(md[:]))

	head, err := s.Head(s.ctx, key)
	s.noError(err)
	got, info, err := s.read(key, objectstore.GetOptions{})
	s.noError(err)
	equal(t, "body", got, body)
	equal(t, "Head against Get", head, info)
	equal(t, "key", info.Key, key)
	equal(t, "ETag", info.ETag, written.ETag)
	equal(t, "size", info.Size, int64(len(body)))
	equal(t, "version", info.VersionID, written.VersionID)
	equal(t, "content type", info.ContentType, "text/html; charset=utf-8")
	equal(t, "cache control", info.CacheControl, "public, max-age=0, s-maxage=86400, must-revalidate")
	equal(t, "SHA-256", info.SHA256, hex.EncodeToString(sha[:]))
	if info.LastModified.Before(before) || info.LastModified.After(time.Now().Add(time.Minute)) {
		t.Errorf("last modified %v, want about now", info.LastModified)
	}
	equal(t, "location of the time", info.LastModified.Location(), time.UTC)

	// An empty object is an object.
	s.put("empty", "")
	s.wantBody("empty", "")
	s.wantGone("whl/spyre/torch/absent.whl")

	// A write replaces what was there.
	s.put(key, "second")
	s.wantBody(key, "second")
}

// rawKeys are keys that something along the way might encode, decode or split.
var rawKeys = []string{
	"whl/spyre/torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl",
	"whl/spyre/torch-2.9.0%2Bspyre-cp312-cp312-linux_x86_64.whl",
	"whl/spyre/torch 2.9.0 spyre.whl",
	`whl/spyre/<a href="x">&amp;'.whl`,
	"whl/spyre/Ünïcode–鍵.whl",
	"whl/spyre/a?b#c=d;e,f:g@h!i$j*k(l).whl",
	"whl/spyre/percent%zz",
	"whl/spyre/~tilde~",
}

func keysAreRaw(t *testing.T, s subject) {
	for _, key := range rawKeys {
		s.put(key, "body of "+key)
	}
	objects, err := collect(s.List(s.ctx, "whl/spyre/"))
	s.noError(err)
	listed := map[string]bool{}
	for _, o := range objects {
		listed[o.Key] = true
	}
	equal(t, "number of listed keys", len(objects), len(rawKeys))
	for _, key := range rawKeys {
		if !listed[key] {
			t.Errorf("%q is not listed", key)
		}
		s.wantBody(key, "body of "+key)
		versions := s.versionsOf(key)
		if len(versions) != 1 || !strings.HasPrefix(versions[0], key+"=") {
			t.Errorf("versions of %q: %v", key, versions)
		}
		_, err := s.Copy(s.ctx, key, "copy/"+key)
		s.noError(err)
		s.wantBody("copy/"+key, "body of "+key)
		_, err = s.Delete(s.ctx, key)
		s.noError(err)
		s.wantGone(key)
	}
}

func ranges(t *testing.T, s subject) {
	const body = "0123456789"
	s.put("digits", body)
	s.put("empty", "")
	for _, test := range []struct {
		name, key      string
		offset, length int64
		want           string
		kind           error
	}{
		{name: "from the start", key: "digits", length: 3, want: "012"},
		{name: "in the middle", key: "digits", offset: 4, length: 3, want: "456"},
		{name: "to the end", key: "digits", offset: 7, want: "789"},
		{name: "beyond the end", key: "digits", offset: 8, length: 100, want: "89"},
		{name: "the last bytes", key: "digits", offset: -4, want: "6789"},
		{name: "more last bytes than there are", key: "digits", offset: -100, want: body},
		{name: "one byte", key: "digits", offset: 9, length: 1, want: "9"},
		{name: "after the end", key: "digits", offset: 10, length: 1, kind: objectstore.ErrInvalid},
		{name: "length with a suffix", key: "digits", offset: -4, length: 1, kind: objectstore.ErrInvalid},
		{name: "negative length", key: "digits", length: -1, kind: objectstore.ErrInvalid},
		{name: "of nothing", key: "empty", offset: 1, kind: objectstore.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := s
			s.t = t
			got, info, err := s.read(test.key, objectstore.GetOptions{Offset: test.offset, Length: test.length})
			if test.kind != nil {
				s.wantError(err, test.kind, objectstore.OpGet, test.key)
				return
			}
			s.noError(err)
			equal(t, "bytes", got, test.want)
			equal(t, "size, of the whole object,", info.Size, int64(len(body)))
			equal(t, "checksum of a part", info.SHA256, "")
		})
	}
}

func readsOfVersions(t *testing.T, s subject) {
	first, second := s.put("k", "first"), s.put("k", "second")
	deleted, err := s.Delete(s.ctx, "k")
	s.noError(err)
	for id, want := range map[string]string{first.VersionID: "first", second.VersionID: "second"} {
		got, info, err := s.read("k", objectstore.GetOptions{VersionID: id})
		s.noError(err)
		equal(t, "body of version "+id, got, want)
		equal(t, "version", info.VersionID, id)
	}
	// A marker has no bytes, and a version of another key is not this key's.
	_, _, err = s.read("k", objectstore.GetOptions{VersionID: deleted.MarkerID})
	s.wantError(err, objectstore.ErrNotFound, objectstore.OpGet, "k")
	s.noError(s.DeleteVersion(s.ctx, "k", first.VersionID))
	_, _, err = s.read("k", objectstore.GetOptions{VersionID: first.VersionID})
	s.wantError(err, objectstore.ErrNotFound, objectstore.OpGet, "k")
}

func readsIfMatch(t *testing.T, s subject) {
	first := s.put("k", "first")
	got, _, err := s.read("k", objectstore.GetOptions{IfMatch: first.ETag})
	s.noError(err)
	equal(t, "body", got, "first")
	s.put("k", "second")
	_, _, err = s.read("k", objectstore.GetOptions{IfMatch: first.ETag})
	s.wantError(err, objectstore.ErrPrecondition, objectstore.OpGet, "k")
}

func readAll(t *testing.T, s subject) {
	s.put("k", "0123456789")
	data, info, err := objectstore.ReadAll(s.ctx, s.Store, "k", 10)
	s.noError(err)
	equal(t, "body", string(data), "0123456789")
	equal(t, "size", info.Size, 10)
	_, _, err = objectstore.ReadAll(s.ctx, s.Store, "k", 9)
	s.wantError(err, objectstore.ErrTooLarge, objectstore.OpGet, "k")
	_, _, err = objectstore.ReadAll(s.ctx, s.Store, "absent", 0)
	s.wantError(err, objectstore.ErrNotFound, objectstore.OpGet, "absent")
}

func multipartHasNoHash(t *testing.T, s subject) {
	large := strings.Repeat("a", 5<<20)
	s.noError(s.PutMultipart(s.ctx, "big.whl", []byte(large), []byte("tail")))
	head, err := s.Head(s.ctx, "big.whl")
	s.noError(err)
	equal(t, "SHA-256", head.SHA256, "")
	if !strings.HasSuffix(head.ETag, "-2") {
		t.Errorf("ETag %q, want one of two parts", head.ETag)
	}
	equal(t, "size", head.Size, int64(len(large)+4))
	got, info, err := s.read("big.whl", objectstore.GetOptions{})
	s.noError(err)
	equal(t, "SHA-256 of Get", info.SHA256, "")
	if got != large+"tail" {
		t.Error("the bytes differ")
	}

	// A copy in one piece is hashed as a whole.
	_, err = s.Copy(s.ctx, "big.whl", "copy.whl")
	s.noError(err)
	copied, err := s.Head(s.ctx, "copy.whl")
	s.noError(err)
	sum := sha256.Sum256([]byte(large + "tail"))
	equal(t, "SHA-256 of the copy", copied.SHA256, hex.EncodeToString(sum[:]))
}
