package index

import (
	"context"
	"errors"
	"fmt"
	"sync"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// Sync brings the index of one channel up to date with what is stored there.
// It costs two listings when nothing changed. It goes on with the other files
// and projects when one fails; the report then stands beside the joined error,
// and the next Sync picks up what is missing.
func (e *Engine) Sync(ctx context.Context, lane Lane, channel v1alpha1.ChannelName) (Report, error) {
	report := Report{Channel: channel}
	// Pages are seen before catalogs are read; see the package comment.
	primary, err := list(ctx, e.Primary().Store, lane.Platform, channel)
	if err != nil {
		return report, err
	}
	mirrors, err := e.listMirrors(ctx, lane.Platform, channel)
	report.MirrorErr = err
	known, err := e.channelCatalogs(ctx, lane.Platform, channel)
	if err != nil {
		return report, err
	}

	rules := wheel.Rules{Platform: lane.Platform, Packages: lane.Packages, MaxBytes: e.limits.MaxFileBytes}
	projects, rejected := group(primary, rules, known, func(name string) Ref { return Ref{lane.Platform, channel, name} })
	report.Rejected = rejected

	errs := e.judgeAll(ctx, rules, projects, known, &report)
	var current []stored
	for _, name := range sortedKeys(projects) {
		have, err := e.record(ctx, projects[name], known[name], lane.Rules, &report)
		if err != nil {
			errs = append(errs, err)
		}
		if have.cat != nil {
			current = append(current, have)
			report.add(have.cat)
		}
	}
	errs = append(errs, e.publishChannel(ctx, lane.Platform, channel, current, primary, mirrors, &report))
	report.PurgeErr = e.purge(ctx, current)
	return report, errors.Join(errs...)
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
func (e *Engine) judgeAll(ctx context.Context, rules wheel.Rules, projects map[string]*project, known map[string]stored, report *Report) []error {
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
			bare := c != nil && c.Find(file) != nil && hidden(c.Find(file))
			group.Go(func() {
				obj := p.objects[file]
				verdict, err := e.judge(ctx, rules, obj, p.sidecars[file+layout.MetadataSuffix], bare)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					errs = append(errs, fmt.Errorf("judge %s: %w", obj.Key, err))
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

// record writes what was found into the project's catalog.
func (e *Engine) record(ctx context.Context, p *project, have stored, rules []Rule, report *Report) (stored, error) {
	if have.cat == nil && len(p.verdicts) == 0 {
		return have, nil
	}
	resurfaced := false
	next, wrote, err := e.update(ctx, p.ref, have, func(c *catalog.Catalog) (bool, error) {
		var changed bool
		changed, resurfaced = p.merge(c, rules)
		return changed, nil
	})
	report.Wrote = report.Wrote || wrote
	report.Resurfaced = report.Resurfaced || resurfaced
	return next, err
}

// add counts what a catalog puts on its page and what it leaves out.
func (r *Report) add(c *catalog.Catalog) {
	r.Projects++
	prefix := layout.WheelPrefix(c.Platform, c.Channel)
	for i := range c.Files {
		f := &c.Files[i]
		if listed, _, _ := f.OnPage(); listed {
			r.Files++
			if f.UploadTime.After(r.LastUpload) {
				r.LastUpload = f.UploadTime
			}
			continue
		}
		if (f.State == catalog.StateRejected || f.State == catalog.StateOverwritten) && !hidden(f) {
			r.Rejected = append(r.Rejected, Rejected{Key: prefix + f.Name, Reason: f.Reason, Message: f.Message})
		}
	}
}
