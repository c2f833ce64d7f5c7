package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/provenance"
	"github.com/pytorch/platform-lane-operator/controllers/retention"
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
	// Profile is what the root pages tell people about the lane.
	Profile pages.Profile
	// Rules are the Yanks in force: a file that matches one is taken back as
	// soon as it is seen.
	Rules []Rule `json:"-"`
	// Publishers are those whose attestations count.
	Publishers []v1alpha1.Publisher
	// ProvenanceRequired is true if nothing is listed without a verified
	// attestation.
	ProvenanceRequired bool
	// Dependencies are projects of other indexes that every channel lists too.
	Dependencies []Dependency
	// Retention is what each channel keeps; a channel that is not there keeps
	// everything.
	Retention map[v1alpha1.ChannelName]retention.Policy
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
	// FilesAtOnce is how many files are judged in parallel, over all lanes; one
	// lane gets at most half of them. Default 8.
	FilesAtOnce int
	// FilesPerPass is how many new files of a channel one Sync judges before
	// it publishes; the rest is left to the next Sync. Default 500.
	FilesPerPass int
	// JudgeTimeout bounds judging and hashing one file. Default 15 minutes.
	JudgeTimeout time.Duration
	// JudgePatience is how long a Sync waits for the files it judges. What takes
	// longer goes on behind it and lands in a later Sync. Default 5 seconds.
	JudgePatience time.Duration
	// RetentionPreview is how long files that retention would remove are on show
	// before they go. Default 24 hours.
	RetentionPreview time.Duration
	// CatalogMemory is about how many bytes of catalogs are kept in memory.
	// Default 64 MiB.
	CatalogMemory int64
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxFileBytes:     cmp.Or(l.MaxFileBytes, 20<<30),
		FilesAtOnce:      cmp.Or(l.FilesAtOnce, 8),
		FilesPerPass:     cmp.Or(l.FilesPerPass, 500),
		JudgeTimeout:     cmp.Or(l.JudgeTimeout, 15*time.Minute),
		JudgePatience:    cmp.Or(l.JudgePatience, 5*time.Second),
		RetentionPreview: cmp.Or(l.RetentionPreview, 24*time.Hour),
		CatalogMemory:    cmp.Or(l.CatalogMemory, 64<<20),
	}
}

// Engine keeps the index of all lanes. It is safe for concurrent use.
type Engine struct {
	// targets begin with the primary.
	targets []Target
	cdn     cdn.CDN
	now     func() time.Time
	limits  Limits
	// verifier is nil where attestations are not verified.
	verifier     *provenance.Verifier
	gitHubIssuer string
	jobs         *jobs
	// memory is what was read or written before, so that an unchanged object is
	// not asked for again. Losing it costs requests, never correctness.
	memory *memory
	// owing keeps those apart who note debts to the CDN in one catalog.
	owing sync.Mutex

	mu sync.Mutex
	// pageTags and md5Tags are about stores whose ETags are no MD5 sums; see
	// pagetags.go.
	pageTags map[string]string
	md5Tags  map[string]bool
	// tenures keep a lane's Syncs and its retirement apart.
	tenures map[string]*tenure
}

// New is an engine over a primary store and its mirrors. Catalogs are kept on
// the primary. now is the clock. Close ends what it does behind its callers.
func New(primary Target, mirrors []Target, c cdn.CDN, now func() time.Time, limits Limits) *Engine {
	limits = limits.withDefaults()
	return &Engine{
		targets:  append([]Target{primary}, mirrors...),
		cdn:      c,
		now:      now,
		limits:   limits,
		jobs:     newJobs(limits.FilesAtOnce),
		memory:   newMemory(limits.CatalogMemory),
		pageTags: map[string]string{},
		md5Tags:  map[string]bool{},
		tenures:  map[string]*tenure{},
	}
}

// Start lets the engine work until the context ends, and then closes it.
func (e *Engine) Start(ctx context.Context) error {
	<-ctx.Done()
	e.Close()
	return nil
}

// Close ends the judging of files that goes on behind Syncs, and waits for its
// end. Nothing is lost: the next process judges them again.
func (e *Engine) Close() { e.jobs.close() }

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

// MaxRejected bounds the rejected files that a report names.
const MaxRejected = 256

// Report is what a Sync found and did in one channel.
type Report struct {
	Channel v1alpha1.ChannelName
	// Projects have a page, Files are on them.
	Projects, Files int
	// LastUpload is when the newest listed file was uploaded.
	LastUpload time.Time
	// Rejected are the first MaxRejected files that are left out, by key;
	// RejectedBy counts all of them, by reason.
	Rejected   []Rejected
	RejectedBy map[string]int
	// Linked are the projects of other indexes that are listed too.
	Linked []Linked
	// Pending files are left for the next Sync. Background tells how many of
	// them are being judged behind it: looking again at once is of no use.
	Pending, Background int
	// Judged of ToJudge files were judged since the channel was last up to date;
	// both are zero when it is.
	Judged, ToJudge int
	// Wrote is true when a catalog or a page was written.
	Wrote bool
	// Resurfaced is true when bytes were found that a Yank put out of reach:
	// somebody uploaded them again.
	Resurfaced bool
	// Due is what retention is about to remove, Expired what this Sync took off
	// the pages, and Removed whose bytes it removed.
	Due              Due
	Expired, Removed Files
	// RemovalErr says why expired bytes could not be removed.
	RemovalErr error
	// MirrorErr says which mirrors could not be brought up to date, and why.
	MirrorErr error
	// PurgeErr says why the CDN could not be asked to drop old pages.
	PurgeErr error
}

// failed tells whether anything is left to do over.
func (r *Report) failed() bool {
	return r.RemovalErr != nil || r.MirrorErr != nil || r.PurgeErr != nil
}

// RejectedCount is how many files are left out.
func (r *Report) RejectedCount() (n int) {
	for _, count := range r.RejectedBy {
		n += count
	}
	return n
}

// reject adds files to those that are left out.
func (r *Report) reject(files ...Rejected) {
	for _, f := range files {
		r.RejectedBy[f.Reason]++
	}
	r.Rejected = append(r.Rejected, files...)
	if len(r.Rejected) > 8*MaxRejected {
		r.finish() // A folder may be full of them.
	}
}

// finish brings the report into its final form.
func (r *Report) finish() {
	slices.SortFunc(r.Rejected, func(a, b Rejected) int { return cmp.Compare(a.Key, b.Key) })
	if len(r.Rejected) > MaxRejected {
		r.Rejected = slices.Clone(r.Rejected[:MaxRejected])
	}
}

// maxAttempts bounds how often a lost race is run again.
const maxAttempts = 10

// ErrContended is returned when other writers kept winning.
var ErrContended = errors.New("another writer kept changing it; it will be tried again")
