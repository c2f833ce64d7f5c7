package yank

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	cdnfake "github.com/pytorch/platform-lane-operator/controllers/cdn/fake"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/probe"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

const platform = "spyre"

// world is everything around a reconciler: an API server, stores with a public
// front, a CDN and a clock.
type world struct {
	t         *testing.T
	namespace string
	primary   *fake.Store
	mirror    *fake.Store // nil without a mirror
	cdn       *cdnfake.CDN
	fronts    []*front
	engine    *index.Engine
	reconcile *Reconciler
	events    *recorder

	mu    sync.Mutex
	clock time.Time
	story []string
}

type option func(*setup)

type setup struct {
	versioning objectstore.VersioningState
	mirrored   bool
	noCDN      bool
}

func unversioned(s *setup) { s.versioning = objectstore.VersioningNever }
func suspended(s *setup)   { s.versioning = objectstore.VersioningSuspended }
func mirrored(s *setup)    { s.mirrored = true }
func withoutCDN(s *setup)  { s.noCDN = true }

func newWorld(t *testing.T, options ...option) *world {
	t.Helper()
	setup := setup{versioning: objectstore.VersioningEnabled}
	for _, o := range options {
		o(&setup)
	}
	w := &world{t: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), events: &recorder{}}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "vendor-"}}
	w.must(admin.Create(t.Context(), ns))
	w.namespace = ns.Name
	w.primary = fake.New("lanes", fake.WithClock(w.now), fake.WithVersioning(setup.versioning))
	if setup.mirrored {
		w.mirror = fake.New("mirror", fake.WithClock(w.now))
	}
	w.cdn = cdnfake.New(w.now)
	w.restart(setup.noCDN)
	return w
}

// restart is a new process: nothing in memory survives.
func (w *world) restart(noCDN bool) {
	w.fronts = nil
	target := func(name string, store *fake.Store) index.Target {
		f := &front{store: store, world: w, name: name}
		server := httptest.NewServer(f)
		w.t.Cleanup(server.Close)
		w.fronts = append(w.fronts, f)
		return index.Target{Name: name, Store: store, BaseURLs: []string{server.URL}}
	}
	primary := target("primary", w.primary)
	var mirrors []index.Target
	if w.mirror != nil {
		mirrors = append(mirrors, target("r2", w.mirror))
	}
	w.cdn.OnAccept(func(paths []string) {
		for _, f := range w.fronts {
			f.drop(paths)
		}
	})
	var c cdn.CDN = w.cdn
	if noCDN {
		c = cdn.None{}
	}
	w.engine = index.New(primary, mirrors, c, w.now, index.Limits{})
	w.reconcile = &Reconciler{
		Client: admin, Engine: w.engine, Prober: probe.New(5 * time.Second), Recorder: w.events, Now: w.now, AtOnce: 1,
	}
}

func (w *world) stores() []*fake.Store {
	if w.mirror == nil {
		return []*fake.Store{w.primary}
	}
	return []*fake.Store{w.primary, w.mirror}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

// lane creates the lane "spyre" and says whether it holds its prefixes.
func (w *world) lane(claimed bool) *v1alpha1.PlatformLane {
	w.t.Helper()
	lane := &v1alpha1.PlatformLane{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "spyre"},
		Spec:       v1alpha1.PlatformLaneSpec{Platform: platform, Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelRelease}}},
	}
	w.must(admin.Create(w.t.Context(), lane))
	w.claim(lane, claimed)
	return lane
}

func (w *world) claim(lane *v1alpha1.PlatformLane, holds bool) {
	w.t.Helper()
	before := lane.DeepCopy()
	status, reason := metav1.ConditionFalse, v1alpha1.ReasonHeldByAnother
	if holds {
		status, reason = metav1.ConditionTrue, v1alpha1.ReasonClaimed
	}
	meta.SetStatusCondition(&lane.Status.Conditions, metav1.Condition{Type: v1alpha1.ClaimedCondition, Status: status, Reason: reason})
	w.must(admin.Status().Patch(w.t.Context(), lane, client.MergeFrom(before)))
}

// wheels remembers what wheelOf has made: most tests use the same two.
var wheels sync.Map

// wheelOf is the key and the bytes of a stand-in wheel of torch.
func wheelOf(version, tag string) (key string, data []byte) {
	wheel := wheeltest.Wheel{Project: "torch", Version: version, Tag: tag}
	key = layout.WheelPrefix(platform, v1alpha1.ChannelRelease) + wheel.Filename()
	if made, ok := wheels.Load(key); ok {
		data, _ = made.([]byte)
		return key, slices.Clone(data)
	}
	data, err := wheel.Bytes()
	if err != nil {
		panic(err)
	}
	wheels.Store(key, data)
	return key, slices.Clone(data)
}

// upload stores a wheel in every store and returns its key.
func (w *world) upload(version string) string {
	key, data := wheelOf(version, "")
	for _, s := range w.stores() {
		s.Seed(key, data, fake.SeedOptions{NoChecksum: true})
	}
	return key
}

// sync is what the lane's indexer does when the bucket changed.
func (w *world) sync() index.Report {
	w.t.Helper()
	lane := &v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "spyre"}}
	rules, err := RulesOf(w.t.Context(), admin, lane, w.now())
	w.must(err)
	report, err := w.engine.Sync(w.t.Context(), index.Lane{Platform: platform, Packages: []string{"torch"}, Rules: rules}, v1alpha1.ChannelRelease)
	w.must(err)
	w.must(report.MirrorErr)
	return report
}

// published is a lane with torch 2.9.0 (to be taken back) and 2.9.1 (to stay).
func (w *world) published() (bad, good string) {
	w.t.Helper()
	w.lane(true)
	bad, good = w.upload("2.9.0+spyre"), w.upload("2.9.1+spyre")
	w.sync()
	w.later(time.Minute)
	return bad, good
}

// yank creates a Yank of torch 2.9.0.
func (w *world) yank(mode v1alpha1.YankMode, change ...func(*v1alpha1.YankSpec)) *v1alpha1.Yank {
	w.t.Helper()
	y := &v1alpha1.Yank{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, GenerateName: "bad-",
			Annotations: map[string]string{v1alpha1.RequesterAnnotation: "alice@example.com"},
		},
		Spec: v1alpha1.YankSpec{
			LaneRef:  v1alpha1.LaneReference{Name: "spyre"},
			Selector: v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.0+spyre"},
			Mode:     mode, Reason: "backdoor",
		},
	}
	for _, c := range change {
		c(&y.Spec)
	}
	w.must(admin.Create(w.t.Context(), y))
	return y
}

func planOnly(s *v1alpha1.YankSpec) { s.Execution = v1alpha1.ExecutionPlanOnly }
func restore(s *v1alpha1.YankSpec)  { s.OnDelete = v1alpha1.OnDeleteRestore }

// pass reconciles once and reads the Yank back; it stays as it was if it is gone.
func (w *world) pass(y *v1alpha1.Yank) (ctrl.Result, error) {
	w.t.Helper()
	result, err := w.reconcile.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(y)})
	if getErr := admin.Get(w.t.Context(), client.ObjectKeyFromObject(y), y); client.IgnoreNotFound(getErr) != nil {
		w.t.Fatal(getErr)
	}
	w.later(time.Second)
	return result, err
}

// settle reconciles until nothing is left to do soon, as the queue would.
func (w *world) settle(y *v1alpha1.Yank) {
	w.t.Helper()
	for range 30 {
		result, err := w.pass(y)
		w.must(err)
		if result.RequeueAfter == 0 || result.RequeueAfter >= time.Hour {
			return
		}
		w.later(result.RequeueAfter)
	}
	w.t.Fatalf("never settles: %s", conditions(y))
}

func (w *world) edit(y *v1alpha1.Yank, change func(*v1alpha1.YankSpec)) {
	w.t.Helper()
	before := y.DeepCopy()
	change(&y.Spec)
	w.must(admin.Patch(w.t.Context(), y, client.MergeFrom(before)))
}

func (w *world) delete(y *v1alpha1.Yank) { w.t.Helper(); w.must(admin.Delete(w.t.Context(), y)) }

func (w *world) gone(y *v1alpha1.Yank) bool {
	err := admin.Get(w.t.Context(), client.ObjectKeyFromObject(y), &v1alpha1.Yank{})
	return client.IgnoreNotFound(err) == nil && err != nil
}

// conditions are a Yank's conditions in one line: "Accepted=True/Resolved …".
func conditions(y *v1alpha1.Yank) string {
	var out []string
	for _, c := range y.Status.Conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (w *world) wantConditions(y *v1alpha1.Yank, want ...string) {
	w.t.Helper()
	got := conditions(y)
	for _, c := range want {
		if !slices.Contains(strings.Fields(got), c) {
			w.t.Fatalf("no condition %s in %s\n%s", c, got, messages(y))
		}
	}
}

func (w *world) wantNoCondition(y *v1alpha1.Yank, kinds ...string) {
	w.t.Helper()
	for _, kind := range kinds {
		if c := condition(y, kind); c != nil {
			w.t.Fatalf("condition %s=%s/%s, want none", c.Type, c.Status, c.Reason)
		}
	}
}

func messages(y *v1alpha1.Yank) string {
	var out []string
	for _, c := range y.Status.Conditions {
		out = append(out, c.Type+": "+c.Message)
	}
	return strings.Join(out, "\n")
}

func (w *world) wantMessage(y *v1alpha1.Yank, kind, want string) {
	w.t.Helper()
	if c := condition(y, kind); c == nil || !strings.Contains(c.Message, want) {
		w.t.Fatalf("%s does not say %q:\n%s", kind, want, messages(y))
	}
}

func fakeSeed() fake.SeedOptions { return fake.SeedOptions{NoChecksum: true} }

// laneRef names the lane of this world.
func (w *world) laneRef() *v1alpha1.PlatformLane {
	return &v1alpha1.PlatformLane{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "spyre"}}
}

func keyOf(o client.Object) client.ObjectKey { return client.ObjectKeyFromObject(o) }

func mergeFrom(before client.Object) client.Patch { return client.MergeFrom(before) }

type probeResult = probe.Result
