package index

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/yankplan"
)

// Target is one store that serves the index.
type Target struct {
	// Name is "primary" or the mirror's name in the configuration.
	Name  string
	Store objectstore.Store
	// BaseURLs are the public addresses of the store's top folder.
	BaseURLs []string
	// ObjectURL is the address of the bucket on the store's own endpoint, where
	// old versions can be asked for; empty if it is not to be probed.
	ObjectURL string
}

// Lane is what the engine needs to know of a lane.
type Lane struct {
	Platform string
	Packages []string
	// Rules are the Yanks in force: a file that matches one is taken back as
	// soon as it is seen.
	Rules []Rule
}

// Rule is a standing Yank.
type Rule struct {
	Selector  *yankplan.Selector
	Tombstone catalog.Tombstone
	// InForce tells whether the Yank still stands; nil means always. It is asked
	// again for every write of a catalog: a Sync that began before a Yank was
	// restored must not bury its files anew.
	InForce func() bool
}

// Ref names one catalog.
type Ref struct {
	Platform string
	Channel  v1alpha1.ChannelName
	Project  string
}

// String is how a person would say it: "torch (spyre, nightly)".
func (r Ref) String() string {
	return fmt.Sprintf("%s (%s, %s)", r.Project, r.Platform, r.Channel)
}

// Limits bound what the engine does at once. Zero values mean the defaults.
type Limits struct {
	// MaxFileBytes is the largest file that may be listed. Default 20 GiB.
	MaxFileBytes int64
	// FilesAtOnce is how many files are judged in parallel, over all lanes.
	// Default 8.
	FilesAtOnce int
	// FilesPerPass is how many new files of a channel one Sync judges before
	// it publishes; the rest is left to the next Sync. Default 500.
	FilesPerPass int
	// JudgeTimeout bounds judging and hashing one file. Default 15 minutes.
	JudgeTimeout time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.MaxFileBytes == 0 {
		l.MaxFileBytes = 20 << 30
	}
	if l.FilesAtOnce == 0 {
		l.FilesAtOnce = 8
	}
	if l.FilesPerPass == 0 {
		l.FilesPerPass = 500
	}
	if l.JudgeTimeout == 0 {
		l.JudgeTimeout = 15 * time.Minute
	}
	return l
}

// Engine keeps the index of all lanes. It is safe for concurrent use.
type Engine struct {
	// targets begin with the primary.
	targets []Target
	cdn     cdn.CDN
	now     func() time.Time
	limits  Limits
	// judging holds one token for each file that is being judged.
	judging chan struct{}

	// What was read or written before, so that an unchanged object is not
	// asked for again. Losing it costs requests, never correctness.
	mu       sync.Mutex
	catalogs map[string]stored
	rendered map[string]rendering
	// pageTags and md5Tags are about stores whose ETags are no MD5 sums; see
	// pagetags.go.
	pageTags map[string]string
	md5Tags  map[string]bool
	// stale are the keys of files other than pages whose copies the CDN has
	// still to drop.
	stale map[string]bool
	// tenures keep a lane's Syncs and its retirement apart.
	tenures map[string]*tenure
}

// New is an engine over a primary store and its mirrors. Catalogs are kept on
// the primary. now is the clock.
func New(primary Target, mirrors []Target, c cdn.CDN, now func() time.Time, limits Limits) *Engine {
	limits = limits.withDefaults()
	return &Engine{
		targets:  append([]Target{primary}, mirrors...),
		cdn:      c,
		now:      now,
		limits:   limits,
		judging:  make(chan struct{}, limits.FilesAtOnce),
		catalogs: map[string]stored{},
		rendered: map[string]rendering{},
		pageTags: map[string]string{},
		md5Tags:  map[string]bool{},
		stale:    map[string]bool{},
		tenures:  map[string]*tenure{},
	}
}

// Targets are the stores that serve the index, the primary first.
func (e *Engine) Targets() []Target { return e.targets }

// Primary is the store that holds the catalogs.
func (e *Engine) Primary() Target { return e.targets[0] }

// CDN is what stands in front of the stores.
func (e *Engine) CDN() cdn.CDN { return e.cdn }

// Rejected is an uploaded file that is left out.
type Rejected struct {
	Key, Reason, Message string
}

// Report is what a Sync found and did in one channel.
type Report struct {
	Channel v1alpha1.ChannelName
	// Projects have a page, Files are on them.
	Projects, Files int
	// LastUpload is when the newest listed file was uploaded.
	LastUpload time.Time
	// Rejected are the files that are left out, by key.
	Rejected []Rejected
	// Pending files are left for the next Sync.
	Pending int
	// Wrote is true when a catalog or a page was written.
	Wrote bool
	// Resurfaced is true when bytes were found that a Yank put out of reach:
	// somebody uploaded them again.
	Resurfaced bool
	// MirrorErr says which mirrors could not be brought up to date, and why.
	MirrorErr error
	// PurgeErr says why the CDN could not be asked to drop old pages.
	PurgeErr error
}

// maxAttempts bounds how often a lost race is run again.
const maxAttempts = 10

// ErrContended is returned when other writers kept winning.
var ErrContended = errors.New("another writer kept changing it; it will be tried again")

// acquire waits for a place among the files that are judged at once.
func (e *Engine) acquire(ctx context.Context) (release func(), err error) {
	select {
	case e.judging <- struct{}{}:
		return func() { <-e.judging }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
