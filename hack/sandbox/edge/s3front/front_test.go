package s3front

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

func TestOperation(t *testing.T) {
	for _, c := range []struct{ method, target, header, want string }{
		{"GET", "/", "", "ListBuckets"},
		{"GET", "/b", "", "ListObjects"},
		{"GET", "/b?list-type=2&prefix=x", "", "ListObjectsV2"},
		{"GET", "/b/?versions", "", "ListObjectVersions"},
		{"GET", "/b?uploads", "", "ListMultipartUploads"},
		{"GET", "/b?versioning", "", "GetBucketVersioning"},
		{"PUT", "/b?policy", "", "PutBucketPolicy"},
		{"HEAD", "/b", "", "HeadBucket"},
		{"PUT", "/b", "", "CreateBucket"},
		{"POST", "/b?delete", "", "DeleteObjects"},
		{"GET", "/b/k/l", "", "GetObject"},
		{"GET", "/b/k?versionId=1", "", "GetObject"},
		{"GET", "/b/k?tagging", "", "GetObjectTagging"},
		{"GET", "/b/k?attributes", "", "GetObjectAttributes"},
		{"HEAD", "/b/k", "", "HeadObject"},
		{"PUT", "/b/k", "", "PutObject"},
		{"PUT", "/b/k", "X-Amz-Copy-Source", "CopyObject"},
		{"PUT", "/b/k?tagging", "", "PutObjectTagging"},
		{"DELETE", "/b/k", "", "DeleteObject"},
		{"POST", "/b/k?uploads", "", "CreateMultipartUpload"},
		{"PUT", "/b/k?partNumber=1&uploadId=2", "", "UploadPart"},
		{"PUT", "/b/k?partNumber=1&uploadId=2", "X-Amz-Copy-Source", "UploadPartCopy"},
		{"POST", "/b/k?uploadId=2", "", "CompleteMultipartUpload"},
		{"DELETE", "/b/k?uploadId=2", "", "AbortMultipartUpload"},
		{"GET", "/b/k?uploadId=2", "", "ListParts"},
	} {
		r := httptest.NewRequest(c.method, c.target, nil)
		if c.header != "" {
			r.Header.Set(c.header, "x")
		}
		if got := Operation(r); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.target, got, c.want)
		}
	}
}

func TestConditionKeys(t *testing.T) {
	for _, c := range []struct {
		method, target string
		header         map[string]string
		want           map[string][]string
	}{
		{"PUT", "/b/k", nil, map[string][]string{"s3:ObjectCreationOperation": {"true"}}},
		{"PUT", "/b/k", map[string]string{"If-None-Match": "*"}, map[string][]string{"s3:ObjectCreationOperation": {"true"}, "s3:if-none-match": {"*"}}},
		{"POST", "/b/k?uploadId=1", map[string]string{"If-Match": `"x"`}, map[string][]string{"s3:ObjectCreationOperation": {"true"}, "s3:if-match": {`"x"`}}},
		{"POST", "/b/k?uploads", nil, map[string][]string{"s3:ObjectCreationOperation": {"false"}}},
		{"PUT", "/b/k?uploadId=1&partNumber=1", nil, map[string][]string{"s3:ObjectCreationOperation": {"false"}}},
		{"GET", "/b/k", nil, map[string][]string{}},
	} {
		r := httptest.NewRequest(c.method, c.target, nil)
		for name, value := range c.header {
			r.Header.Set(name, value)
		}
		got := conditionKeys(r)
		if !maps.EqualFunc(got, c.want, func(a, b []string) bool { return strings.Join(a, ",") == strings.Join(b, ",") }) {
			t.Errorf("%s %s %v: %v, want %v", c.method, c.target, c.header, got, c.want)
		}
	}
}

// front returns a front whose gateway hands its requests to seen.
func front(t *testing.T, seen func(*http.Request)) (*Front, *httptest.Server) {
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen(r) }))
	t.Cleanup(gateway.Close)
	f := New(strings.TrimPrefix(gateway.URL, "http://"), &calls.Counter{}, &fault.Board{})
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server
}

func send(t *testing.T, server *httptest.Server, path string, header map[string]string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPut, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func TestWhatTheAuthorizerLearns(t *testing.T) {
	var referer string
	f, server := front(t, func(r *http.Request) { referer = r.Header.Get("Referer") })
	send(t, server, "/b/k", map[string]string{"If-None-Match": "*", "Referer": "https://example.org/"})
	original, keys, ok := f.Restore(referer)
	if !ok || original != "https://example.org/" || keys["s3:if-none-match"][0] != "*" {
		t.Errorf("restored %q, %v, %v", original, keys, ok)
	}
}

func TestAClientCannotForgeConditionKeys(t *testing.T) {
	var referer string
	f, server := front(t, func(r *http.Request) { referer = r.Header.Get("Referer") })
	send(t, server, "/b/k", map[string]string{"If-None-Match": "*"})
	// Replayed without the header that it vouches for, and made up.
	for _, forged := range []string{referer, marker + "guess:e30"} {
		send(t, server, "/b/k", map[string]string{"Referer": forged})
		if _, keys, _ := f.Restore(referer); keys["s3:if-none-match"] != nil {
			t.Errorf("the forged %q was believed: %v", forged, keys)
		}
	}
	if _, _, ok := f.Restore(marker + "guess:e30"); ok {
		t.Error("a value that the front did not make was accepted")
	}
}

func TestOnlyUnsignedPlusesAreSpaces(t *testing.T) {
	var uri string
	_, server := front(t, func(r *http.Request) { uri = r.RequestURI })
	for _, c := range []struct {
		path, authorization, want string
	}{
		{"/b/a+b", "", "/b/a%20b"},
		{"/b/a%2Bb", "", "/b/a%2Bb"},
		{"/b/a+b", "AWS4-HMAC-SHA256 x", "/b/a+b"},
		{"/b/a%2Bb%20c", "AWS4-HMAC-SHA256 x", "/b/a%2Bb%20c"},
	} {
		header := map[string]string{}
		if c.authorization != "" {
			header["Authorization"] = c.authorization
		}
		send(t, server, c.path, header)
		if uri != c.want {
			t.Errorf("%s (authorization %q): the gateway saw %s, want %s", c.path, c.authorization, uri, c.want)
		}
	}
}
