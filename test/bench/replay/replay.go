package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	cdnfake "github.com/pytorch/platform-lane-operator/controllers/cdn/fake"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// home is a lane's channel.
type home struct {
	platform string
	channel  v1alpha1.ChannelName
}

// listed is a file that has to be on a page.
type listed struct {
	file
	generation             int
	sha256, requiresPython string
}

// replay is a bucket with its engine, and what has to be on its pages.
type replay struct {
	say        func(format string, args ...any)
	runsPerDay int
	now        time.Time

	atlas  *atlas
	store  *fake.Store
	meter  *meter
	cdn    *cdnfake.CDN
	engine *index.Engine
	homes  map[home]bool
	// files by key; overwritten ones stay off the page until somebody decides.
	files       map[string]*listed
	overwritten map[string]bool
	skipped     map[string]int

	baseline cost
	days     []dayCost
	parsed   map[string]parsedPage
}

func newReplay(runsPerDay int, say func(string, ...any)) *replay {
	r := &replay{
		say: say, runsPerDay: runsPerDay, now: time.Unix(0, 0).UTC(), atlas: newAtlas(), homes: map[home]bool{},
		files: map[string]*listed{}, overwritten: map[string]bool{}, skipped: map[string]int{}, parsed: map[string]parsedPage{},
	}
	clock := func() time.Time { return r.now }
	r.store = fake.New("replay", fake.WithClock(clock))
	r.meter = &meter{Store: r.store}
	r.cdn = cdnfake.New(clock)
	r.engine = r.newEngine(r.meter)
	return r
}

// newEngine is an engine that has just started.
func (r *replay) newEngine(m *meter) *index.Engine {
	return index.New(index.Target{Name: "primary", Store: m}, nil, r.cdn, func() time.Time { return r.now },
		index.Limits{FilesPerPass: 1 << 20})
}

// load replays both files.
func (r *replay) load(ctx context.Context, baseline, trace string, days int) error {
	var first []row
	if err := readBaseline(baseline, func(f row) { first = append(first, f) }); err != nil {
		return err
	}
	began := time.Now()
	if err := r.add(first); err != nil {
		return err
	}
	if err := r.syncAll(ctx); err != nil {
		return err
	}
	r.baseline = r.spent(time.Since(began))
	r.say("baseline: %d files in %d lanes' channels, %d skipped, %.1f s", len(r.files), len(r.homes), r.skips(), r.baseline.Seconds)
	if err := r.check(ctx); err != nil {
		return fmt.Errorf("after the baseline: %w", err)
	}
	errEnough := errors.New("enough")
	err := readTrace(trace, func(d day) error {
		if days > 0 && len(r.days) == days {
			return errEnough
		}
		return r.day(ctx, d)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// day replays one day in runs and checks the pages.
func (r *replay) day(ctx context.Context, d day) error {
	r.store.ResetCalls()
	r.meter.reset()
	purges := r.cdn.Calls(cdn.OpInvalidate)
	result := dayCost{Day: d.date.Format(time.DateOnly), Added: len(d.added), Removed: len(d.removed), Overwritten: len(d.overwritten)}
	var busy time.Duration
	for i := range r.runsPerDay {
		r.now = d.date.Add(time.Duration(i) * 24 * time.Hour / time.Duration(r.runsPerDay))
		if err := errors.Join(r.add(slice(d.added, i, r.runsPerDay)), r.overwrite(slice(d.overwritten, i, r.runsPerDay))); err != nil {
			return err
		}
		r.remove(slice(d.removed, i, r.runsPerDay))
		result.Incumbent += r.incumbent()
		began := time.Now()
		if err := r.syncAll(ctx); err != nil {
			return fmt.Errorf("%s: %w", result.Day, err)
		}
		busy += time.Since(began)
	}
	result.cost = r.spent(busy)
	result.Invalidations = r.cdn.Calls(cdn.OpInvalidate) - purges
	result.Files = len(r.files)
	r.days = append(r.days, result)
	r.say("%s: +%d -%d, %d requests (%.3f%% of the incumbent's %d), %d pages, %.2f s", result.Day, result.Added, result.Removed,
		result.Total, 100*float64(result.Total)/float64(max(result.Incumbent, 1)), result.Incumbent, result.PagesWritten, result.Seconds)
	if err := r.check(ctx); err != nil {
		return fmt.Errorf("after %s: %w", result.Day, err)
	}
	return nil
}

// slice is part i of n of a day's changes.
func slice(rows []row, i, n int) []row { return rows[i*len(rows)/n : (i+1)*len(rows)/n] }

// stand maps a file, or notes why it cannot.
func (r *replay) stand(f row) (file, bool) {
	s, why, ok := r.atlas.standIn(f)
	if !ok {
		r.skipped[why]++
	}
	return s, ok
}

func (r *replay) add(rows []row) error {
	for _, f := range rows {
		s, ok := r.stand(f)
		if !ok || r.overwritten[s.key()] {
			continue
		}
		if _, there := r.files[s.key()]; there {
			r.skipped["named twice"]++
			continue
		}
		if err := r.put(s, 0, f.requiresPython); err != nil {
			return err
		}
	}
	return nil
}

// put uploads a file and expects it on its page.
func (r *replay) put(s file, generation int, requiresPython string) error {
	data, sum, err := s.bytes(generation)
	if err != nil {
		return err
	}
	r.store.Seed(s.key(), data, fake.SeedOptions{})
	r.files[s.key()] = &listed{file: s, generation: generation, sha256: sum, requiresPython: requiresPython}
	r.homes[home{s.platform, s.channel}] = true
	return nil
}

// overwrite stores other bytes under published names.
func (r *replay) overwrite(rows []row) error {
	for _, f := range rows {
		s, ok := r.stand(f)
		if !ok {
			continue
		}
		old := r.files[s.key()]
		if old == nil {
			continue
		}
		if err := r.put(old.file, old.generation+1, old.requiresPython); err != nil {
			return err
		}
		r.overwritten[s.key()] = true
	}
	return nil
}

// remove deletes files with their METADATA, as a bucket's owner does.
func (r *replay) remove(rows []row) {
	for _, f := range rows {
		s, ok := r.stand(f)
		if !ok {
			continue
		}
		for _, key := range []string{s.key(), s.key() + layout.MetadataSuffix} {
			r.store.SeedDelete(key)
		}
		delete(r.files, s.key())
		delete(r.overwritten, s.key())
	}
}

// sortedHomes are the channels of all lanes.
func (r *replay) sortedHomes() []home {
	return slices.SortedFunc(maps.Keys(r.homes), func(a, b home) int {
		return slices.Compare([]string{a.platform, string(a.channel)}, []string{b.platform, string(b.channel)})
	})
}

// syncAll syncs every channel of every lane until nothing is pending.
func (r *replay) syncAll(ctx context.Context) error {
	for _, h := range r.sortedHomes() {
		if _, err := r.settle(ctx, r.engine, h); err != nil {
			return err
		}
	}
	return nil
}

// settle syncs one channel until nothing is pending and tells whether anything
// was written.
func (r *replay) settle(ctx context.Context, engine *index.Engine, h home) (wrote bool, err error) {
	lane := index.Lane{Platform: h.platform, Packages: r.atlas.packages[h.platform]}
	for range 10 {
		report, err := engine.Sync(ctx, lane, h.channel)
		if err := errors.Join(err, report.PurgeErr); err != nil {
			return wrote, fmt.Errorf("sync %s (%s): %w", h.platform, h.channel, err)
		}
		wrote = wrote || report.Wrote
		if report.Pending == 0 {
			return wrote, nil
		}
	}
	return wrote, fmt.Errorf("sync %s (%s): files are pending after 10 passes", h.platform, h.channel)
}

func (r *replay) skips() (n int) {
	for _, count := range r.skipped {
		n += count
	}
	return n
}
