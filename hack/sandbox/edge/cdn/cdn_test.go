package cdn

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// website is an origin whose answers a test sets, and which remembers what it
// was asked.
type website struct {
	*httptest.Server
	mu      sync.Mutex
	asked   []string
	respond http.HandlerFunc
}

func (o *website) set(respond http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.respond = respond
}

func (o *website) requests() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.asked...)
}

func newWebsite(t *testing.T) *website {
	o := &website{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		o.asked = append(o.asked, r.Host+r.RequestURI)
		respond := o.respond
		o.mu.Unlock()
		respond(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

// fixture is a CDN over a website, with a clock that a test moves.
type fixture struct {
	origin *website
	cdn    *CDN
	faults *fault.Board
	time   time.Time
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{origin: newWebsite(t), faults: &fault.Board{}, time: time.Unix(1_800_000_000, 0)}
	addr := strings.TrimPrefix(f.origin.URL, "http://")
	f.cdn = New("cdn", Origin{Addr: addr, Host: "bucket.localhost"}, DefaultLimits, &calls.Counter{}, f.faults)
	f.cdn.now = func() time.Time { return f.time }
	return f
}

func (f *fixture) get(target string, headers ...string) *http.Response {
	return f.do(http.MethodGet, target, headers...)
}

func (f *fixture) do(method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	f.cdn.ServeHTTP(w, r)
	return w.Result()
}

func object(body, etag, cacheControl string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", cacheControl)
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, body)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func expect(t *testing.T, resp *http.Response, code int, cache, body string) {
	t.Helper()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != code || resp.Header.Get("X-Cache") != cache || string(raw) != body {
		t.Fatalf("got %d, X-Cache %q, body %q; want %d, %q, %q", resp.StatusCode, resp.Header.Get("X-Cache"), raw, code, cache, body)
	}
}

func TestAnObjectLivesForItsSharedMaxAge(t *testing.T) {
	f := newFixture(t)
	f.origin.set(object("one", `"1"`, "public, max-age=0, s-maxage=60, must-revalidate"))
	expect(t, f.get("/whl/x/"), 200, "Miss from sandbox", "one")
	f.origin.set(object("two", `"2"`, "max-age=60"))
	f.time = f.time.Add(59 * time.Second)
	resp := f.get("/whl/x/")
	if resp.Header.Get("Age") != "59" {
		t.Errorf("Age is %q, want 59", resp.Header.Get("Age"))
	}
	expect(t, resp, 200, "Hit from sandbox", "one")
	f.time = f.time.Add(2 * time.Second)
	expect(t, f.get("/whl/x/"), 200, "Miss from sandbox", "two")
}

func TestLifetime(t *testing.T) {
	stored := time.Unix(1_800_000_000, 0)
	for _, c := range []struct {
		name, cacheControl, expires string
		status                      int
		want                        time.Duration
	}{
		{"shared age wins", "max-age=1, s-maxage=7", "", 200, 7 * time.Second},
		{"age", "max-age=9", "", 200, 9 * time.Second},
		{"none given", "", "", 200, 24 * time.Hour},
		{"expires", "", stored.Add(time.Minute).UTC().Format(http.TimeFormat), 200, time.Minute},
		{"in the past", "", stored.Add(-time.Minute).UTC().Format(http.TimeFormat), 200, 0},
		{"no-store", "no-store, s-maxage=7", "", 200, 0},
		{"private", "private", "", 200, 0},
		{"at most a year", "s-maxage=999999999", "", 200, 365 * 24 * time.Hour},
		{"errors", "s-maxage=1000", "", 404, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{"Cache-Control": {c.cacheControl}, "Expires": {c.expires}}
			if got := lifetime(&response{status: c.status, header: h, stored: stored}, DefaultLimits); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestErrorsAreCachedForTenSeconds(t *testing.T) {
	f := newFixture(t)
	f.origin.set(status(404))
	expect(t, f.get("/whl/new.whl"), 404, "Error from sandbox", "")
	f.origin.set(object("here now", `"1"`, "s-maxage=60"))
	f.time = f.time.Add(9 * time.Second)
	expect(t, f.get("/whl/new.whl"), 404, "Error from sandbox", "")
	f.time = f.time.Add(2 * time.Second)
	expect(t, f.get("/whl/new.whl"), 200, "Miss from sandbox", "here now")
}

func TestTheKeyIsThePathAsSent(t *testing.T) {
	f := newFixture(t)
	f.origin.set(object("x", `"1"`, "s-maxage=60"))
	for _, path := range []string{"/a%2Bb", "/a+b", "/a%2bb"} {
		expect(t, f.get(path), 200, "Miss from sandbox", "x")
		expect(t, f.get(path), 200, "Hit from sandbox", "x")
	}
	expect(t, f.get("/a%2Bb?versionId=1"), 200, "Hit from sandbox", "x")
	got := strings.Join(f.origin.requests(), " ")
	if want := "bucket.localhost/a%2Bb bucket.localhost/a%20b bucket.localhost/a%2bb"; got != want {
		t.Errorf("the origin was asked for %s, want %s: a raw + is a space to S3, and queries stay here", got, want)
	}
}

func TestAStaleObjectOutlivesAFailingOrigin(t *testing.T) {
	f := newFixture(t)
	f.origin.set(object("one", `"1"`, "s-maxage=60"))
	expect(t, f.get("/x"), 200, "Miss from sandbox", "one")
	f.time = f.time.Add(time.Hour)
	f.origin.set(status(503))
	expect(t, f.get("/x"), 200, "Hit from sandbox", "one")
	f.origin.Close()
	expect(t, f.get("/x"), 200, "Hit from sandbox", "one")
	if resp := f.get("/never-seen"); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("without a stale object: %d, want 502", resp.StatusCode)
	}
}

func TestAStaleObjectIsRevalidated(t *testing.T) {
	f := newFixture(t)
	f.origin.set(object("one", `"1"`, "s-maxage=60"))
	f.get("/x")
	f.time = f.time.Add(time.Hour)
	f.origin.set(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"1"` {
			t.Errorf("the origin was asked without the ETag")
		}
		w.WriteHeader(http.StatusNotModified)
	})
	expect(t, f.get("/x"), 200, "RefreshHit from sandbox", "one")
	expect(t, f.get("/x"), 200, "Hit from sandbox", "one")
}

func TestClientsRevalidateAndAskForRanges(t *testing.T) {
	f := newFixture(t)
	f.origin.set(object("0123456789", `"1"`, "s-maxage=60"))
	f.get("/x")
	expect(t, f.get("/x", "If-None-Match", `"1"`), 304, "Hit from sandbox", "")
	expect(t, f.get("/x", "Range", "bytes=2-4"), 206, "Hit from sandbox", "234")
	expect(t, f.get("/x", "Range", "bytes=-3"), 206, "Hit from sandbox", "789")
	expect(t, f.do(http.MethodHead, "/x"), 200, "Hit from sandbox", "")
	if resp := f.do(http.MethodPut, "/x"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("PUT: %d, want 403", resp.StatusCode)
	}
}

func TestInvalidation(t *testing.T) {
	paths := []string{"/whl/a/torch-2.9%2Ba.whl", "/whl/a/torch-2.9+a.whl", "/whl/a/torch/", "/whl/ab/x"}
	for _, c := range []struct {
		pattern string
		dropped []bool
	}{
		{"/whl/a/torch-2.9*", []bool{true, true, false, false}},
		{"/whl/a/torch/", []bool{false, false, true, false}},
		{"/whl/a/*", []bool{true, true, true, false}},
		{"/*", []bool{true, true, true, true}},
		{"/whl/a/torch", []bool{false, false, false, false}},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			f := newFixture(t)
			f.origin.set(object("x", `"1"`, "s-maxage=60"))
			for _, path := range paths {
				f.get(path)
			}
			f.cdn.Invalidate([]string{c.pattern})
			for i, path := range paths {
				want := map[bool]string{true: "Miss from sandbox", false: "Hit from sandbox"}[c.dropped[i]]
				if got := f.get(path).Header.Get("X-Cache"); got != want {
					t.Errorf("%s: %s, want %s", path, got, want)
				}
			}
		})
	}
}

// An answer that was on its way when an invalidation came must not be kept.
func TestAnAnswerFromBeforeAnInvalidationIsNotKept(t *testing.T) {
	f := newFixture(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	f.origin.set(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-answer
		object("old", `"1"`, "s-maxage=60")(w, r)
	})
	done := make(chan struct{})
	go func() { defer close(done); f.get("/x") }()
	<-asked
	f.cdn.Invalidate([]string{"/x"})
	close(answer)
	<-done
	f.origin.set(object("new", `"2"`, "s-maxage=60"))
	expect(t, f.get("/x"), 200, "Miss from sandbox", "new")
}

func TestConcurrentRequestsAskOnce(t *testing.T) {
	f := newFixture(t)
	f.origin.set(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(50 * time.Millisecond)
		object("x", `"1"`, "s-maxage=60")(w, r)
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { f.get("/x") })
	}
	wg.Wait()
	if n := len(f.origin.requests()); n != 1 {
		t.Errorf("the origin was asked %d times, want once", n)
	}
}

func TestPassThroughKeepsNothing(t *testing.T) {
	f := newFixture(t)
	addr := strings.TrimPrefix(f.origin.URL, "http://")
	mirror := NewPassThrough("mirror", Origin{Addr: addr, Host: "m.localhost"}, &calls.Counter{}, &fault.Board{})
	for i := range 2 {
		f.origin.set(object(fmt.Sprint(i), `"1"`, "s-maxage=60"))
		w := httptest.NewRecorder()
		mirror.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", nil))
		expect(t, w.Result(), 200, "Miss from sandbox", fmt.Sprint(i))
	}
}

func TestFaults(t *testing.T) {
	f := newFixture(t)
	f.origin.set(object("x", `"1"`, "s-maxage=60"))
	f.faults.Set("cdn", fault.Fault{Status: 503, Times: 1})
	if code := f.get("/x").StatusCode; code != 503 {
		t.Errorf("%d, want the fault's 503", code)
	}
	if code := f.get("/x").StatusCode; code != 200 {
		t.Errorf("%d after the fault, want 200", code)
	}
	f.faults.Set("cdn", fault.Fault{Hang: true})
	done := make(chan struct{})
	go func() { defer close(done); f.get("/x") }()
	select {
	case <-done:
		t.Error("a hanging CDN answered")
	case <-time.After(50 * time.Millisecond):
	}
	f.faults.Set("cdn", fault.Fault{})
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("the request still hangs after the fault was lifted")
	}
}
