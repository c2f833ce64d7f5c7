package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/contract"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
)

// stub is a store whose server is handler. It counts requests.
func stub(t *testing.T, change func(*s3.Config), handler http.HandlerFunc) (objectstore.Store, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	cfg := s3.Config{
		Bucket: "wheels", Region: "us-east-1", Endpoint: server.URL, MaxAttempts: 2,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	}
	if change != nil {
		change(&cfg)
	}
	store, err := s3.New(t.Context(), cfg)
	must(t, err)
	return store, &requests
}

// answer writes an error as S3 does.
func answer(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, message)
}

func TestErrorKinds(t *testing.T) {
	for _, test := range []struct {
		status        int
		code, message string
		want          error
	}{
		{404, "NoSuchKey", "", objectstore.ErrNotFound},
		{404, "NoSuchVersion", "", objectstore.ErrNotFound},
		{404, "NoSuchBucket", "", objectstore.ErrNoBucket},
		{400, "InvalidArgument", "Invalid version id specified", objectstore.ErrNotFound},
		{400, "InvalidArgument", "Invalid Argument", objectstore.ErrInvalid},
		{412, "PreconditionFailed", "", objectstore.ErrPrecondition},
		{409, "ConditionalRequestConflict", "", objectstore.ErrPrecondition},
		{403, "AccessDenied", "Access Denied", objectstore.ErrDenied},
		{403, "AccessDenied", "Access Denied because object protected by object lock.", objectstore.ErrLocked},
		{400, "InvalidRequest", "Object is WORM protected and cannot be overwritten", objectstore.ErrLocked},
		{400, "ExpiredToken", "", objectstore.ErrDenied},
		{400, "InvalidToken", "", objectstore.ErrDenied},
		{403, "InvalidAccessKeyId", "", objectstore.ErrDenied},
		{403, "SignatureDoesNotMatch", "", objectstore.ErrDenied},
		{403, "SomethingNew", "", objectstore.ErrDenied},
		{503, "SlowDown", "", objectstore.ErrThrottled},
		{429, "TooMany", "", objectstore.ErrThrottled},
		{500, "InternalError", "", objectstore.ErrUnavailable},
		{503, "ServiceUnavailable", "", objectstore.ErrUnavailable},
		{400, "RequestTimeout", "", objectstore.ErrUnavailable},
		{502, "", "", objectstore.ErrUnavailable},
		{301, "PermanentRedirect", "", objectstore.ErrInvalid},
		{400, "MalformedXML", "", objectstore.ErrInvalid},
		{416, "InvalidRange", "", objectstore.ErrInvalid},
	} {
		t.Run(fmt.Sprint(test.status, test.code, test.message), func(t *testing.T) {
			store, _ := stub(t, nil, func(w http.ResponseWriter, _ *http.Request) { answer(w, test.status, test.code, test.message) })
			_, _, err := store.Get(t.Context(), "k", objectstore.GetOptions{})
			got := (*objectstore.Error)(nil)
			if !errors.As(err, &got) || got.Kind != test.want {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if got.Op != objectstore.OpGet || got.Key != "k" || got.Bucket != "wheels" {
				t.Errorf("the error says %+v", got)
			}
			if test.code != "" && !strings.Contains(err.Error(), test.code) {
				t.Errorf("%q does not say %s", err, test.code)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	store, _ := stub(t, func(c *s3.Config) { c.Endpoint = "http://127.0.0.1:1" }, nil)
	_, err := store.Head(t.Context(), "k")
	if !errors.Is(err, objectstore.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	_, err = store.Put(t.Context(), "k", nil, objectstore.PutOptions{IfNoneMatch: true})
	if !errors.Is(err, objectstore.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// A conditional write that may have happened is not repeated: the repetition
// would be refused because of it, and look like somebody else's.
func TestConditionalWriteIsNotRepeatedBlindly(t *testing.T) {
	conditional := objectstore.PutOptions{IfMatch: "0123"}
	for _, test := range []struct {
		name     string
		opts     objectstore.PutOptions
		first    http.HandlerFunc
		requests int64
		want     error
	}{
		{"connection lost, conditional", conditional, dropConnection, 1, objectstore.ErrUnavailable},
		{"internal error, conditional", conditional, func(w http.ResponseWriter, _ *http.Request) { answer(w, 500, "InternalError", "") }, 1, objectstore.ErrUnavailable},
		{"throttled, conditional", conditional, func(w http.ResponseWriter, _ *http.Request) { answer(w, 503, "SlowDown", "") }, 2, nil},
		{"connection lost, plain", objectstore.PutOptions{}, dropConnection, 2, nil},
		{"internal error, plain", objectstore.PutOptions{}, func(w http.ResponseWriter, _ *http.Request) { answer(w, 500, "InternalError", "") }, 2, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen atomic.Int64
			store, requests := stub(t, nil, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if seen.Add(1) == 1 {
					test.first(w, r)
					return
				}
				w.Header().Set("ETag", `"abc"`)
			})
			written, err := store.Put(t.Context(), "k", []byte("body"), test.opts)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if test.want == nil && written.ETag != "abc" {
				t.Errorf("ETag %q", written.ETag)
			}
			if n := requests.Load(); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
		})
	}
}

func dropConnection(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func TestRetriesAreBounded(t *testing.T) {
	store, requests := stub(t, nil, func(w http.ResponseWriter, _ *http.Request) { answer(w, 503, "SlowDown", "") })
	_, err := store.Versioning(t.Context())
	if !errors.Is(err, objectstore.ErrThrottled) || requests.Load() != 2 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
}

func TestPutRequest(t *testing.T) {
	body := []byte("wheel")
	sum := sha256.Sum256(body)
	store, _ := stub(t, nil, func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		for name, want := range map[string]string{
			"X-Amz-Checksum-Sha256": base64.StdEncoding.EncodeToString(sum[:]),
			"If-Match":              `"0123"`,
			"Cache-Control":         "max-age=300",
			"Content-Type":          "application/zip",
		} {
			if r.Header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, r.Header.Get(name), want)
			}
		}
		if !bytes.Equal(got, body) || r.URL.EscapedPath() != "/wheels/whl/a%2Bb.whl" {
			t.Errorf("%s with %q", r.URL.EscapedPath(), got)
		}
		w.Header().Set("ETag", `"abc"`)
		w.Header().Set("X-Amz-Version-Id", "v1")
	})
	written, err := store.Put(t.Context(), "whl/a+b.whl", body, objectstore.PutOptions{
		ContentType: "application/zip", CacheControl: "max-age=300", IfMatch: "0123",
	})
	if err != nil || written != (objectstore.Written{ETag: "abc", VersionID: "v1"}) {
		t.Errorf("%+v, %v", written, err)
	}
}

// Our own limit ends a call that hangs, and the caller can tell that it was not
// his.
func TestSlowServer(t *testing.T) {
	release := make(chan struct{})
	store, _ := stub(t, func(c *s3.Config) { c.CallTimeout = 50 * time.Millisecond }, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	_, headErr := store.Head(t.Context(), "k")
	_, _, getErr := store.Get(t.Context(), "k", objectstore.GetOptions{})
	for _, err := range []error{headErr, getErr} {
		if !errors.Is(err, objectstore.ErrUnavailable) || t.Context().Err() != nil {
			t.Errorf("got %v", err)
		}
	}
}

// A body may take longer than a call, as long as bytes keep coming.
func TestBodies(t *testing.T) {
	limits := func(c *s3.Config) {
		c.CallTimeout, c.StallTimeout = 300*time.Millisecond, 300*time.Millisecond
	}
	trickle := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "6")
			for range n {
				_, _ = io.WriteString(w, "x")
				w.(http.Flusher).Flush()
				time.Sleep(100 * time.Millisecond)
			}
			if n < 6 {
				<-r.Context().Done() // hang
			}
		}
	}
	t.Run("slow but steady", func(t *testing.T) {
		store, _ := stub(t, limits, trickle(6))
		data, _, err := objectstore.ReadAll(t.Context(), store, "k", 0)
		if err != nil || string(data) != "xxxxxx" {
			t.Errorf("%q, %v", data, err)
		}
	})
	t.Run("stalled", func(t *testing.T) {
		store, _ := stub(t, limits, trickle(2))
		_, _, err := objectstore.ReadAll(t.Context(), store, "k", 0)
		if !errors.Is(err, objectstore.ErrUnavailable) || !strings.Contains(err.Error(), "stalled") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a slow reader is not a stalled server", func(t *testing.T) {
		store, _ := stub(t, limits, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			time.Sleep(600 * time.Millisecond)
			_, _ = io.WriteString(w, "b")
		})
		body, _, err := store.Get(t.Context(), "k", objectstore.GetOptions{})
		must(t, err)
		_, err = io.ReadFull(body, make([]byte, 1))
		must(t, err)
		time.Sleep(500 * time.Millisecond)
		if data, err := io.ReadAll(body); err != nil || string(data) != "b" {
			t.Errorf("%q, %v", data, err)
		}
		must(t, body.Close())
	})
	t.Run("the caller gives up", func(t *testing.T) {
		store, _ := stub(t, limits, trickle(2))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(150*time.Millisecond, cancel)
		_, _, err := objectstore.ReadAll(ctx, store, "k", 0)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, objectstore.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of unknown length", func(t *testing.T) {
		store, _ := stub(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "abc")
		})
		if _, _, err := store.Get(t.Context(), "k", objectstore.GetOptions{}); !errors.Is(err, objectstore.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		store, _ := stub(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "6")
			_, _ = io.WriteString(w, "abc")
			w.(http.Flusher).Flush()
			dropConnection(w, nil)
		})
		_, _, err := objectstore.ReadAll(t.Context(), store, "k", 0)
		if !errors.Is(err, objectstore.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("other bytes than the checksum says", func(t *testing.T) {
		sum := sha256.Sum256([]byte("right"))
		store, _ := stub(t, nil, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
				t.Error("no checksum was asked for")
			}
			w.Header().Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
			_, _ = io.WriteString(w, "wrong")
		})
		_, _, err := objectstore.ReadAll(t.Context(), store, "k", 0)
		if !errors.Is(err, objectstore.ErrUnavailable) || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("got %v", err)
		}
	})
}

func TestCompositeChecksumIsNoFileHash(t *testing.T) {
	for _, header := range []map[string]string{
		{"X-Amz-Checksum-Sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-2"},
		{"X-Amz-Checksum-Sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "X-Amz-Checksum-Type": "COMPOSITE"},
		{"X-Amz-Checksum-Crc32": "AAAAAA=="},
	} {
		store, _ := stub(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			for name, value := range header {
				w.Header().Set(name, value)
			}
		})
		info, err := store.Head(t.Context(), "k")
		if err != nil || info.SHA256 != "" {
			t.Errorf("%v: SHA-256 %q, %v", header, info.SHA256, err)
		}
	}
}

// Amazon S3 interleaves versions and markers, with times in whole seconds.
func TestVersionsKeepTheServersOrder(t *testing.T) {
	const at = "<LastModified>2026-03-01T12:00:00.000Z</LastModified>"
	entry := func(kind, id string, latest bool) string {
		return fmt.Sprintf("<%s><Key>whl/a%%2Bb%%01+c</Key><VersionId>%s</VersionId><IsLatest>%t</IsLatest>%s</%s>", kind, id, latest, at, kind)
	}
	store, requests := stub(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("encoding-type") != "url" {
			t.Error("the keys were not asked for in URL encoding")
		}
		page := "<KeyMarker/>" + entry("DeleteMarker", "5", true) + entry("Version", "4", false) + entry("DeleteMarker", "3", false)
		if r.URL.Query().Has("key-marker") {
			if got := r.URL.Query().Get("key-marker"); got != "whl/a+b\x01 c" {
				t.Errorf("key marker %q", got)
			}
			page = entry("Version", "2", false) + entry("Version", "1", false)
		} else {
			page += "<IsTruncated>true</IsTruncated><NextKeyMarker>whl/a%2Bb%01+c</NextKeyMarker><NextVersionIdMarker>3</NextVersionIdMarker>"
		}
		_, _ = io.WriteString(w, `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>`+page+`</ListVersionsResult>`)
	})
	var got []string
	for v, err := range store.ListVersions(t.Context(), "whl/") {
		must(t, err)
		if v.Key != "whl/a+b\x01 c" || v.Latest != (v.ID == "5") {
			t.Errorf("%+v", v)
		}
		got = append(got, fmt.Sprintf("%s:%t", v.ID, v.DeleteMarker))
	}
	if want := "[5:true 4:false 3:true 2:false 1:false]"; fmt.Sprint(got) != want || requests.Load() != 2 {
		t.Errorf("got %v in %d requests, want %s", got, requests.Load(), want)
	}
}

// A listing that does not say where it goes on is an error, not the end.
func TestCutListing(t *testing.T) {
	store, _ := stub(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>k</Key></Contents></ListBucketResult>`)
	})
	var last error
	for _, err := range store.List(t.Context(), "") {
		last = err
	}
	if !errors.Is(last, objectstore.ErrUnavailable) {
		t.Errorf("got %v", last)
	}
}

func TestConfig(t *testing.T) {
	static := credentials.NewStaticCredentialsProvider("id", "secret", "")
	for name, cfg := range map[string]s3.Config{
		"bucket":      {Region: "r"},
		"region":      {Bucket: "b"},
		"endpoint":    {Bucket: "b", Region: "r", Endpoint: "localhost:9000"},
		"choose one":  {Bucket: "b", Region: "r", Credentials: static, SharedCredentialsFile: "f"},
		"profile":     {Bucket: "b", Region: "r", Profile: "p"},
		"5 MiB":       {Bucket: "b", Region: "r", CopyPartSize: 1},
		"5 GiB":       {Bucket: "b", Region: "r", CopyThreshold: 6 << 30},
		"negative":    {Bucket: "b", Region: "r", CallTimeout: -1},
		"credentials": {Bucket: "b", Region: "r", SharedCredentialsFile: filepath.Join(t.TempDir(), "absent"), Profile: "lane"},
	} {
		if _, err := s3.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error about %s, got %v", name, err)
		}
	}
}

// Credentials come from where the configuration says, whatever the
// environment of the process holds.
func TestCredentials(t *testing.T) {
	t.Setenv("AWS_PROFILE", "absent")
	t.Setenv("AWS_ACCESS_KEY_ID", "FROMENV")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	file := filepath.Join(t.TempDir(), "credentials")
	must(t, os.WriteFile(file, []byte("[default]\naws_access_key_id=FROMFILE\naws_secret_access_key=x\n[lane]\naws_access_key_id=FROMLANE\naws_secret_access_key=x\n"), 0o600))
	for want, change := range map[string]func(*s3.Config){
		"Credential=id/":       nil,
		"Credential=FROMFILE/": func(c *s3.Config) { c.Credentials, c.SharedCredentialsFile = nil, file },
		"Credential=FROMLANE/": func(c *s3.Config) { c.Credentials, c.SharedCredentialsFile, c.Profile = nil, file, "lane" },
	} {
		store, _ := stub(t, change, func(_ http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Authorization"), want) {
				t.Errorf("%s, want %s", r.Header.Get("Authorization"), want)
			}
		})
		_, err := store.Head(t.Context(), "k")
		must(t, err)
	}
}

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
