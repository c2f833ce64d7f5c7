package index

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// judge reads the files that nothing is known of: several at once, at most
// FilesPerPass of them, the smallest first. It waits for them as long as
// JudgePatience says; what takes longer goes on, and lands in a later Sync.
func (p *pass) judge(ctx context.Context) {
	patience, cancel := context.WithTimeout(ctx, p.engine.limits.JudgePatience)
	defer cancel()
	todo := p.unjudged()
	wanted := map[string]bool{}
	var fresh, old []*job
	left := 0
	for _, c := range todo {
		wanted[c.key] = true
		if b := p.engine.jobs.find(c, p.judgedUnder); b != nil {
			old = append(old, b)
			continue
		}
		if len(fresh) == p.engine.limits.FilesPerPass || patience.Err() != nil {
			left++
			continue
		}
		if b := p.begin(ctx, patience, c); b != nil {
			fresh = append(fresh, b)
		} else {
			left++
		}
	}
	p.prune(wanted)
	for _, b := range fresh {
		select {
		case <-b.done:
		case <-patience.Done():
		}
	}
	judged := 0
	for _, b := range slices.Concat(old, fresh) {
		if p.collect(b) {
			judged++
		}
	}
	p.report.Pending += left
	progress := p.engine.memory.advance(p.id(), judged, len(todo)-judged)
	p.report.Judged, p.report.ToJudge = progress.judged, progress.found
}

// prune ends the judging of the channel's files that are wanted no more.
func (p *pass) prune(wanted map[string]bool) {
	p.engine.jobs.prune(p.primary.wheels.prefix, wanted)
	p.engine.jobs.prune(p.primary.archives.prefix, wanted)
	if len(wanted) == 0 {
		p.engine.memory.advance(p.id(), 0, 0)
	}
}

// unjudged are the files of all projects that nothing is known of, the smallest
// first: none waits for a larger one.
func (p *pass) unjudged() (todo []candidate) {
	for _, name := range sortedKeys(p.projects) {
		todo = append(todo, p.projects[name].unjudged(p.found[name].cat, p.lane.Rules)...)
	}
	slices.SortStableFunc(todo, func(a, b candidate) int { return cmp.Compare(a.obj.size, b.obj.size) })
	return todo
}

// begin begins to judge a file, or returns nil if there is no place in time.
func (p *pass) begin(ctx, patience context.Context, c candidate) *job {
	release, ok := p.term.place(patience)
	if !ok {
		return nil
	}
	rules := p.rules
	if c.archive() {
		rules = p.archiveRules()
	}
	c.signers, c.trust = p.signers, p.trust
	work := func(ctx context.Context) (verdict, error) { return p.engine.judge(ctx, rules, c) }
	return p.engine.jobs.start(ctx, c, p.judgedUnder, work, release)
}

// collect takes the verdict of a job, if it has come to one.
func (p *pass) collect(b *job) (judged bool) {
	switch {
	case !b.finished():
		p.report.Pending++
		p.report.Background++
	case b.err != nil:
		p.engine.jobs.drop(b)
		p.report.Pending++
		p.errs = append(p.errs, fmt.Errorf("judge %s: %w", b.key, b.err))
	default:
		project := p.projects[b.ref.Project]
		project.verdicts[b.obj.name], project.jobs = b.verdict, append(project.jobs, b)
		return true
	}
	return false
}
