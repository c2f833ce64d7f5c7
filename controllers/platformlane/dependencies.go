package platformlane

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/upstream"
)

const (
	// upstreamsAtOnce is how many pages are asked for in parallel.
	upstreamsAtOnce = 4
	// firstRetry is how soon an index that failed is asked again; the pauses
	// double up to the ordinary one.
	firstRetry = time.Minute
)

// Upstreams keeps what other indexes say about the dependencies of all lanes. A
// page that several lanes depend on is asked for once. It is kept in memory: a
// new process asks anew, and what the catalogs hold stands until it has.
type Upstreams struct {
	// Client asks the indexes.
	Client *upstream.Client
	// Every is how often a page is asked for.
	Every time.Duration
	Now   func() time.Time
	// Changed is told which lane has to be synced: something new was said.
	Changed func(*v1alpha1.PlatformLane)

	mu    sync.Mutex
	pages map[upstreamPage]*upstreamState
	// added wakes the loop when a page is wanted for the first time.
	added chan struct{}
}

// upstreamPage is the page of one project on one index.
type upstreamPage struct{ indexURL, project string }

// upstreamState is what is known of a page.
type upstreamState struct {
	// lanes depend on it.
	lanes map[types.UID]client.ObjectKey
	// said is what the index said last; its digest is empty before it answered.
	said      index.Dependency
	validator upstream.Validator
	// trouble is why the last request failed; leftOut is about the last answer.
	trouble, leftOut string
	failures         int
	// next is when to ask again. asking is true while somebody does.
	next   time.Time
	asking bool
}

// NewUpstreams makes the memory of what upstream indexes say.
func NewUpstreams(c *upstream.Client, every time.Duration, now func() time.Time, changed func(*v1alpha1.PlatformLane)) *Upstreams {
	return &Upstreams{
		Client: c, Every: every, Now: now, Changed: changed,
		pages: map[upstreamPage]*upstreamState{}, added: make(chan struct{}, 1),
	}
}

// Of are a lane's dependencies, with what their indexes said last, and what
// stands in the way of each. It asks nobody: what is not known yet is asked for
// behind it, and the lane is synced again.
func (u *Upstreams) Of(lane *v1alpha1.PlatformLane) (deps []index.Dependency, troubles map[string]string) {
	troubles = map[string]string{}
	if u == nil {
		for _, d := range lane.Spec.Dependencies {
			troubles[d.Project] = notAllowed(d.IndexURL)
		}
		return nil, troubles
	}
	accepted := strings.Split(strings.ReplaceAll(lane.Annotations[v1alpha1.AcceptDependenciesAnnotation], " ", ""), ",")
	wanted := map[upstreamPage]bool{}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, d := range lane.Spec.Dependencies {
		if !u.Client.Allows(d.IndexURL) {
			// Whoever took it off the list wants its links gone.
			troubles[d.Project] = notAllowed(d.IndexURL)
			continue
		}
		page := upstreamPage{strings.TrimRight(d.IndexURL, "/"), d.Project}
		wanted[page] = true
		state := u.want(page)
		state.lanes[lane.UID] = client.ObjectKeyFromObject(lane)
		dep := state.said
		dep.Project, dep.IndexURL = d.Project, page.indexURL
		dep.Accept = slices.Contains(accepted, d.Project)
		deps = append(deps, dep)
		troubles[d.Project] = cmp.Or(state.trouble, state.leftOut)
	}
	u.forget(lane.UID, wanted)
	return deps, troubles
}

func notAllowed(indexURL string) string {
	return indexURL + " is not among the operator's dependencyIndexURLs, so nothing of it is listed; ask release engineering to add it, or remove the dependency"
}

// want is the state of a page; a new one is asked for at once.
func (u *Upstreams) want(page upstreamPage) *upstreamState {
	state := u.pages[page]
	if state == nil {
		state = &upstreamState{lanes: map[types.UID]client.ObjectKey{}, next: u.Now()}
		u.pages[page] = state
		select {
		case u.added <- struct{}{}:
		default: // The loop is awake already.
		}
	}
	return state
}

// Drop forgets what a lane depends on.
func (u *Upstreams) Drop(lane types.UID) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forget(lane, nil)
}

func (u *Upstreams) forget(lane types.UID, but map[upstreamPage]bool) {
	for page, state := range u.pages {
		if but[page] {
			continue
		}
		if delete(state.lanes, lane); len(state.lanes) == 0 {
			delete(u.pages, page)
		}
	}
}

// Start asks for pages whenever they are due, until the context ends.
func (u *Upstreams) Start(ctx context.Context) error {
	for {
		timer := time.NewTimer(u.Refresh(ctx))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-u.added:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Refresh asks for all pages that are due and returns how long nothing will be.
func (u *Upstreams) Refresh(ctx context.Context) time.Duration {
	group := errgroup.Group{}
	group.SetLimit(upstreamsAtOnce)
	for _, page := range u.due() {
		group.Go(func() error {
			u.refresh(ctx, page)
			return nil
		})
	}
	_ = group.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	wait := u.Every
	for _, state := range u.pages {
		wait = min(wait, state.next.Sub(u.Now()))
	}
	return max(wait, 0)
}

// due are the pages to ask for now, the longest overdue first.
func (u *Upstreams) due() (out []upstreamPage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.Now()
	for page, state := range u.pages {
		if !state.asking && !state.next.After(now) {
			state.asking = true
			out = append(out, page)
		}
	}
	slices.SortFunc(out, func(a, b upstreamPage) int {
		return cmp.Or(u.pages[a].next.Compare(u.pages[b].next), cmp.Compare(a.indexURL, b.indexURL), cmp.Compare(a.project, b.project))
	})
	return out
}

// refresh asks for one page and takes the answer over.
func (u *Upstreams) refresh(ctx context.Context, page upstreamPage) {
	u.mu.Lock()
	state := u.pages[page]
	var since upstream.Validator
	if state != nil {
		since = state.validator
	}
	u.mu.Unlock()
	if state == nil {
		return // Nobody depends on it any more.
	}
	answer, err := u.Client.Fetch(ctx, page.indexURL, page.project, since)
	if ctx.Err() != nil {
		return
	}
	u.mu.Lock()
	news := state.take(answer, err, u.Now(), u.Every)
	lanes := make([]client.ObjectKey, 0, len(state.lanes))
	for _, key := range state.lanes {
		lanes = append(lanes, key)
	}
	u.mu.Unlock()
	if err != nil {
		log.FromContext(ctx).Info("the page of a dependency cannot be read; what is listed stays", "index", page.indexURL, "project", page.project, "error", err.Error())
	}
	if !news {
		return
	}
	for _, key := range lanes {
		lane := &v1alpha1.PlatformLane{}
		lane.Namespace, lane.Name = key.Namespace, key.Name
		u.Changed(lane)
	}
}

// take takes an answer over. It tells whether it says anything new.
func (s *upstreamState) take(answer upstream.Page, err error, now time.Time, every time.Duration) (news bool) {
	s.asking = false
	if err != nil {
		pause := min(firstRetry<<min(s.failures, 10), every)
		s.failures++
		s.next = now.Add(jittered(pause))
		was := s.trouble
		s.trouble = err.Error() + "; what is listed stays, and it is asked again"
		return was != s.trouble
	}
	news = s.trouble != ""
	s.trouble, s.failures, s.next, s.validator = "", 0, now.Add(jittered(every)), answer.Validator
	if answer.Unchanged {
		return news
	}
	said := index.Dependency{Digest: digestOf(answer), Files: answer.Files, Quarantined: answer.Quarantined}
	news = news || said.Digest != s.said.Digest
	s.said, s.leftOut = said, leftOut(answer)
	return news
}

// jittered is a pause of about that length: pages that were asked for together
// are not for ever.
func jittered(pause time.Duration) time.Duration {
	return time.Duration(float64(pause) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // nothing secret depends on it
}

// digestOf stands for all that an answer says.
func digestOf(answer upstream.Page) string {
	said, err := json.Marshal(struct {
		Files       []catalog.File
		Quarantined bool
		LeftOut     int
		Reasons     []string
	}{answer.Files, answer.Quarantined, answer.LeftOut, answer.Reasons})
	if err != nil {
		panic(fmt.Sprintf("a page holds what has no JSON form: %v", err)) // a defect of upstream
	}
	sum := sha256.Sum256(said)
	return hex.EncodeToString(sum[:])
}

// leftOut says which files are not linked to; most projects have some of old.
func leftOut(answer upstream.Page) string {
	switch {
	case answer.Quarantined:
		return "its index calls the project unsafe (quarantined, PEP 792), so nothing of it is listed"
	case answer.LeftOut > 0 && len(answer.Files) == 0:
		return fmt.Sprintf("none of its %d files can be linked to, for example %s", answer.LeftOut, answer.Reasons[0])
	}
	return ""
}
