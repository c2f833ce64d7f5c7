package index_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/retention"
)

const (
	sympyHTML  = folder + "sympy/index.html"
	sympyJSON  = folder + "sympy/index.v1_json"
	upstreamAt = "https://index.example.com/simple/"
)

// linkedTo is a link to a version of sympy.
func linkedTo(version string) catalog.File {
	name := "sympy-" + version + "-py3-none-any.whl"
	return catalog.File{
		Name: name, State: catalog.StateListed, SHA256: fmt.Sprintf("%064x", len(version)+int(version[0])), Size: 7, Version: version,
		Link: &catalog.Link{URL: "https://files.example.com/" + name},
	}
}

// dependOn makes the lane depend on these versions of sympy.
func (w *world) dependOn(files ...catalog.File) {
	slices.SortFunc(files, func(a, b catalog.File) int { return strings.Compare(a.Name, b.Name) })
	digest := "none"
	for _, f := range files {
		digest += f.Name + f.SHA256 + fmt.Sprint(f.Link.Yanked)
	}
	w.lane.Dependencies = []index.Dependency{{Project: "sympy", IndexURL: upstreamAt, Digest: digest, Files: files}}
}

// versions are links to as many versions.
func versions(n int) (out []catalog.File) {
	for i := range n {
		out = append(out, linkedTo(fmt.Sprintf("1.%02d", i)))
	}
	return out
}

// later lets time pass for the world's engine.
func (w *world) later(by time.Duration) {
	at := start.Add(by)
	w.engine = index.New(index.Target{Name: "primary", Store: w.store}, nil, w.cdn, func() time.Time { return at }, index.Limits{FilesAtOnce: 1})
}

// links are the addresses that both pages of sympy list.
func (w *world) links() (out []string) {
	w.t.Helper()
	html, json := w.store.Contents()[sympyHTML], w.store.Contents()[sympyJSON]
	for _, f := range w.sympy().Files {
		if f.Link == nil {
			continue
		}
		inHTML, inJSON := strings.Contains(html, `"`+f.Link.URL+"#sha256="+f.SHA256), strings.Contains(json, `"`+f.Link.URL+`"`)
		if inHTML != inJSON {
			w.t.Errorf("%s: in HTML %v, in JSON %v", f.Name, inHTML, inJSON)
		}
		if inHTML {
			out = append(out, f.Version)
		}
	}
	return out
}

func (w *world) sympy() *catalog.Catalog {
	w.t.Helper()
	c, err := catalog.Decode([]byte(w.store.Contents()["_lanes/spyre/release/sympy.json"]))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// wantLinks syncs and compares.
func (w *world) wantLinks(what string, want ...string) index.Linked {
	w.t.Helper()
	report := w.sync()
	if got := w.links(); !slices.Equal(got, want) {
		w.t.Errorf("%s: %v are listed, want %v", what, got, want)
	}
	if len(report.Linked) != 1 || report.Linked[0].Project != "sympy" || report.Linked[0].Files != len(want) {
		w.t.Errorf("%s: reported as %+v", what, report.Linked)
		return index.Linked{}
	}
	return report.Linked[0]
}

func TestDependencyIsLinked(t *testing.T) {
	w := newWorld(t)
	w.upload("2.9.0")
	w.dependOn(linkedTo("1.12"), linkedTo("1.13"))
	linked := w.wantLinks("first", "1.12", "1.13")
	if !linked.Changed.Equal(start) {
		t.Errorf("changed %v", linked.Changed)
	}
	for _, root := range []string{folder + "index.html", folder + "index.v1_json"} {
		if page := w.store.Contents()[root]; !strings.Contains(page, "sympy") || !strings.Contains(page, "torch") {
			t.Errorf("%s lists not both:\n%s", root, page)
		}
	}
	if report := w.settle(w.engine); report.Files != 1 || report.Projects != 2 || report.LastUpload.IsZero() {
		t.Errorf("links count as uploads: %+v", report)
	}
	if c := w.sympy(); c.PurgedRevision != c.Revision {
		t.Error("the CDN was not told")
	}
	// Nothing changed: that costs the listings alone, by this engine and by one
	// that has just started and reads the catalogs once.
	w.store.ResetCalls()
	w.sync()
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})
	w.engine = w.another()
	w.store.ResetCalls()
	w.wantLinks("after a start", "1.12", "1.13")
	if calls := w.store.Calls(); calls[objectstore.OpPut] > 0 {
		t.Errorf("wrote again: %v", calls)
	}
	// An index that has not answered since the start changes nothing.
	w.lane.Dependencies[0].Digest, w.lane.Dependencies[0].Files = "", nil
	w.wantLinks("unread", "1.12", "1.13")
}

func TestUnreadDependencyHasNoPage(t *testing.T) {
	w := newWorld(t)
	w.lane.Dependencies = []index.Dependency{{Project: "sympy", IndexURL: upstreamAt}}
	if report := w.sync(); len(report.Linked) != 0 {
		t.Errorf("%+v", report.Linked)
	}
	if _, there := w.store.Contents()[sympyHTML]; there {
		t.Error("there is a page that stops installers, and nothing is on it")
	}
}

func TestSuspiciousLoss(t *testing.T) {
	all := versions(40)
	for _, c := range []struct {
		what       string
		was, is    int
		change     func(*index.Dependency)
		suspicious bool
	}{
		{"everything", 1, 0, nil, true},
		{"a few of many", 40, 30, nil, false},
		{"few, but most", 12, 2, nil, false},
		{"many", 40, 29, nil, true},
		{"just a fifth", 40, 32, nil, false},
		{"accepted", 40, 0, func(d *index.Dependency) { d.Accept = true }, false},
		{"quarantined", 40, 0, func(d *index.Dependency) { d.Quarantined = true }, false},
		{"another index", 40, 1, func(d *index.Dependency) { d.IndexURL = "https://other.example.com/" }, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			w.dependOn(all[:c.was]...)
			w.sync()
			w.dependOn(all[:c.is]...)
			if c.change != nil {
				c.change(&w.lane.Dependencies[0])
			}
			want := c.is
			if c.suspicious {
				want = c.was
			}
			report := w.sync()
			if got := len(w.links()); got != want || report.Linked[0].ShrunkSince.IsZero() == c.suspicious {
				t.Errorf("%d are listed, want %d; %+v", got, want, report.Linked)
			}
			if !c.suspicious {
				return
			}
			w.settle(w.engine)
			w.store.ResetCalls()
			w.later(index.ShrinkPatience - time.Second)
			w.sync()
			if got := len(w.links()); got != c.was || w.store.Calls()[objectstore.OpPut] > 0 {
				t.Errorf("before the patience ends: %d are listed, %v", got, w.store.Calls())
			}
			w.later(index.ShrinkPatience)
			w.sync()
			if got := len(w.links()); got != c.is || !w.sympy().Upstream.ShrunkSince.IsZero() {
				t.Errorf("after it: %d are listed, want %d", got, c.is)
			}
		})
	}
}

// TestLossEndsByItself: an engine at rest looks again when its patience ends,
// though nothing else has changed, and forgets a loss that was mended.
func TestLossEndsByItself(t *testing.T) {
	w := newWorld(t)
	now := start
	w.engine = index.New(index.Target{Name: "primary", Store: w.store}, nil, w.cdn, func() time.Time { return now }, index.Limits{})
	w.dependOn(versions(3)...)
	w.sync()
	w.dependOn()
	w.settle(w.engine)
	w.dependOn(versions(3)...)
	w.settle(w.engine)
	if since := w.sympy().Upstream.ShrunkSince; !since.IsZero() {
		t.Errorf("a loss that was mended is remembered: %v", since)
	}
	now = now.Add(index.ShrinkPatience)
	w.dependOn()
	w.settle(w.engine)
	if len(w.links()) != 3 {
		t.Error("the patience began with the first loss")
	}
	now = now.Add(index.ShrinkPatience)
	w.settle(w.engine)
	if len(w.links()) != 0 {
		t.Error("the loss is never taken for real")
	}
}

func TestReplacedBytes(t *testing.T) {
	w := newWorld(t)
	w.dependOn(linkedTo("1.12"), linkedTo("1.13"))
	w.sync()
	other := linkedTo("1.13")
	other.SHA256 = strings.Repeat("e", 64)
	w.dependOn(linkedTo("1.12"), other)
	if linked := w.wantLinks("other bytes", "1.12"); !slices.Equal(linked.Replaced, []string{other.Name}) {
		t.Errorf("reported: %+v", linked)
	}
	w.settle(w.engine)
	w.dependOn(linkedTo("1.12"), linkedTo("1.13"))
	w.wantLinks("the first bytes are back", "1.12", "1.13")
	w.dependOn(linkedTo("1.12"), other)
	w.wantLinks("other bytes again", "1.12")
	w.lane.Dependencies[0].Accept = true
	w.wantLinks("accepted", "1.12", "1.13")
	w.lane.Dependencies[0].Accept = false
	w.wantLinks("accepted before", "1.12", "1.13")
	if got := w.sympy().Find(other.Name).SHA256; got != other.SHA256 {
		t.Errorf("listed with %s", got)
	}
}

func TestUpstreamYank(t *testing.T) {
	w := newWorld(t)
	w.dependOn(linkedTo("1.13"))
	w.sync()
	yanked := linkedTo("1.13")
	yanked.Link = &catalog.Link{URL: yanked.Link.URL, Yanked: true, YankReason: "wrong sums"}
	w.dependOn(yanked)
	w.wantLinks("yanked", "1.13")
	if page := w.store.Contents()[sympyHTML]; !strings.Contains(page, `data-yanked="wrong sums"`) {
		t.Errorf("not marked:\n%s", page)
	}
}

// TestYankOfLinks: what a Yank took off the page stays off, whatever the other
// index does.
func TestYankOfLinks(t *testing.T) {
	for _, mode := range []v1alpha1.YankMode{v1alpha1.YankIndexRemoval, v1alpha1.YankQuarantine, v1alpha1.YankHardDelete} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			w.dependOn(linkedTo("1.12"), linkedTo("1.13"))
			w.sync()
			w.rule(mode, v1alpha1.YankSelector{Package: "sympy", Versions: "==1.13"})
			w.wantLinks("yanked", "1.12")
			w.lane.Rules = nil // The tombstone stands by itself.
			w.dependOn(linkedTo("1.12"))
			w.wantLinks("gone upstream", "1.12")
			w.settle(w.engine)
			w.dependOn(linkedTo("1.12"), linkedTo("1.13"))
			w.wantLinks("back upstream", "1.12")
			other := linkedTo("1.13")
			other.SHA256 = strings.Repeat("e", 64)
			w.dependOn(linkedTo("1.12"), other)
			w.lane.Dependencies[0].Accept = true
			w.wantLinks("with other bytes", "1.12")
			w.lane.Dependencies = nil
			w.sync()
			w.dependOn(linkedTo("1.12"), linkedTo("1.13"))
			w.wantLinks("depended on anew", "1.12")
			if calls := w.store.Calls(); calls[objectstore.OpDelete]+calls[objectstore.OpTagVersion] > 0 {
				t.Errorf("touched bytes that are not the lane's: %v", calls)
			}
		})
	}
	t.Run("before it is linked", func(t *testing.T) {
		w := newWorld(t)
		w.rule(v1alpha1.YankIndexRemoval, v1alpha1.YankSelector{Package: "sympy", Versions: "==1.13"})
		w.dependOn(linkedTo("1.12"), linkedTo("1.13"))
		w.wantLinks("at once", "1.12")
	})
}

// TestOwnPackageIsNotShadowed: a project that the lane publishes is its own,
// whatever its manifest says it depends on.
func TestOwnPackageIsNotShadowed(t *testing.T) {
	w := newWorld(t)
	w.lane.Packages = []string{"torch", "sympy"}
	own := w.uploadOf("sympy", "1.0")
	w.dependOn(linkedTo("1.12"))
	owned := func(what string) {
		t.Helper()
		report := w.settle(w.engine)
		if len(report.Linked) != 1 || !report.Linked[0].Owned || len(w.links()) != 0 {
			t.Errorf("%s: %+v, listed %v", what, report.Linked, w.links())
		}
		w.wantListed(own, true)
	}
	owned("on the list")
	w.lane.Packages = []string{"torch"}
	owned("with files of its own")

	w = newWorld(t)
	w.lane.Packages = []string{"torch", "sympy"}
	w.dependOn(linkedTo("1.12"))
	if report := w.settle(w.engine); len(w.links()) != 0 || !report.Linked[0].Owned {
		t.Errorf("before the first upload: %v, %+v", w.links(), report.Linked)
	}

	w = newWorld(t)
	w.dependOn(linkedTo("1.12"))
	w.wantLinks("a dependency", "1.12")
	w.lane.Packages = []string{"torch", "sympy"}
	own = w.uploadOf("sympy", "1.0")
	owned("a dependency that became a package")
}

// TestVendorCannotUploadDependency: an upload under the name of a linked file is
// refused and changes nothing.
func TestVendorCannotUploadDependency(t *testing.T) {
	w := newWorld(t)
	w.dependOn(linkedTo("1.13"))
	w.sync()
	w.store.Seed(folder+linkedTo("1.13").Name, []byte("evil"), fake.SeedOptions{})
	w.wantLinks("an upload under its name", "1.13")
	wantRejected(t, w.sync(), linkedTo("1.13").Name, "PackageNotAllowed")
}

// TestDroppedDependencyHasNoPage: an empty page would keep installers from
// finding the project elsewhere.
func TestDroppedDependencyHasNoPage(t *testing.T) {
	w := newWorld(t)
	mirror := fake.New("mirror")
	w.engine = w.another(mirror)
	w.dependOn(linkedTo("1.13"))
	w.sync()
	deps := w.lane.Dependencies
	w.lane.Dependencies = nil
	purges := len(w.cdn.Requests())
	w.sync()
	for name, store := range map[string]*fake.Store{"primary": w.store, "mirror": mirror} {
		contents := store.Contents()
		for _, key := range []string{sympyHTML, sympyJSON} {
			if _, there := contents[key]; there {
				t.Errorf("%s is still on the %s", key, name)
			}
		}
		if strings.Contains(contents[folder+"index.v1_json"], "sympy") || !strings.Contains(contents[folder+"index.v1_json"], "torch") {
			t.Errorf("the list on the %s: %s", name, contents[folder+"index.v1_json"])
		}
	}
	if len(w.cdn.Requests()) == purges {
		t.Error("the CDN was not told")
	}
	w.settle(w.engine)
	w.store.ResetCalls()
	if report := w.syncBy(w.another(mirror)); len(report.Rejected) > 0 {
		t.Errorf("rejected: %v", report.Rejected)
	}
	if calls := w.store.Calls(); calls[objectstore.OpPut]+calls[objectstore.OpHead] > 0 {
		t.Errorf("a dropped dependency goes on to cost: %v", calls)
	}
	// Somebody writes the page once more: it goes, and the caches are told again.
	w.store.Seed(sympyHTML, []byte("late"), fake.SeedOptions{})
	purges = len(w.cdn.Requests())
	w.sync()
	if _, there := w.store.Contents()[sympyHTML]; there || len(w.cdn.Requests()) == purges {
		t.Errorf("a late page: there %v, %d purges", there, len(w.cdn.Requests())-purges)
	}
	w.lane.Dependencies = deps
	w.wantLinks("back", "1.13")
}

func TestRetiredLaneDropsDependencies(t *testing.T) {
	w := newWorld(t)
	w.dependOn(linkedTo("1.13"))
	w.sync()
	if err := w.engine.Retire(w.ctx(), "spyre"); err != nil {
		t.Fatal(err)
	}
	contents := w.store.Contents()
	if _, there := contents[sympyHTML]; there {
		t.Error("the page of the dependency is still there")
	}
	if _, there := contents[htmlPage]; !there {
		t.Error("the page of the lane's own package is gone")
	}
	w.sync() // The first one after a retirement leaves everything pending.
	w.wantLinks("taken up again", "1.13")
}

// TestRetentionSparesLinks: a channel keeps versions of its own files only.
func TestRetentionSparesLinks(t *testing.T) {
	w := newWorld(t)
	w.lane.Retention = map[v1alpha1.ChannelName]retention.Policy{v1alpha1.ChannelRelease: {Versions: 1}}
	w.dependOn(versions(3)...)
	w.sync()
	w.later(1000 * time.Hour)
	w.wantLinks("much later", "1.00", "1.01", "1.02")
}

// TestCrashWhileLinking stops an engine at each of its requests and lets another
// one go on.
func TestCrashWhileLinking(t *testing.T) {
	for _, c := range []struct {
		what   string
		before func(*world)
		after  func(*world)
		want   []string
	}{
		{"link", func(*world) {}, func(w *world) { w.dependOn(linkedTo("1.13")) }, []string{"1.13"}},
		{"change", func(w *world) { w.dependOn(linkedTo("1.12")) }, func(w *world) { w.dependOn(linkedTo("1.12"), linkedTo("1.13")) }, []string{"1.12", "1.13"}},
		{"drop", func(w *world) { w.dependOn(linkedTo("1.13")) }, func(w *world) { w.lane.Dependencies = nil }, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			crashed := 0
			for at := 1; at < 100; at++ {
				w := newWorld(t)
				c.before(w)
				w.sync()
				c.after(w)
				calls := 0
				w.store.FailBefore(func(string, string) error {
					if calls++; calls >= at {
						return objectstore.ErrUnavailable
					}
					return nil
				})
				if _, err := w.engine.Sync(w.ctx(), w.lane, v1alpha1.ChannelRelease); err == nil && calls < at {
					break
				}
				crashed++
				w.store.FailBefore(nil)
				w.engine = w.another()
				w.settle(w.engine)
				_, there := w.store.Contents()[sympyHTML]
				if got := w.links(); !slices.Equal(got, c.want) || there != (c.want != nil) {
					t.Errorf("crash at request %d: %v are listed, page %v", at, got, there)
				}
				if c := w.sympy(); c.PurgedRevision != c.Revision {
					t.Errorf("crash at request %d: the CDN was not told", at)
				}
			}
			if crashed < 5 {
				t.Errorf("only %d crashes", crashed)
			}
		})
	}
}
