// Package s3front is the S3 endpoint's front: it counts calls, injects faults,
// gives an unsigned raw + the meaning it has in S3, and tells the authorizer
// what the gateway keeps to itself about a request. Bytes and signatures pass
// through untouched. Standard library only.
package s3front

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// Front proxies to the S3 gateway.
type Front struct {
	calls  *calls.Counter
	faults *fault.Board
	proxy  *httputil.ReverseProxy
	// nonce keeps a client from forging what only the front may say.
	nonce string
}

// New returns the front of the gateway at host:port.
func New(gateway string, counter *calls.Counter, faults *fault.Board) *Front {
	f := &Front{calls: counter, faults: faults, nonce: rand.Text()}
	f.proxy = &httputil.ReverseProxy{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost: 128, IdleConnTimeout: 10 * time.Second,
			DisableCompression: true, ExpectContinueTimeout: 2 * time.Second,
		},
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", gateway
			r.Out.Host = r.In.Host // signed
			f.attach(r.Out)
			if !signed(r.In) {
				// Anonymous URLs are written by hand: S3 reads + as a space.
				raw := strings.ReplaceAll(r.In.URL.EscapedPath(), "+", "%20")
				r.Out.URL.Path, r.Out.URL.RawPath = unescape(raw), raw
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil {
				return
			}
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintf(w, "<Error><Code>ServiceUnavailable</Code><Message>the S3 gateway does not answer</Message></Error>")
			fmt.Printf("s3: %s %s: %v\n", r.Method, r.URL.Path, err)
		},
	}
	return f
}

// ServeHTTP implements http.Handler.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := Operation(r)
	f.calls.Add("s3", operation)
	if f.faults.Intercept(w, r, "s3", operation) {
		return
	}
	f.proxy.ServeHTTP(w, r)
}

func signed(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" || r.URL.Query().Has("X-Amz-Signature")
}

// context is what the front knows about a request and the gateway's policy
// evaluation does not.
type context struct {
	Referer string              `json:"referer,omitempty"`
	Keys    map[string][]string `json:"keys"`
}

const marker = "sandbox-condition-keys:"

// attach sends the condition keys in the Referer header: the gateway hands that
// one through to the authorizer, and no SDK signs it.
func (f *Front) attach(r *http.Request) {
	if strings.Contains(strings.ToLower(r.Header.Get("Authorization")), ";referer") {
		return // signed after all: leave it alone
	}
	raw, err := json.Marshal(context{Referer: r.Header.Get("Referer"), Keys: conditionKeys(r)})
	if err != nil {
		return
	}
	r.Header.Set("Referer", marker+f.nonce+":"+base64.RawURLEncoding.EncodeToString(raw))
}

// Restore implements iam.ConditionCarrier.
func (f *Front) Restore(referer string) (string, map[string][]string, bool) {
	encoded, ok := strings.CutPrefix(referer, marker+f.nonce+":")
	if !ok {
		return "", nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return "", nil, false
	}
	var c context
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", nil, false
	}
	return c.Referer, c.Keys, true
}

// conditionKeys are the keys of the S3 service reference that an upload rule
// needs and versitygw does not fill in.
func conditionKeys(r *http.Request) map[string][]string {
	keys := map[string][]string{}
	for header, key := range map[string]string{
		"If-None-Match":                   "s3:if-none-match",
		"If-Match":                        "s3:if-match",
		"X-Amz-Content-Sha256":            "s3:x-amz-content-sha256",
		"X-Amz-Copy-Source":               "s3:x-amz-copy-source",
		"X-Amz-Storage-Class":             "s3:x-amz-storage-class",
		"X-Amz-Website-Redirect-Location": "s3:x-amz-website-redirect-location",
	} {
		if value := r.Header.Get(header); value != "" {
			keys[key] = []string{value}
		}
	}
	switch Operation(r) {
	case "PutObject", "CopyObject", "CompleteMultipartUpload":
		keys["s3:ObjectCreationOperation"] = []string{"true"}
	case "CreateMultipartUpload", "UploadPart", "UploadPartCopy":
		keys["s3:ObjectCreationOperation"] = []string{"false"}
	}
	return keys
}
