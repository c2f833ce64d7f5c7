package index

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// Sync brings the index of one channel up to date with what is stored there.
// When nothing changed it costs the listings of the channel's folder and of its
// catalogs, at one request per 1,000 objects. It goes on with the other files
// and projects when one fails; the report then stands beside the joined error,
// and the next Sync picks up what is missing. ErrRetired when the lane was
// retired meanwhile.
//
// The first Sync after a retirement may be one whose caller does not know of it:
// it leaves everything pending. The caller looks at the lane again, and by the
// next Sync means that the lane is there.
func (e *Engine) Sync(ctx context.Context, lane Lane, channel v1alpha1.ChannelName) (Report, error) {
	report := Report{Channel: channel}
	write, ok := e.beginSync(lane.Platform, channel)
	if !ok {
		report.Pending = 1
		return report, nil
	}
	before := e.rememberedIn(lane.Platform, channel)
	// Pages are seen before catalogs are read; see the package comment.
	primary, err := list(ctx, e.Primary().Store, lane.Platform, channel)
	if err != nil {
		return report, err
	}
	mirrors, err := e.listMirrors(ctx, lane.Platform, channel)
	report.MirrorErr = err
	known, broken, err := e.channelCatalogs(ctx, lane.Platform, channel)
	if err != nil {
		return report, err
	}

	rules := rulesOf(lane, e.limits)
	fresh := func(name string) *project {
		return &project{
			ref: Ref{lane.Platform, channel, name}, before: before[name], sidecars: primary.sidecars,
			objects: map[string]objectstore.Object{}, verdicts: map[string]catalog.File{},
			owned: slices.Contains(rules.Packages, name),
		}
	}
	projects, rejected := group(primary, rules, known, fresh)
	for _, name := range rules.Packages {
		if projects[name] == nil {
			projects[name] = fresh(name)
		}
	}
	for name := range broken {
		// Of files whose catalog cannot be read nothing is said.
		projects[name] = &project{}
	}
	report.Rejected = slices.Concat(rejected, unexpected(primary, projects))
	for name := range broken {
		delete(projects, name)
	}
	errs := append([]error{joined(broken)}, e.judgeAll(ctx, lane, rules, projects, known, &report)...)

	done, err := write()
	if err != nil {
		return report, errors.Join(append(errs, err)...)
	}
	current := e.recordAll(ctx, lane, projects, known, &report, &errs)
	published, err := e.publishChannel(ctx, lane.Platform, channel, current, sortedKeys(broken), primary, mirrors, &report)
	done()
	report.PurgeErr = e.purge(ctx, primary.prefix, published)
	return report, errors.Join(append(errs, err)...)
}

// rulesOf are a lane's rules for wheels. Archives of libtorch are no wheels and
// lie elsewhere: a wheel of that name has no place on any page.
func rulesOf(lane Lane, limits Limits) wheel.Rules {
	packages := slices.DeleteFunc(slices.Clone(lane.Packages), func(p string) bool { return p == wheel.LibtorchPackage })
	return wheel.Rules{Platform: lane.Platform, Packages: packages, MaxBytes: limits.MaxFileBytes}
}

// listMirrors reads the channel's folder in every mirror. A mirror that does
// not answer has no listing and is left for the next Sync.
func (e *Engine) listMirrors(ctx context.Context, platform string, channel v1alpha1.ChannelName) (map[string]listing, error) {
	out := map[string]listing{}
	var errs []error
	for _, mirror := range e.targets[1:] {
		l, err := list(ctx, mirror.Store, platform, channel)
		if err != nil {
			errs = append(errs, fmt.Errorf("mirror %s: %w", mirror.Name, err))
			continue
		}
		out[mirror.Name] = l
	}
	return out, errors.Join(errs...)
}

// judgeAll reads the files that nothing is known of, several at once and at
// most FilesPerPass of them.
func (e *Engine) judgeAll(ctx context.Context, lane Lane, rules wheel.Rules, projects map[string]*project, known map[string]stored, report *Report) []error {
	var (
		mu    sync.Mutex
		group sync.WaitGroup
		errs  []error
		count int
	)
	for _, name := range sortedKeys(projects) {
		p, c := projects[name], known[name].cat
		for _, file := range p.unjudged(c) {
			if count++; count > e.limits.FilesPerPass {
				report.Pending++
				continue
			}
			todo := p.candidate(file, c, lane.Rules)
			group.Go(func() {
				verdict, err := e.judge(ctx, rules, todo)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					errs = append(errs, fmt.Errorf("judge %s: %w", todo.obj.Key, err))
					report.Pending++
					return
				}
				p.verdicts[file] = verdict
			})
		}
	}
	group.Wait()
	return errs
}

// recordAll writes what was found into the catalogs. It returns them as they
// are now, those that could not be written as they were.
func (e *Engine) recordAll(ctx context.Context, lane Lane, projects map[string]*project, known map[string]stored, report *Report, errs *[]error) (current []stored) {
	for _, name := range sortedKeys(projects) {
		have, err := e.record(ctx, projects[name], known[name], lane.Rules, report)
		if err != nil {
			*errs = append(*errs, err)
		}
		if have.cat == nil {
			have = known[name]
		}
		if have.cat != nil {
			current = append(current, have)
			report.add(have.cat)
		}
	}
	return current
}

// record writes what was found into the project's catalog.
func (e *Engine) record(ctx context.Context, p *project, have stored, rules []Rule, report *Report) (stored, error) {
	if have.cat == nil && len(p.verdicts) == 0 && !p.owned {
		return have, nil
	}
	var m merged
	next, wrote, err := e.update(ctx, p.ref, have, func(c *catalog.Catalog) (bool, error) {
		if c.Retired && (p.before == nil || !p.before.Retired) {
			// Another process may have retired the lane since this Sync began.
			m = merged{unsure: 1}
			return false, nil
		}
		m = p.merge(c, rules)
		return m.changed || c.Revision == 0, nil
	})
	report.Wrote = report.Wrote || wrote
	report.Resurfaced = report.Resurfaced || m.resurfaced
	report.Pending += m.unsure
	if err == nil {
		for _, name := range m.relisted {
			e.owe(next.cat.FileKey(name))
		}
	}
	return next, err
}

// add counts what a catalog puts on its page and what it leaves out.
func (r *Report) add(c *catalog.Catalog) {
	if c.Retired {
		return
	}
	r.Projects++
	for i := range c.Files {
		f := &c.Files[i]
		if onPage(f) {
			r.Files++
			if f.UploadTime.After(r.LastUpload) {
				r.LastUpload = f.UploadTime
			}
			continue
		}
		if (f.State == catalog.StateRejected || f.State == catalog.StateOverwritten) && !hidden(f) {
			r.Rejected = append(r.Rejected, Rejected{Key: c.FileKey(f.Name), Reason: f.Reason, Message: f.Message})
		}
	}
}
