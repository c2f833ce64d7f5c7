package index_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// slow is a store from which whole files come only once they are let go.
type slow struct {
	objectstore.Store
	// held makes downloads wait until it is closed.
	held chan struct{}
	// begun and ended count downloads.
	begun, ended atomic.Int32
}

func (s *slow) Get(ctx context.Context, key string, opts objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	if strings.HasSuffix(key, ".whl") && opts.Offset == 0 && opts.Length == 0 {
		s.begun.Add(1)
		defer s.ended.Add(1)
		select {
		case <-s.held:
		case <-ctx.Done():
			return nil, objectstore.Info{}, ctx.Err()
		}
	}
	return s.Store.Get(ctx, key, opts)
}

// large uploads a wheel that has to be downloaded to be hashed.
func (w *world) large(version string) string {
	w.t.Helper()
	what := wheeltest.Wheel{Project: "torch", Version: version + "+spyre", PadTo: 200_000}
	w.store.Seed(folder+what.Filename(), bytesOf(w.t, what), fake.SeedOptions{NoChecksum: true})
	return what.Filename()
}

// slowWorld has an engine on a slow store that waits for nothing long.
func slowWorld(t *testing.T, limits index.Limits) (*world, *slow, *index.Engine) {
	w := newWorld(t)
	s := &slow{Store: w.store, held: make(chan struct{})}
	limits.JudgePatience = 500 * time.Millisecond
	e := index.New(index.Target{Name: "primary", Store: s}, nil, w.cdn, func() time.Time { return w.now }, limits)
	t.Cleanup(e.Close)
	return w, s, e
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 500 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(what)
}

func TestSlowFileDelaysNoOther(t *testing.T) {
	w, s, e := slowWorld(t, index.Limits{FilesAtOnce: 8})
	big, small := w.large("2.9.0"), w.upload("2.9.1")
	report := w.syncBy(e)
	if report.Pending != 1 || report.Background != 1 || report.Judged != 1 || report.ToJudge != 2 {
		t.Errorf("report %+v", report)
	}
	w.wantListed(small, true)
	w.wantListed(big, false)

	// Other Syncs neither wait for it nor begin it again.
	another := w.upload("2.9.2")
	if report := w.syncBy(e); report.Pending != 1 || report.Judged != 2 || report.ToJudge != 3 {
		t.Errorf("report %+v", report)
	}
	w.wantListed(another, true)
	close(s.held)
	eventually(t, "the file is never listed", func() bool { return w.syncBy(e).Pending == 0 })
	w.wantListed(big, true)
	if s.begun.Load() != 1 {
		t.Errorf("it was downloaded %d times", s.begun.Load())
	}
	if report := w.settle(e); report.ToJudge != 0 || report.Files != 3 {
		t.Errorf("report %+v", report)
	}
}

// TestOneLaneDoesNotTakeEveryPlace: with all of one lane's files stuck, another
// lane's are judged.
func TestOneLaneDoesNotTakeEveryPlace(t *testing.T) {
	w, s, e := slowWorld(t, index.Limits{FilesAtOnce: 4})
	for i := range 6 {
		w.large(fmt.Sprintf("2.9.%d", i))
	}
	report := w.syncBy(e)
	eventually(t, "none is judged", func() bool { return s.begun.Load() == 2 })
	if report.Pending != 6 || report.Background != 2 || s.begun.Load() != 2 {
		t.Errorf("%d downloads, report %+v", s.begun.Load(), report)
	}
	what := wheeltest.Wheel{Project: "torch", Version: "2.9.0+tpu"}
	w.store.Seed("whl/tpu/"+what.Filename(), bytesOf(t, what), fake.SeedOptions{})
	report, err := e.Sync(t.Context(), index.Lane{Platform: "tpu", Packages: []string{"torch"}}, torch.Channel)
	if err != nil || report.Files != 1 {
		t.Errorf("error %v, report %+v", err, report)
	}
	close(s.held)
	eventually(t, "the rest is never listed", func() bool { return w.syncBy(e).Pending == 0 })
}

// TestVerdictOnReplacedBytesIsNotUsed: the file is replaced, or removed, while it
// is judged behind the Syncs.
func TestVerdictOnReplacedBytesIsNotUsed(t *testing.T) {
	w, s, e := slowWorld(t, index.Limits{})
	big := w.large("2.9.0")
	w.syncBy(e)
	eventually(t, "it is not judged", func() bool { return s.begun.Load() == 1 })
	w.store.Seed(folder+big, otherBytes(t, "2.9.0"), fake.SeedOptions{})
	w.settle(e)
	if f := w.entry(big); f.Size >= 200_000 {
		t.Errorf("entry %+v", f)
	}
	eventually(t, "the judging of bytes that are gone goes on", func() bool { return s.ended.Load() == 1 })

	other := w.large("2.9.5")
	w.syncBy(e)
	eventually(t, "it is not judged", func() bool { return s.begun.Load() == 2 })
	if _, err := w.store.Delete(w.ctx(), folder+other); err != nil {
		t.Fatal(err)
	}
	w.settle(e)
	eventually(t, "the judging of a file that is gone goes on", func() bool { return s.ended.Load() == 2 })
}

// TestJudgingEnds: with the engine, with the lane, and not with the caller.
func TestJudgingEnds(t *testing.T) {
	w, s, e := slowWorld(t, index.Limits{})
	before := runtime.NumGoroutine()
	big := w.large("2.9.0")
	ctx, cancel := context.WithCancel(t.Context())
	if report, err := e.Sync(ctx, w.lane, torch.Channel); err != nil || report.Background != 1 {
		t.Fatalf("error %v, report %+v", err, report)
	}
	cancel()
	eventually(t, "it is not judged", func() bool { return s.begun.Load() == 1 })
	time.Sleep(20 * time.Millisecond)
	if s.ended.Load() != 0 {
		t.Error("it ended with the Sync that began it")
	}
	if err := e.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the judging of a retired lane's file goes on", func() bool { return s.ended.Load() == 1 })

	w.syncBy(e) // It may not know of the retirement.
	w.syncBy(e)
	eventually(t, "it is not judged", func() bool { return s.begun.Load() == 2 })
	done := make(chan error)
	ctx, stop := context.WithCancel(t.Context())
	go func() { done <- e.Start(ctx) }()
	stop()
	if err := <-done; err != nil || s.ended.Load() != 2 {
		t.Errorf("error %v, %d downloads ended", err, s.ended.Load())
	}
	if report, err := e.Sync(t.Context(), w.lane, torch.Channel); report.Pending != 1 || s.begun.Load() != 2 {
		t.Errorf("a closed engine judges: error %v, report %+v", err, report)
	}
	w.wantListed(big, false)
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}

// TestFailedJudgementIsNotKept: what could not be read is read again.
func TestFailedJudgementIsNotKept(t *testing.T) {
	w, s, e := slowWorld(t, index.Limits{JudgeTimeout: time.Second})
	big := w.large("2.9.0")
	w.syncBy(e)
	eventually(t, "it takes for ever", func() bool { return s.ended.Load() == 1 })
	if _, err := e.Sync(t.Context(), w.lane, torch.Channel); err == nil || !strings.Contains(err.Error(), big) {
		t.Errorf("error %v", err)
	}
	close(s.held)
	eventually(t, "the file is never listed", func() bool { return w.syncBy(e).Pending == 0 })
	w.wantListed(big, true)
}

// TestAFileThatBringsDownItsJudgementHarmsNoOther: judging runs behind Syncs,
// where nobody else would catch it.
func TestAFileThatBringsDownItsJudgementHarmsNoOther(t *testing.T) {
	w := newWorld(t)
	bad, good := w.upload("2.9.0"), w.upload("2.9.1")
	h := &hooked{Store: w.store, before: func(op, key string) {
		if op == objectstore.OpHead && key == folder+bad {
			panic("a defect")
		}
	}}
	e := w.on(h)
	for range 2 {
		if _, err := e.Sync(t.Context(), w.lane, torch.Channel); err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "a defect") {
			t.Errorf("error %v", err)
		}
	}
	w.wantListed(good, true)
	w.wantListed(bad, false)
}
