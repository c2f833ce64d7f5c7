package cdn

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// Limits are a cache policy's times, with CloudFront's defaults in DefaultLimits.
type Limits struct{ DefaultTTL, MaxTTL, ErrorTTL time.Duration }

// DefaultLimits are CloudFront's CachingOptimized policy and error caching.
var DefaultLimits = Limits{DefaultTTL: 24 * time.Hour, MaxTTL: 365 * 24 * time.Hour, ErrorTTL: 10 * time.Second}

// Origin is a bucket's website.
type Origin struct {
	// Addr is the website endpoint's host:port, Host the bucket's name there.
	Addr, Host string
}

// CDN serves one origin through a cache.
type CDN struct {
	// Functions run on requests before the cache and on responses behind it.
	Functions Functions

	name    string
	origin  Origin
	limits  Limits
	caching bool
	cache   *cache
	client  *http.Client
	calls   *calls.Counter
	faults  *fault.Board
	flights flights
	now     func() time.Time
}

// New returns a caching CDN; name is what its calls and faults go by.
func New(name string, origin Origin, limits Limits, counter *calls.Counter, faults *fault.Board) *CDN {
	return &CDN{
		name: name, origin: origin, limits: limits, caching: true, cache: newCache(),
		calls: counter, faults: faults, now: time.Now,
		client: &http.Client{
			Timeout:       30 * time.Second, // CloudFront's origin response timeout
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, origin.Addr)
				},
				MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second, DisableCompression: true,
			},
		},
	}
}

// NewPassThrough is New without a cache: every request asks the origin.
func NewPassThrough(name string, origin Origin, counter *calls.Counter, faults *fault.Board) *CDN {
	c := New(name, origin, Limits{}, counter, faults)
	c.caching = false
	return c
}

// Invalidate drops what the patterns name and returns how many objects that was.
func (c *CDN) Invalidate(patterns []string) int { return c.cache.invalidate(patterns) }

// ServeHTTP implements http.Handler.
func (c *CDN) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls.Add(c.name, r.Method)
	if c.faults.Intercept(w, r, c.name, r.Method) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "This distribution is not configured to allow the HTTP request method that was used for this request.", http.StatusForbidden)
		return
	}
	path, _, _ := strings.Cut(r.RequestURI, "?")
	path, answered, err := c.Functions.onRequest(r, path)
	if err != nil {
		c.functionFailed(w, err)
		return
	}
	if answered != nil {
		answered.write(w)
		return
	}
	cached, since := c.cache.get(path)
	if cached != nil && cached.fresh(c.now()) {
		c.serve(w, r, path, cached, "Hit")
		return
	}
	shared := context.WithoutCancel(r.Context()) // others may wait for this answer when r has gone
	answer, err := c.flights.do(path, func() (*answer, error) { return c.fetch(shared, path, cached, since) })
	switch {
	case err != nil && cached != nil && cached.status == http.StatusOK:
		c.serve(w, r, path, cached, "Hit") // a stale object beats an origin that fails
	case err != nil:
		c.badGateway(w, err)
	case answer.stream:
		c.passThrough(w, r, path)
	default:
		c.serve(w, r, path, answer.response, answer.outcome)
	}
}

type answer struct {
	response *response
	outcome  string
	// stream says that the object is too large to keep.
	stream bool
}

// fetch asks the origin and stores what may be stored.
func (c *CDN) fetch(ctx context.Context, path string, stale *response, since uint64) (*answer, error) {
	req, err := c.request(ctx, http.MethodGet, path)
	if err != nil {
		return nil, err
	}
	if stale != nil && stale.status == http.StatusOK && stale.header.Get("ETag") != "" {
		req.Header.Set("If-None-Match", stale.header.Get("ETag"))
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.ContentLength > maxObjectBytes {
		return &answer{stream: true}, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxObjectBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read from the origin: %w", err)
	}
	if len(body) > maxObjectBytes {
		return &answer{stream: true}, nil
	}
	if resp.StatusCode >= http.StatusInternalServerError && stale != nil && stale.status == http.StatusOK {
		return &answer{response: stale, outcome: "Hit"}, nil
	}
	now := c.now()
	fresh := &response{status: resp.StatusCode, header: kept(resp.Header), body: body, stored: now}
	outcome := "Miss"
	switch {
	case resp.StatusCode == http.StatusNotModified:
		fresh = &response{status: stale.status, header: stale.header, body: stale.body, stored: now}
		outcome = "RefreshHit"
	case stale != nil && stale.status == http.StatusOK && sameObject(stale, fresh):
		outcome = "RefreshHit"
	case resp.StatusCode >= http.StatusBadRequest:
		outcome = "Error"
	}
	fresh.expiry = now.Add(lifetime(fresh, c.limits))
	if c.caching {
		c.cache.put(path, fresh, since)
	}
	return &answer{response: fresh, outcome: outcome}, nil
}

func sameObject(a, b *response) bool {
	return b.status == http.StatusOK && a.header.Get("ETag") != "" && a.header.Get("ETag") == b.header.Get("ETag")
}

// request addresses the origin. S3 reads a raw + in a URL as a space; the
// gateway behind this CDN does not, so say it in a way that both understand.
func (c *CDN) request(ctx context.Context, method, path string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.origin.Addr+strings.ReplaceAll(path, "+", "%20"), nil)
	if err != nil {
		return nil, err
	}
	req.Host = c.origin.Host
	return req, nil
}

// kept are the origin's headers that a viewer sees.
func kept(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{
		"Cache-Control", "Content-Type", "Content-Disposition", "Content-Encoding", "Content-Language",
		"Etag", "Expires", "Last-Modified", "Location", "X-Amz-Version-Id", "X-Amz-Error-Code",
	} {
		if value := h.Get(name); value != "" {
			out.Set(name, value)
		}
	}
	for name, values := range h {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			out[name] = values
		}
	}
	return out
}

// serve answers from a whole response; ranges and revalidation are net/http's.
func (c *CDN) serve(w http.ResponseWriter, r *http.Request, path string, from *response, outcome string) {
	if !c.setHeader(w, r, path, from.status, from.header) {
		return
	}
	if outcome == "Hit" {
		w.Header().Set("Age", strconv.Itoa(int(c.now().Sub(from.stored).Seconds())))
	}
	if from.status >= http.StatusBadRequest {
		outcome = "Error" // cached or not
	}
	w.Header().Set("X-Cache", outcome+" from sandbox")
	if from.status == http.StatusOK {
		modified, _ := http.ParseTime(from.header.Get("Last-Modified"))
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", "binary/octet-stream")
		}
		http.ServeContent(w, r, "", modified, bytes.NewReader(from.body))
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(from.body)))
	w.WriteHeader(from.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(from.body)
	}
}

// passThrough streams an object that is too large to keep.
func (c *CDN) passThrough(w http.ResponseWriter, r *http.Request, path string) {
	req, err := c.request(r.Context(), r.Method, path)
	if err != nil {
		c.badGateway(w, err)
		return
	}
	resp, err := c.client.Do(req)
	if err != nil {
		c.badGateway(w, err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if !c.setHeader(w, r, path, resp.StatusCode, kept(resp.Header)) {
		return
	}
	w.Header().Set("X-Cache", "Miss from sandbox")
	if resp.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// setHeader passes the origin's headers on, as the viewer-response function wants
// them. It answers itself and returns false when that function fails.
func (c *CDN) setHeader(w http.ResponseWriter, r *http.Request, path string, status int, header http.Header) bool {
	header, err := c.Functions.onResponse(r, path, status, header)
	if err != nil {
		c.functionFailed(w, err)
		return false
	}
	maps.Copy(w.Header(), header)
	return true
}

func (g *generated) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), g.header)
	w.Header().Set("X-Cache", "FunctionGeneratedResponse from sandbox")
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(g.status)
}

func (c *CDN) functionFailed(w http.ResponseWriter, err error) {
	fmt.Printf("%s: %v\n", c.name, err)
	w.Header().Set("X-Cache", "FunctionExecutionError from sandbox")
	http.Error(w, "The CloudFront function associated with the CloudFront distribution failed.", http.StatusServiceUnavailable)
}

func (c *CDN) badGateway(w http.ResponseWriter, err error) {
	fmt.Printf("%s: %v\n", c.name, err)
	w.Header().Set("X-Cache", "Error from sandbox")
	http.Error(w, "The origin does not answer.", http.StatusBadGateway)
}

// flights lets one request ask the origin while others for the same path wait.
type flights struct {
	mu      sync.Mutex
	pending map[string]*flight
}

type flight struct {
	done   chan struct{}
	answer *answer
	err    error
}

func (f *flights) do(key string, fetch func() (*answer, error)) (*answer, error) {
	f.mu.Lock()
	if current, ok := f.pending[key]; ok {
		f.mu.Unlock()
		<-current.done
		return current.answer, current.err
	}
	if f.pending == nil {
		f.pending = map[string]*flight{}
	}
	current := &flight{done: make(chan struct{})}
	f.pending[key] = current
	f.mu.Unlock()

	current.answer, current.err = fetch()
	f.mu.Lock()
	delete(f.pending, key)
	f.mu.Unlock()
	close(current.done)
	return current.answer, current.err
}
