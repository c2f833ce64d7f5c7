package platformlane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
	"github.com/pytorch/platform-lane-operator/controllers/ackrole"
	cdnfake "github.com/pytorch/platform-lane-operator/controllers/cdn/fake"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// world is everything around the two reconcilers.
type world struct {
	t          *testing.T
	platform   string
	store      *fake.Store
	mirror     *fake.Store
	cdn        *cdnfake.CDN
	engine     *index.Engine
	roles      *roles
	events     *recorder
	reconciler *Reconciler
	indexer    *Indexer
	health     *Health
	woken      chan event.GenericEvent
	rules      []index.Rule
	synced     int
	changed    int

	mu    sync.Mutex
	clock time.Time
}

// platforms makes a name for each world: all of them share one API server.
var platforms struct {
	sync.Mutex
	n int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	platforms.Lock()
	platforms.n++
	name := fmt.Sprintf("vendor%d", platforms.n)
	platforms.Unlock()
	w := &world{
		t: t, platform: name, events: &recorder{}, clock: time.Date(2026, 3, 1, 12, 0, 0, 500e6, time.UTC),
		roles: &roles{seen: ackrole.Observation{State: ackrole.Synced, ARN: "arn:aws:iam::123456789012:role/lane"}, applied: map[string]access.Role{}},
		woken: make(chan event.GenericEvent, 64),
	}
	w.store, w.mirror = fake.New("lanes", fake.WithClock(w.now)), fake.New("mirror", fake.WithClock(w.now))
	w.cdn = cdnfake.New(w.now)
	w.restart()
	return w
}

// restart is a new process: nothing in memory survives.
func (w *world) restart() {
	w.engine = index.New(
		index.Target{Name: "primary", Store: w.store, BaseURLs: []string{"https://download.example.com"}},
		[]index.Target{{Name: "r2", Store: w.mirror, BaseURLs: []string{"https://r2.example.com"}}},
		w.cdn, w.now, index.Limits{})
	w.health = &Health{Engine: w.engine, Client: admin, Wake: w.woken}
	w.reconciler = &Reconciler{
		Client: admin, Roles: w.roles, Engine: w.engine, Recorder: w.events, Now: w.now, ClusterID: "cluster-a",
		PublicBaseURL: "https://download.example.com", Health: w.health, ReservedPlatforms: []string{"reserved1"},
		Access: access.Settings{
			AccountID: "123456789012", Bucket: "lanes", RolePrefix: "lane-",
			Providers: []access.Provider{{Issuer: access.DefaultGitHubIssuer, ARN: "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"}},
		},
	}
	w.indexer = &Indexer{
		Client: admin, Engine: w.engine, Poll: 5 * time.Minute, AtOnce: 1,
		RulesOf:      func(context.Context, *v1alpha1.PlatformLane) ([]index.Rule, error) { return w.rules, nil },
		Synced:       func(*v1alpha1.PlatformLane) { w.synced++ },
		FilesChanged: func(context.Context, *v1alpha1.PlatformLane) { w.changed++ },
	}
	Connect(w.reconciler, w.indexer)
	w.look()
}

// look is a look at the stores, without waking the lanes of other tests.
func (w *world) look() {
	found := w.health.ask(w.t.Context())
	w.health.mu.Lock()
	defer w.health.mu.Unlock()
	w.health.last = found
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

// lane creates a lane of this world's platform, ready to publish.
func (w *world) lane(change ...func(*v1alpha1.PlatformLaneSpec)) *v1alpha1.PlatformLane {
	w.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "vendor-"}}
	w.must(admin.Create(w.t.Context(), ns))
	lane := &v1alpha1.PlatformLane{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "lane"},
		Spec: v1alpha1.PlatformLaneSpec{
			Platform: w.platform, Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}, {Name: v1alpha1.ChannelRelease}},
			Publishers: []v1alpha1.Publisher{{Name: "ci", GitHubActions: v1alpha1.GitHubActionsPublisher{
				Repository: "vendor/torch", RepositoryID: 7, RepositoryOwnerID: 8, Refs: []string{"refs/heads/main"},
			}}},
		},
	}
	for _, c := range change {
		c(&lane.Spec)
	}
	w.must(admin.Create(w.t.Context(), lane))
	w.t.Cleanup(func() { // Others list all lanes.
		if err := admin.Get(context.Background(), client.ObjectKeyFromObject(lane), lane); err == nil {
			lane.Finalizers = nil
			_ = admin.Update(context.Background(), lane)
			_ = admin.Delete(context.Background(), lane)
		}
	})
	return lane
}

// pass reconciles once and reads the lane back; it stays as it was if it is gone.
func (w *world) pass(lane *v1alpha1.PlatformLane) (ctrl.Result, error) {
	w.t.Helper()
	result, err := w.reconciler.Reconcile(w.t.Context(), request(lane))
	w.read(lane)
	return result, err
}

func (w *world) mustPass(lane *v1alpha1.PlatformLane) ctrl.Result {
	w.t.Helper()
	result, err := w.pass(lane)
	w.must(err)
	return result
}

func (w *world) read(lane *v1alpha1.PlatformLane) {
	w.t.Helper()
	if err := admin.Get(w.t.Context(), client.ObjectKeyFromObject(lane), lane); client.IgnoreNotFound(err) != nil {
		w.t.Fatal(err)
	}
}

// sync runs the indexer once.
func (w *world) sync(lane *v1alpha1.PlatformLane) (ctrl.Result, error) {
	return w.indexer.Reconcile(w.t.Context(), request(lane))
}

// ready brings a lane up.
func (w *world) ready(lane *v1alpha1.PlatformLane) *v1alpha1.PlatformLane {
	w.t.Helper()
	w.mustPass(lane)
	result, err := w.sync(lane)
	w.must(err)
	if result.RequeueAfter < time.Second { // The first sync after another lane's end only looks.
		_, err = w.sync(lane)
		w.must(err)
	}
	w.mustPass(lane)
	w.want(lane, "Ready=True/Ready")
	return lane
}

func request(lane *v1alpha1.PlatformLane) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKeyFromObject(lane)}
}

func (w *world) edit(lane *v1alpha1.PlatformLane, change func(*v1alpha1.PlatformLaneSpec)) {
	w.t.Helper()
	before := lane.DeepCopy()
	change(&lane.Spec)
	w.must(admin.Patch(w.t.Context(), lane, client.MergeFrom(before)))
}

func suspend(s *v1alpha1.PlatformLaneSpec) { s.Access = v1alpha1.AccessSuspended }
func resume(s *v1alpha1.PlatformLaneSpec)  { s.Access = v1alpha1.AccessActive }

func (w *world) delete(lane *v1alpha1.PlatformLane) {
	w.t.Helper()
	w.must(admin.Delete(w.t.Context(), lane))
}

func gone(lane *v1alpha1.PlatformLane) bool {
	err := admin.Get(context.Background(), client.ObjectKeyFromObject(lane), &v1alpha1.PlatformLane{})
	return err != nil && client.IgnoreNotFound(err) == nil
}

// upload stores a wheel of torch on every store and returns its key.
func (w *world) upload(channel v1alpha1.ChannelName, version string) string {
	w.t.Helper()
	wheel := wheeltest.Wheel{Project: "torch", Version: version + "+" + w.platform}
	data, err := wheel.Bytes()
	w.must(err)
	key := layout.WheelPrefix(w.platform, channel) + wheel.Filename()
	w.store.Seed(key, data, fake.SeedOptions{NoChecksum: true})
	w.mirror.Seed(key, data, fake.SeedOptions{NoChecksum: true})
	return key
}

// lists tells whether any page of a store links to a file.
func lists(store *fake.Store, key string) bool {
	for page, body := range store.Contents() {
		if strings.HasSuffix(page, layout.HTMLPage) && strings.Contains(body, layout.EscapeKey(layout.FileName(key))) {
			return true
		}
	}
	return false
}

func conditions(lane *v1alpha1.PlatformLane) string {
	var out []string
	for _, c := range lane.Status.Conditions {
		out = append(out, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (w *world) want(lane *v1alpha1.PlatformLane, want ...string) {
	w.t.Helper()
	got := strings.Fields(conditions(lane))
	for _, c := range want {
		if unwanted, not := strings.CutPrefix(c, "!"); not {
			if meta.FindStatusCondition(lane.Status.Conditions, unwanted) != nil {
				w.t.Fatalf("there is a condition %s in %s", unwanted, got)
			}
		} else if !slices.Contains(got, c) {
			w.t.Fatalf("no condition %s in %s\n%s", c, got, messages(lane))
		}
	}
}

func messages(lane *v1alpha1.PlatformLane) string {
	var out []string
	for _, c := range lane.Status.Conditions {
		out = append(out, c.Type+": "+c.Message)
	}
	return strings.Join(out, "\n")
}

func (w *world) wantMessage(lane *v1alpha1.PlatformLane, kind, want string) {
	w.t.Helper()
	if c := meta.FindStatusCondition(lane.Status.Conditions, kind); c == nil || !strings.Contains(c.Message, want) {
		w.t.Fatalf("%s does not say %q:\n%s", kind, want, messages(lane))
	}
}

// roles stand in for ACK's.
type roles struct {
	mu      sync.Mutex
	seen    ackrole.Observation
	err     error
	applied map[string]access.Role // by namespace
	writes  int
	lingers bool // A deletion takes its time.
	deleted []string
	onApply func()
}

func (r *roles) Apply(_ context.Context, lane *v1alpha1.PlatformLane, role access.Role) (ackrole.Observation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.onApply != nil {
		r.onApply()
	}
	if r.err != nil {
		return ackrole.Observation{}, r.err
	}
	if have, ok := r.applied[lane.Namespace]; !ok || have.Trust != role.Trust || have.InlinePolicy != role.InlinePolicy {
		r.applied[lane.Namespace] = role
		r.writes++
	}
	return r.seen, nil
}

func (r *roles) Observe(_ context.Context, lane *v1alpha1.PlatformLane, _ string) (ackrole.Observation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.applied[lane.Namespace]; !ok {
		return ackrole.Observation{State: ackrole.Missing}, r.err
	}
	return r.seen, r.err
}

func (r *roles) Delete(_ context.Context, lane *v1alpha1.PlatformLane, name string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return false, r.err
	}
	if have, ok := r.applied[lane.Namespace]; !ok || have.Name != name {
		return true, nil
	}
	r.deleted = append(r.deleted, name)
	if r.lingers {
		return false, nil
	}
	delete(r.applied, lane.Namespace)
	return true, nil
}

func (r *roles) has(lane *v1alpha1.PlatformLane) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.applied[lane.Namespace]
	return ok
}

// recorder keeps Events.
type recorder struct {
	mu   sync.Mutex
	all  []string
	hook func()
}

func (r *recorder) Eventf(_, _ runtime.Object, kind, reason, _, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hook != nil {
		r.hook()
	}
	r.all = append(r.all, fmt.Sprintf("%s %s %s", kind, reason, fmt.Sprintf(note, args...)))
}

func (r *recorder) has(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.all, func(e string) bool { return strings.Contains(e, part) })
}
