package index_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// heapBudget is what the engine may take with 100,000 files in one project.
const heapBudget = 300 << 20

// hugeStore is a bucket whose own memory does not count: what is written lies on
// disk, and wheels are made up as they are listed.
type hugeStore struct {
	*fake.Store
	dir string
	// files is how many made-up wheels each folder has, by prefix.
	files map[string]int

	// reads counts Head and Get.
	reads atomic.Int64

	mu    sync.Mutex
	large map[string]objectstore.Object
}

func newHugeStore(t testing.TB, store *fake.Store) *hugeStore {
	return &hugeStore{Store: store, dir: t.TempDir(), files: map[string]int{}, large: map[string]objectstore.Object{}}
}

// madeUpFile is the catalog entry of a made-up wheel: 25 wheels of each version.
func madeUpFile(i int) catalog.File {
	hash := fmt.Sprintf("%064x", i)
	return catalog.File{
		Name: fmt.Sprintf("torch-2.9.0.dev%08d+spyre-cp3%02d-cp312-manylinux_2_28_x86_64.whl", i/25, i%25), ETag: hash[32:], VersionID: hash[:32],
		Size: 1 << 30, SHA256: hash, Version: fmt.Sprintf("2.9.0.dev%d+spyre", i/25), UploadTime: start, RequiresPython: ">=3.10",
		MetadataSHA256: hash, MetadataETag: hash[32:], State: catalog.StateListed,
	}
}

func (s *hugeStore) path(key string) string {
	return filepath.Join(s.dir, strings.ReplaceAll(key, "/", "%"))
}

// Put puts everything on disk.
func (s *hugeStore) Put(_ context.Context, key string, body []byte, opts objectstore.PutOptions) (objectstore.Written, error) {
	sum := md5.Sum(body)
	obj := objectstore.Object{Key: key, ETag: hex.EncodeToString(sum[:]), Size: int64(len(body)), LastModified: start}
	s.mu.Lock()
	defer s.mu.Unlock()
	if opts.IfMatch != s.large[key].ETag {
		return objectstore.Written{}, objectstore.ErrPrecondition
	}
	s.large[key] = obj
	return objectstore.Written{ETag: obj.ETag}, os.WriteFile(s.path(key), body, 0o600)
}

func (s *hugeStore) Get(ctx context.Context, key string, opts objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	s.reads.Add(1)
	s.mu.Lock()
	obj, ok := s.large[key]
	s.mu.Unlock()
	if !ok {
		return s.Store.Get(ctx, key, opts)
	}
	body, err := os.Open(s.path(key))
	return body, objectstore.Info{Object: obj}, err
}

func (s *hugeStore) Head(ctx context.Context, key string) (objectstore.Info, error) {
	s.reads.Add(1)
	s.mu.Lock()
	obj, ok := s.large[key]
	s.mu.Unlock()
	if !ok {
		return s.Store.Head(ctx, key)
	}
	return objectstore.Info{Object: obj}, nil
}

// List yields everything below a prefix in the order of keys.
func (s *hugeStore) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Object, error] {
	return func(yield func(objectstore.Object, error) bool) {
		for i := range s.files[prefix] {
			f := madeUpFile(i)
			wheel := objectstore.Object{Key: prefix + f.Name, ETag: f.ETag, Size: f.Size, LastModified: start}
			metadata := objectstore.Object{Key: wheel.Key + layout.MetadataSuffix, ETag: f.MetadataETag, Size: 1 << 10, LastModified: start}
			if !yield(wheel, nil) || !yield(metadata, nil) {
				return
			}
		}
		var rest []objectstore.Object
		s.mu.Lock()
		for key, obj := range s.large {
			if strings.HasPrefix(key, prefix) {
				rest = append(rest, obj)
			}
		}
		s.mu.Unlock()
		for obj, err := range s.Store.List(ctx, prefix) {
			if err != nil {
				yield(obj, err)
				return
			}
			rest = append(rest, obj)
		}
		slices.SortFunc(rest, func(a, b objectstore.Object) int { return strings.Compare(a.Key, b.Key) })
		for _, obj := range rest {
			if !yield(obj, nil) {
				return
			}
		}
	}
}

// fill makes up the wheels of a lane that were judged before, with the catalog
// and the bytes of the METADATA files left out.
func (s *hugeStore) fill(t testing.TB, ref index.Ref, files int) {
	c := catalog.New(ref.Platform, ref.Channel, ref.Project)
	c.Revision, c.PurgedRevision = 1, 1
	for i := range files {
		c.Files = append(c.Files, madeUpFile(i))
	}
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(context.Background(), layout.CatalogKey(ref.Platform, ref.Channel, ref.Project), data, objectstore.PutOptions{IfNoneMatch: true}); err != nil {
		t.Fatal(err)
	}
	s.files[layout.WheelPrefix(ref.Platform, ref.Channel)] = files
}

// peak is the largest heap while work runs, over what there was before.
func peak(work func()) uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	inUse := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64() + sample[1].Value.Uint64()
	}
	before, highest := inUse(), uint64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				highest = max(highest, inUse())
			}
		}
	}()
	work()
	close(stop)
	<-stopped
	return highest - min(before, highest)
}

// withinBudget has the collector keep to the budget, as the operator's Deployment
// does with GOMEMLIMIT: what is measured is what the engine needs, not what a
// busy machine leaves lying about.
func withinBudget(t *testing.T) {
	before := debug.SetMemoryLimit(heapBudget)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
}

// TestChangeAmongManyFiles adds a wheel to a project of 100,000, to an engine
// that knows the project and to one that has just started.
func TestChangeAmongManyFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	withinBudget(t)
	w := newWorld(t)
	store := newHugeStore(t, w.store)
	store.fill(t, torch, 100_000)
	for name, e := range map[string]*index.Engine{"just started": nil, "running": w.on(store)} {
		t.Run(name, func(t *testing.T) {
			if e == nil {
				e = w.on(store)
			} else {
				w.settle(e)
			}
			w.upload("9.9." + fmt.Sprint(len(name)))
			began := time.Now()
			highest := peak(func() {
				if report := w.syncBy(e); !report.Wrote || report.Files < 100_001 {
					t.Errorf("report %+v", report)
				}
			})
			t.Logf("%.2f s, %d MB at most", time.Since(began).Seconds(), highest>>20)
			if highest > heapBudget {
				t.Errorf("the heap grew by %d MB, the budget is %d", highest>>20, heapBudget>>20)
			}
		})
	}
}

// TestManyLanesAtRest: what an engine remembers of lanes with nothing to do is
// little, and a pass over them costs the listings alone.
func TestManyLanesAtRest(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const lanes, perFile = 60, 100
	steady := manyLanes(t, lanes)
	t.Logf("%d KB for %d files", steady>>10, lanes*filesPerLane)
	if steady > lanes*filesPerLane*perFile {
		t.Errorf("%d bytes are kept for each file, want at most %d", steady/lanes/filesPerLane, perFile)
	}
}

// BenchmarkManyLanesAtRest is the same with 1,000 lanes, and the memory of the
// process in its figures.
func BenchmarkManyLanesAtRest(b *testing.B) {
	for b.Loop() {
		highest := peak(func() { b.ReportMetric(float64(manyLanes(b, 1000))/(1<<20), "MB-kept") })
		b.ReportMetric(float64(highest)/(1<<20), "MB-peak")
	}
}

const filesPerLane = 1000

// manyLanes syncs lanes of 1,000 files until they are at rest, and once more. It
// returns how much the engine keeps of them.
func manyLanes(t testing.TB, lanes int) (kept uint64) {
	w := newWorld(t)
	store := newHugeStore(t, w.store)
	for i := range lanes {
		store.fill(t, index.Ref{Platform: fmt.Sprintf("lane%d", i), Channel: v1alpha1.ChannelRelease, Project: "torch"}, filesPerLane)
	}
	before := heap()
	// The catalogs in memory have a budget of their own.
	e := index.New(index.Target{Name: "primary", Store: store}, nil, w.cdn, func() time.Time { return w.now }, index.Limits{CatalogMemory: 1})
	syncAll := func() {
		for i := range lanes {
			report, err := e.Sync(t.Context(), index.Lane{Platform: fmt.Sprintf("lane%d", i), Packages: []string{"torch"}}, v1alpha1.ChannelRelease)
			if err != nil || report.Files != filesPerLane {
				t.Fatalf("report %+v, error %v", report, err)
			}
		}
	}
	syncAll()
	syncAll()
	reads := store.reads.Load()
	syncAll()
	if n := store.reads.Load() - reads; n > 0 {
		t.Errorf("a pass over lanes at rest makes %d requests beside listings", n)
	}
	if !slices.Contains(e.Holders("lane0", map[string]bool{madeUpFile(7).SHA256: true})[madeUpFile(7).SHA256], fmt.Sprintf("lane%d", lanes-1)) {
		t.Error("the engine does not know any more which lanes hold the same bytes")
	}
	kept = heap() - min(before, heap())
	runtime.KeepAlive(e)
	return kept
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
