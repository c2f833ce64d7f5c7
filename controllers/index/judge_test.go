package index_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// TestWheelReplacedWhileItIsJudged: a verdict never mixes two uploads.
func TestWheelReplacedWhileItIsJudged(t *testing.T) {
	for name, opts := range map[string]fake.SeedOptions{"hashed by the store": {}, "hashed by us": {NoChecksum: true}} {
		t.Run(name, func(t *testing.T) { testReplaced(t, opts) })
	}
}

func testReplaced(t *testing.T, opts fake.SeedOptions) {
	what := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.10", PadTo: 1 << 20}
	key := folder + what.Filename()
	first := bytesOf(t, what)
	second := first
	// Of one size, so that nothing but the ETag tells them apart.
	for minor := 11; string(second) == string(first) || len(second) != len(first); minor++ {
		what.RequiresPython = fmt.Sprintf(">=3.%d", minor)
		second = bytesOf(t, what)
	}
	atLeast := 3
	if opts.NoChecksum {
		atLeast = 4
	}
	for n := 1; ; n++ {
		w := newWorld(t)
		w.store.Seed(key, first, opts)
		calls := 0
		w.store.FailBefore(func(op, k string) error {
			if k != key || op == fake.OpBody {
				return nil
			}
			if calls++; calls == n {
				w.store.Seed(key, second, opts)
			}
			return nil
		})
		report, err := w.engine.Sync(t.Context(), w.lane, torch.Channel)
		w.store.FailBefore(nil)
		if calls < n {
			if n <= atLeast {
				t.Errorf("only %d requests for the wheel", calls)
			}
			return
		}
		if err == nil || report.Pending != 1 || !strings.Contains(err.Error(), key) {
			t.Errorf("replaced before request %d: error %v, %d pending", n, err, report.Pending)
		}
		w.settle(w.engine)
		sum := sha256.Sum256(second)
		if f := w.entry(what.Filename()); f.SHA256 != hex.EncodeToString(sum[:]) || f.RequiresPython != what.RequiresPython {
			t.Errorf("replaced before request %d: entry %+v", n, f)
		}
		w.wantListed(what.Filename(), true)
	}
}

// cutting is a store that ends the download of whole wheels early, and says
// nothing.
type cutting struct{ objectstore.Store }

func (s cutting) Get(ctx context.Context, key string, opts objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := s.Store.Get(ctx, key, opts)
	if err == nil && strings.HasSuffix(key, ".whl") && opts.Length == 0 {
		body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(body, 100), body}
	}
	return body, info, err
}

func TestShortDownloadIsNoHash(t *testing.T) {
	w := newWorld(t)
	w.upload("1.0")
	what := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre"}
	w.store.Seed(folder+what.Filename(), bytesOf(t, what), fake.SeedOptions{NoChecksum: true})
	report, err := w.on(cutting{w.store}).Sync(t.Context(), w.lane, torch.Channel)
	if err == nil || report.Pending != 1 {
		t.Errorf("error %v, %d pending", err, report.Pending)
	}
	w.wantListed(what.Filename(), false)
}

func TestFilesPerPass(t *testing.T) {
	w := newWorld(t)
	for _, v := range []string{"1.0", "1.1", "1.2", "1.3", "1.4"} {
		w.upload(v)
	}
	e := index.New(index.Target{Name: "primary", Store: w.store}, nil, w.cdn, func() time.Time { return start }, index.Limits{FilesPerPass: 2})
	for pass, want := range [][2]int{{2, 3}, {4, 1}, {5, 0}} {
		if report := w.syncBy(e); report.Files != want[0] || report.Pending != want[1] {
			t.Errorf("pass %d: %d listed, %d pending; want %v", pass, report.Files, report.Pending, want)
		}
	}
}
