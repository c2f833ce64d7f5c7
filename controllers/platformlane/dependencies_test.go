package platformlane

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
	"github.com/pytorch/platform-lane-operator/controllers/upstream"
)

// elsewhere is an index of its own, over TLS, that tests change.
type elsewhere struct {
	*httptest.Server
	mu       sync.Mutex
	versions []string
	status   int
	// asked counts the requests, sent the answers with a body.
	asked, sent int
}

func newElsewhere(t *testing.T, versions ...string) *elsewhere {
	t.Helper()
	x := &elsewhere{versions: versions}
	x.Server = httptest.NewTLSServer(x)
	t.Cleanup(x.Close)
	return x
}

func (x *elsewhere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asked++
	if x.status != 0 {
		w.WriteHeader(x.status)
		return
	}
	tag := fmt.Sprintf("%q", strings.Join(x.versions, ","))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	x.sent++
	var files []string
	for _, v := range x.versions {
		name := "sympy-" + v + "-py3-none-any.whl"
		files = append(files, fmt.Sprintf(`{"filename":%q,"url":"/files/%s","hashes":{"sha256":"%064x"},"size":7}`, name, name, len(v)))
	}
	w.Header().Set("Content-Type", simpleindex.TypeJSON)
	_, _ = fmt.Fprintf(w, `{"meta":{"api-version":"1.1"},"name":"sympy","versions":[],"files":[%s]}`, strings.Join(files, ","))
}

func (x *elsewhere) url() string { return x.URL + "/simple/" }

func (x *elsewhere) set(status int, versions ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.status, x.versions = status, versions
}

func (x *elsewhere) counts() (asked, sent int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.asked, x.sent
}

// dependOn lets the world's lanes depend on projects of these indexes.
func (w *world) dependOn(allowed ...*elsewhere) (woken *[]string) {
	pool := x509.NewCertPool()
	var urls []string
	for _, x := range allowed {
		pool.AddCert(x.Certificate())
		urls = append(urls, x.url())
	}
	woken = &[]string{}
	w.indexer.Upstreams = NewUpstreams(upstream.New(upstream.Options{IndexURLs: urls, RootCAs: pool}), time.Hour, w.now, func(lane *v1alpha1.PlatformLane) {
		*woken = append(*woken, lane.Namespace+"/"+lane.Name)
	})
	return woken
}

func onSympy(indexURL string) func(*v1alpha1.PlatformLaneSpec) {
	return func(s *v1alpha1.PlatformLaneSpec) {
		s.Dependencies = []v1alpha1.Dependency{{Project: "sympy", IndexURL: indexURL}}
	}
}

// round is a sync and the pass that follows it.
func (w *world) round(lane *v1alpha1.PlatformLane) {
	w.t.Helper()
	_, err := w.sync(lane)
	w.must(err)
	w.mustPass(lane)
}

func (w *world) wantDependency(lane *v1alpha1.PlatformLane, what string, files int, message string) {
	w.t.Helper()
	if len(lane.Status.Dependencies) != 1 {
		w.t.Fatalf("%s: %+v", what, lane.Status.Dependencies)
	}
	d := lane.Status.Dependencies[0]
	got := 0
	if d.Files != nil {
		got = int(*d.Files)
	}
	if d.Project != "sympy" || got != files || !strings.Contains(d.Message, message) || message == "" && d.Message != "" {
		w.t.Errorf("%s: %d files, message %q; want %d and %q", what, got, d.Message, files, message)
	}
}

func (w *world) wantLinked(what, version string, want bool) {
	w.t.Helper()
	for _, channel := range []v1alpha1.ChannelName{v1alpha1.ChannelNightly, v1alpha1.ChannelRelease} {
		folder := "whl/"
		if channel != v1alpha1.ChannelRelease {
			folder += string(channel) + "/"
		}
		page := w.store.Contents()[folder+w.platform+"/sympy/index.html"]
		if strings.Contains(page, "sympy-"+version+"-py3-none-any.whl#sha256=") != want {
			w.t.Errorf("%s: %s in %s is listed: %v\n%s", what, version, channel, !want, page)
		}
	}
}

func TestDependenciesOfALane(t *testing.T) {
	w := newWorld(t)
	x := newElsewhere(t, "1.12", "1.13")
	woken := w.dependOn(x)
	lane := w.ready(w.lane(onSympy(x.url())))
	w.wantDependency(lane, "before it was read", 0, "not been read yet")
	if asked, _ := x.counts(); asked != 0 {
		t.Error("a sync waits for another index")
	}

	w.indexer.Upstreams.Refresh(t.Context())
	if want := []string{lane.Namespace + "/lane"}; !slices.Equal(*woken, want) {
		t.Errorf("woken %v, want %v", *woken, want)
	}
	w.round(lane)
	w.want(lane, "IndexReady=True/IndexPublished", "Ready=True/Ready")
	w.wantDependency(lane, "linked", 2, "")
	w.wantLinked("linked", "1.13", true)
	if at := lane.Status.Dependencies[0].LastRefreshed; at == nil || !at.Time.Equal(w.now().Truncate(time.Second)) {
		t.Errorf("refreshed %v", at)
	}

	// Until the next refresh nobody is asked, and then an unchanged page costs no
	// body, wakes nobody and writes nothing.
	if wait := w.indexer.Upstreams.Refresh(t.Context()); wait < 54*time.Minute || wait > 66*time.Minute {
		t.Errorf("nothing to do for %s", wait)
	}
	for range 3 {
		w.round(lane)
		w.indexer.Upstreams.Refresh(t.Context())
	}
	if asked, sent := x.counts(); asked != 1 || sent != 1 {
		t.Errorf("between refreshes: asked %d times, sent %d times", asked, sent)
	}
	version := lane.ResourceVersion
	w.later(67 * time.Minute)
	*woken = nil
	w.indexer.Upstreams.Refresh(t.Context())
	w.store.ResetCalls()
	w.round(lane)
	if asked, sent := x.counts(); asked != 2 || sent != 1 || len(*woken) > 0 || lane.ResourceVersion != version || w.store.Calls()["PutObject"] > 0 {
		t.Errorf("unchanged: asked %d times, sent %d times, woken %v, %v", asked, sent, *woken, w.store.Calls())
	}

	// An index that fails keeps what is listed; it is asked again soon.
	x.set(http.StatusBadGateway)
	w.later(67 * time.Minute)
	w.indexer.Upstreams.Refresh(t.Context())
	w.round(lane)
	w.want(lane, "IndexReady=True/DependencyTrouble", "Ready=True/Ready")
	w.wantDependency(lane, "failing", 2, "status 502 instead of the page")
	w.wantLinked("failing", "1.13", true)
	for i := range 4 {
		version = lane.ResourceVersion
		*woken = nil
		wait := w.indexer.Upstreams.Refresh(t.Context())
		if wait < time.Minute<<i*8/10 || wait > time.Minute<<i*12/10 {
			t.Errorf("failure %d: again after %s", i+1, wait)
		}
		w.later(wait)
		w.indexer.Upstreams.Refresh(t.Context())
		w.round(lane)
		if len(*woken) > 0 || lane.ResourceVersion != version {
			t.Errorf("failure %d is told again: %v", i+2, *woken)
		}
	}
	x.set(0, "1.12", "1.13", "1.14")
	w.later(time.Hour)
	w.indexer.Upstreams.Refresh(t.Context())
	w.round(lane)
	w.wantDependency(lane, "back", 3, "")
	w.wantLinked("back", "1.14", true)

	// A new process knows nothing; what is listed stands until it has asked.
	w.restart()
	w.dependOn(x)
	w.round(lane)
	w.wantDependency(lane, "restarted", 3, "")
	w.wantLinked("restarted", "1.14", true)

	// Suddenly nothing: kept, said, and taken over when somebody says so.
	x.set(0)
	w.indexer.Upstreams.Refresh(t.Context())
	w.round(lane)
	w.want(lane, "IndexReady=True/DependencyTrouble")
	w.wantDependency(lane, "suddenly nothing", 3, "suddenly lists far fewer files")
	w.wantDependency(lane, "suddenly nothing", 3, v1alpha1.AcceptDependenciesAnnotation+"=sympy")
	lane.Annotations = map[string]string{v1alpha1.AcceptDependenciesAnnotation: "numpy, sympy"}
	w.must(admin.Update(t.Context(), lane))
	w.round(lane)
	w.wantDependency(lane, "accepted", 0, "")
	w.wantLinked("accepted", "1.14", false)

	// Without the dependency there is nothing left of it.
	lane.Spec.Dependencies = nil
	w.must(admin.Update(t.Context(), lane))
	w.round(lane)
	if len(lane.Status.Dependencies) > 0 || len(w.indexer.Upstreams.pages) > 0 {
		t.Errorf("removed: %+v, %d pages wanted", lane.Status.Dependencies, len(w.indexer.Upstreams.pages))
	}
	if _, there := w.store.Contents()["whl/"+w.platform+"/sympy/index.html"]; there {
		t.Error("the page of a dependency that is none any more is still there")
	}
}

// TestIndexesOffTheAllowList: nobody is asked, what was linked goes, and the
// author of the manifest is told.
func TestIndexesOffTheAllowList(t *testing.T) {
	w := newWorld(t)
	x := newElsewhere(t, "1.13")
	w.dependOn(x)
	lane := w.ready(w.lane(onSympy(x.url())))
	w.indexer.Upstreams.Refresh(t.Context())
	w.round(lane)
	w.wantDependency(lane, "allowed", 1, "")
	for what, upstreams := range map[string]func(){"another list": func() { w.dependOn(newElsewhere(t)) }, "no list": func() { w.indexer.Upstreams = nil }} {
		asked, _ := x.counts()
		upstreams()
		w.round(lane)
		if w.indexer.Upstreams != nil {
			w.indexer.Upstreams.Refresh(t.Context())
		}
		w.round(lane)
		w.want(lane, "IndexReady=True/DependencyTrouble")
		w.wantDependency(lane, what, 0, "is not among the operator's dependencyIndexURLs")
		w.wantLinked(what, "1.13", false)
		if again, _ := x.counts(); again != asked {
			t.Errorf("%s: asked", what)
		}
	}
}

// TestLanesShareUpstreams: one page is asked for once for all lanes, every lane
// is woken, and nothing is asked for nobody.
func TestLanesShareUpstreams(t *testing.T) {
	w := newWorld(t)
	x := newElsewhere(t, "1.13")
	woken := w.dependOn(x)
	u := w.indexer.Upstreams
	var lanes []*v1alpha1.PlatformLane
	for i := range 3 {
		lane := &v1alpha1.PlatformLane{}
		lane.Namespace, lane.Name, lane.UID = "ns", fmt.Sprintf("lane%d", i), types.UID(fmt.Sprint(i))
		onSympy(strings.TrimSuffix(x.url(), strings.Repeat("/", i%2)))(&lane.Spec)
		u.Of(lane)
		lanes = append(lanes, lane)
	}
	u.Refresh(t.Context())
	if asked, _ := x.counts(); asked != 1 || len(*woken) != 3 {
		t.Errorf("asked %d times, woken %v", asked, *woken)
	}
	for _, lane := range lanes {
		u.Drop(lane.UID)
	}
	w.later(24 * time.Hour)
	u.Refresh(t.Context())
	if asked, _ := x.counts(); asked != 1 || len(u.pages) != 0 {
		t.Errorf("asked for nobody: %d times, %d pages", asked, len(u.pages))
	}
}

// TestUpstreamsRunByThemselves: a page that is wanted for the first time is
// asked for at once, and the loop ends with its context.
func TestUpstreamsRunByThemselves(t *testing.T) {
	x := newElsewhere(t, "1.13")
	w := newWorld(t)
	w.dependOn(x)
	u := w.indexer.Upstreams
	changed := make(chan struct{}, 1)
	u.Changed = func(*v1alpha1.PlatformLane) { changed <- struct{}{} }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- u.Start(ctx) }()
	lane := &v1alpha1.PlatformLane{}
	lane.UID = "u"
	onSympy(x.url())(&lane.Spec)
	u.Of(lane)
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		t.Error("nobody asked")
	}
	if deps, _ := u.Of(lane); len(deps) != 1 || deps[0].Digest == "" || len(deps[0].Files) != 1 {
		t.Errorf("%+v", deps)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestDependencyMessages: each trouble names what to do.
func TestDependencyMessages(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		linked  index.Linked
		trouble string
		says    []string
	}{
		{index.Linked{}, "", nil},
		{index.Linked{Owned: true}, "", []string{"remove the dependency"}},
		{index.Linked{ShrunkSince: at}, "", []string{"until 2026-03-02T12:00:00Z", "annotate"}},
		{index.Linked{Replaced: []string{"a.whl", "b.whl", "c.whl"}}, "status 502", []string{"(a.whl, b.whl)", "annotate", "status 502"}},
	} {
		got := dependencyMessage("sympy", c.linked, c.trouble)
		if (got == "") != (c.says == nil) {
			t.Errorf("%+v: %q", c.linked, got)
		}
		for _, says := range c.says {
			if !strings.Contains(got, says) {
				t.Errorf("%+v: %q does not say %q", c.linked, got, says)
			}
		}
	}
}
