package main

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// cost is what some work took.
type cost struct {
	// Requests to the store by S3's names, and their Total. A listing counts once for
	// every 1,000 objects.
	Requests map[string]int `json:"requests"`
	Total    int            `json:"total"`
	// PagesWritten are objects: an HTML and a JSON page for each changed project
	// or list of projects.
	PagesWritten int `json:"pagesWritten"`
	// BytesRead and BytesWritten are bodies, without listings.
	BytesRead    int64 `json:"bytesRead"`
	BytesWritten int64 `json:"bytesWritten"`
	// Seconds of wall time, without the checks.
	Seconds float64 `json:"seconds"`
}

func (c *cost) add(o cost) {
	if c.Requests == nil {
		c.Requests = map[string]int{}
	}
	for kind, n := range o.Requests {
		c.Requests[kind] += n
	}
	c.Total += o.Total
	c.PagesWritten += o.PagesWritten
	c.BytesRead += o.BytesRead
	c.BytesWritten += o.BytesWritten
	c.Seconds += o.Seconds
}

type dayCost struct {
	Day         string `json:"day"`
	Added       int    `json:"added"`
	Removed     int    `json:"removed"`
	Overwritten int    `json:"overwritten"`
	// Files that are stored at the end of the day.
	Files int `json:"files"`
	cost
	// Invalidations asked of the CDN.
	Invalidations int `json:"invalidations"`
	// Incumbent is how many requests to the store the present generator makes.
	Incumbent int `json:"incumbentRequests"`
}

type result struct {
	Lanes         int            `json:"lanes"`
	Channels      int            `json:"channels"`
	RunsPerDay    int            `json:"runsPerDay"`
	Skipped       map[string]int `json:"skipped"`
	Baseline      cost           `json:"baseline"`
	Days          []dayCost      `json:"days"`
	Sum           dayCost        `json:"sum"`
	IncumbentPart float64        `json:"partOfIncumbentRequests"`
}

func (r *replay) result() result {
	out := result{
		Lanes: len(r.atlas.packages), Channels: len(r.homes), RunsPerDay: r.runsPerDay,
		Skipped: r.skipped, Baseline: r.baseline, Days: r.days,
	}
	out.Sum.Day = "all"
	for _, d := range r.days {
		out.Sum.add(d.cost)
		out.Sum.Added += d.Added
		out.Sum.Removed += d.Removed
		out.Sum.Overwritten += d.Overwritten
		out.Sum.Invalidations += d.Invalidations
		out.Sum.Incumbent += d.Incumbent
		out.Sum.Files = d.Files
	}
	if out.Sum.Incumbent > 0 {
		out.IncumbentPart = float64(out.Sum.Total) / float64(out.Sum.Incumbent)
	}
	return out
}

// incumbent is how many requests one run of the present generator makes now: two
// HEADs for each object, two listings of everything, and a PUT of every page,
// changed or not.
func (r *replay) incumbent() int {
	type page struct {
		home
		project string
	}
	pages := map[page]bool{}
	for _, f := range r.files {
		h := home{f.platform, f.channel}
		pages[page{h, f.project}], pages[page{h, ""}] = true, true
	}
	n := len(r.files)
	return 2*n + 2*((n+objectstore.ListPageSize-1)/objectstore.ListPageSize) + len(pages)
}

// meter counts bodies and pages on their way to a store.
type meter struct {
	objectstore.Store
	pages         atomic.Int64
	read, written atomic.Int64
}

func (m *meter) reset() {
	m.pages.Store(0)
	m.read.Store(0)
	m.written.Store(0)
}

// Put implements objectstore.Store.
func (m *meter) Put(ctx context.Context, key string, body []byte, o objectstore.PutOptions) (objectstore.Written, error) {
	out, err := m.Store.Put(ctx, key, body, o)
	if err == nil {
		m.written.Add(int64(len(body)))
		if name := layout.FileName(key); name == layout.HTMLPage || name == layout.JSONPage {
			m.pages.Add(1)
		}
	}
	return out, err
}

// Get implements objectstore.Store.
func (m *meter) Get(ctx context.Context, key string, o objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := m.Store.Get(ctx, key, o)
	if err != nil {
		return nil, info, err
	}
	return &countedBody{body, &m.read}, info, nil
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// spent is what was counted since the last reset.
func (r *replay) spent(busy time.Duration) cost {
	c := cost{
		Requests: map[string]int{}, PagesWritten: int(r.meter.pages.Load()),
		BytesRead: r.meter.read.Load(), BytesWritten: r.meter.written.Load(), Seconds: busy.Seconds(),
	}
	for kind, n := range r.store.Calls() {
		c.Requests[kind] += n
		c.Total += n
	}
	return c
}
