package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/contract"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
)

// The server of this test refuses to copy objects of this size in one piece.
func TestCopyInParts(t *testing.T) {
	g := server(t)
	name := g.bucket(t, contract.Versioned)
	cfg := g.config(name)
	store, err := s3.New(t.Context(), cfg)
	must(t, err)
	body := bytes.Repeat([]byte("0123456789abcdef"), (copyThreshold+1<<20)/16)
	_, err = store.Put(t.Context(), "from+big.whl", body, objectstore.PutOptions{ContentType: "application/zip", CacheControl: "max-age=300"})
	must(t, err)
	written, err := store.Copy(t.Context(), "from+big.whl", "_lanes/quarantine/from+big.whl")
	must(t, err)
	got, info, err := objectstore.ReadAll(t.Context(), store, "_lanes/quarantine/from+big.whl", 0)
	must(t, err)
	if !bytes.Equal(got, body) {
		t.Error("the bytes differ")
	}
	if info.ETag != written.ETag || !strings.HasSuffix(info.ETag, "-2") || info.VersionID != written.VersionID {
		t.Errorf("copied %+v, found %+v", written, info)
	}
	if info.ContentType != "application/zip" || info.CacheControl != "max-age=300" {
		t.Errorf("content type %q, cache control %q", info.ContentType, info.CacheControl)
	}

	// Without parts the server refuses: this is what the parts are for.
	cfg.CopyThreshold = 0
	whole, err := s3.New(t.Context(), cfg)
	must(t, err)
	if _, err := whole.Copy(t.Context(), "from+big.whl", "other"); !errors.Is(err, objectstore.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// The source is pinned, and the copy gets a hash of the whole file whatever the
// source has.
func TestCopyRequest(t *testing.T) {
	store, _ := stub(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("ETag", `"e-2"`)
			return
		}
		for name, want := range map[string]string{
			"X-Amz-Copy-Source":          "wheels/a%2Bb",
			"X-Amz-Copy-Source-If-Match": `"e-2"`,
			"X-Amz-Checksum-Algorithm":   "SHA256",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		_, _ = io.WriteString(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
	})
	written, err := store.Copy(t.Context(), "a+b", "to")
	if err != nil || written.ETag != "e" {
		t.Errorf("%+v, %v", written, err)
	}
}

// A copy that fails half way leaves no parts behind, even when its caller has
// given up.
func TestFailedCopyIsCleanedUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var aborted atomic.Bool
	store, _ := stub(t, func(c *s3.Config) { c.CopyThreshold = 1 }, func(w http.ResponseWriter, r *http.Request) {
		switch query := r.URL.Query(); {
		case r.Method == http.MethodHead:
			w.Header().Set("Content-Length", "10")
			w.Header().Set("ETag", `"e"`)
			w.Header().Set("X-Amz-Version-Id", "v+1")
		case r.Method == http.MethodPost && query.Has("uploads"):
			_, _ = io.WriteString(w, `<InitiateMultipartUploadResult><UploadId>up</UploadId></InitiateMultipartUploadResult>`)
		case r.Method == http.MethodPut:
			if got := r.Header.Get("X-Amz-Copy-Source"); got != "wheels/a%2Bb%20c?versionId=v%2B1" {
				t.Errorf("copy source %q", got)
			}
			if r.Header.Get("X-Amz-Copy-Source-If-Match") != `"e"` || r.Header.Get("X-Amz-Copy-Source-Range") != "bytes=0-9" {
				t.Errorf("part of %v", r.Header)
			}
			cancel()
			answer(w, 412, "PreconditionFailed", "")
		case r.Method == http.MethodDelete:
			aborted.Store(query.Get("uploadId") == "up")
			w.WriteHeader(http.StatusNoContent)
		}
	})
	if _, err := store.Copy(ctx, "a+b c", "to"); err == nil {
		t.Error("the copy succeeded")
	}
	if !aborted.Load() {
		t.Error("the upload was not aborted")
	}
}
