package crawl

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

// Options say how much of an index is looked at. The zero value looks at every
// page and at no file.
type Options struct {
	// Projects limits the crawl to these, in any spelling. All if empty; the
	// list of projects is judged either way.
	Projects []string
	// Files looks at every listed file: whether it is there, its size, its cache
	// headers and its METADATA.
	Files bool
	// Hashes also downloads every listed file and compares its SHA-256.
	Hashes bool
	// Limits of each page.
	Limits simpleindex.Limits
	// MaxProjects bounds how many projects are visited. Default 10,000.
	MaxProjects int
	// AtOnce is how many requests run in parallel. Default 8.
	AtOnce int
	// Client sends the requests of [HTTP]; one with sensible limits if nil.
	// Its redirect policy is replaced.
	Client *http.Client
}

func (o Options) withDefaults() Options {
	if o.MaxProjects <= 0 {
		o.MaxProjects = 10_000
	}
	if o.AtOnce <= 0 {
		o.AtOnce = 8
	}
	if o.Limits.PageBytes <= 0 {
		o.Limits.PageBytes = 128 << 20
	}
	o.Files = o.Files || o.Hashes
	return o
}

// document is one serialisation of a page as it was read.
type document struct {
	source simpleindex.Source
	header http.Header
}

// place is where an index lies.
type place interface {
	// read returns the documents of the page at an address, HTML before JSON,
	// and judges how they are served. None means that there is no page.
	read(ctx context.Context, address, project string, f *simpleindex.Findings) []document
	// file looks at one listed file, as closely as the options ask.
	file(ctx context.Context, file *simpleindex.File, f *simpleindex.Findings)
	// finish looks at the index as a whole.
	finish(ctx context.Context, listed []string, f *simpleindex.Findings)
}

// crawl is one walk through an index.
type crawl struct {
	place  place
	o      Options
	report *Report
	mu     sync.Mutex
	// slots bounds the files that are looked at at once.
	slots chan struct{}
}

// run walks through the index at a root address.
func run(ctx context.Context, root string, p place, o Options) (*Report, error) {
	c := &crawl{place: p, o: o, report: &Report{Index: root}, slots: make(chan struct{}, o.AtOnce)}
	wanted := map[string]bool{}
	for _, name := range o.Projects {
		normal, err := pep440.NormalizeProject(name)
		if err != nil {
			return nil, fmt.Errorf("project: %w", err)
		}
		wanted[normal] = true
	}
	f := &simpleindex.Findings{Page: root}
	pages, _ := c.judge(ctx, root, "", f)
	if len(pages) == 0 && len(wanted) == 0 && ctx.Err() == nil {
		c.take(f)
		return c.report.finish(), nil
	}
	addresses := addressesOf(root, pages)
	listed := sortedKeys(addresses)
	p.finish(ctx, listed, f)
	c.take(f)

	group, within := errgroup.WithContext(ctx)
	group.SetLimit(o.AtOnce)
	visited := 0
	for _, name := range visit(listed, wanted) {
		if visited++; visited > o.MaxProjects {
			c.report.Unvisited++
			continue
		}
		address, ok := addresses[name]
		if !ok {
			address = root + name + "/"
		}
		group.Go(func() error {
			c.project(within, name, address, ok)
			return within.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("the check of %s was cut short: %w", root, err)
	}
	return c.report.finish(), ctx.Err()
}

// visit is what to look at: what is wanted, or all that is listed.
func visit(listed []string, wanted map[string]bool) []string {
	if len(wanted) == 0 {
		return listed
	}
	return sortedKeys(wanted)
}

// judge reads a page in every format and judges each and both together. there is
// true if there is a page at all, be it readable or not.
func (c *crawl) judge(ctx context.Context, address, project string, f *simpleindex.Findings) (pages []*simpleindex.Page, there bool) {
	docs := c.place.read(ctx, address, project, f)
	for _, doc := range docs {
		page, found := simpleindex.Judge(doc.source, c.o.Limits)
		simpleindex.CheckPageHeaders(doc.header, found)
		c.take(found)
		if page != nil {
			pages = append(pages, page)
		}
	}
	c.count(project, pages)
	if len(pages) == 2 && pages[0].Format == simpleindex.HTML && pages[1].Format == simpleindex.JSON {
		simpleindex.CompareFormats(pages[0], pages[1], f)
	}
	return pages, len(docs) > 0
}

// project looks at one project: its page and, on demand, its files.
func (c *crawl) project(ctx context.Context, name, address string, listed bool) {
	f := &simpleindex.Findings{Page: address}
	pages, there := c.judge(ctx, address, name, f)
	switch {
	case there || len(f.List()) > 0: // Why it cannot be read is said already.
	case listed:
		simpleindex.CompareProjects([]string{name}, nil, f)
	default:
		f.Add("page-unreachable", 0, name, "there is no page of %s, and it is not listed; check the name", name)
	}
	for _, file := range files(pages) {
		c.file(ctx, file, f)
	}
	c.take(f)
}

// files are those of a page, each once, whatever format lists them.
func files(pages []*simpleindex.Page) (out []*simpleindex.File) {
	seen := map[string]bool{}
	for i := len(pages) - 1; i >= 0; i-- { // JSON says more.
		for j := range pages[i].Files {
			if file := &pages[i].Files[j]; file.URL != "" && !seen[file.URL] {
				seen[file.URL] = true
				out = append(out, file)
			}
		}
	}
	return out
}

// file looks at one file. Projects that are looked at together share the slots.
func (c *crawl) file(ctx context.Context, file *simpleindex.File, f *simpleindex.Findings) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		c.place.file(ctx, file, f)
	case <-ctx.Done():
	}
}

func (c *crawl) take(f *simpleindex.Findings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.add(f.List())
}

func (c *crawl) count(project string, pages []*simpleindex.Page) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Pages += len(pages)
	if project != "" && len(pages) > 0 {
		c.report.Projects++
		c.report.Files += len(pages[0].Files)
	}
}

// addressesOf are the addresses of the projects that a list names: the link in
// HTML, the name below the list in JSON.
func addressesOf(root string, pages []*simpleindex.Page) map[string]string {
	out := map[string]string{}
	for _, page := range pages {
		for i := range page.Projects {
			p := &page.Projects[i]
			name, err := pep440.NormalizeProject(p.Name)
			if err != nil || out[name] != "" {
				continue
			}
			if out[name] = p.URL; p.URL == "" {
				out[name] = root + name + "/"
			}
		}
	}
	return out
}
