package s3_test

import (
	"bytes"
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

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
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
			if !errors.As(err, &got) || !errors.Is(got.Kind, test.want) {
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
	conn, _, err := http.NewResponseController(w).Hijack()
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
