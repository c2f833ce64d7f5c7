package index

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
	"github.com/pytorch/platform-lane-operator/controllers/provenance"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// channelID is one channel of a platform.
type channelID struct {
	platform string
	channel  v1alpha1.ChannelName
}

// pass is one Sync of one channel: what it was told, what it found, and what it
// reports.
type pass struct {
	engine  *Engine
	term    term
	lane    Lane
	channel v1alpha1.ChannelName
	rules   wheel.Rules
	now     time.Time
	// inputs stand for all that the lane says, and judgedUnder for what matters to
	// the judgement on a file.
	inputs, judgedUnder digest
	// signers are those whose attestations count; see Engine.trust for trust.
	signers []provenance.Identity
	trust   string
	// known is the age of what the engine knew before it listed.
	known uint64

	primary  listing
	mirrors  map[string]listing
	catalogs map[string]string // ETags by project, as listed
	found    map[string]stored
	broken   map[string]error
	projects map[string]*project
	// strange is what mirrors hold that is not the primary's, by mirror.
	strange map[string]strange
	// removals are the expired files, by project, whose bytes are to go.
	removals map[string][]removal
	// until is when time alone makes a difference; zero for never.
	until time.Time

	report Report
	errs   []error
}

func (p *pass) id() channelID { return channelID{p.lane.Platform, p.channel} }

// Sync brings the index of one channel up to date with what is stored there.
// When nothing changed it costs the listings of the channel's folders and of its
// catalogs, at one request per 1,000 objects. It goes on with the other files
// and projects when one fails; the report then stands beside the joined error,
// and the next Sync picks up what is missing. ErrRetired when the lane was
// retired meanwhile.
//
// The first Sync after a retirement may be one whose caller does not know of it:
// it leaves everything pending. The caller looks at the lane again, and by the
// next Sync means that the lane is there.
func (e *Engine) Sync(ctx context.Context, lane Lane, channel v1alpha1.ChannelName) (Report, error) {
	t, ok := e.beginSync(lane.Platform, channel)
	if !ok {
		return Report{Channel: channel, Pending: 1}, nil
	}
	p := e.newPass(t, lane, channel)
	err := p.list(ctx)
	if err == nil {
		if report, ok := p.atRest(); ok {
			p.prune(nil)
			return report, nil
		}
		err = p.run(ctx)
	}
	p.report.finish()
	p.rest(err)
	return p.report, err
}

func (e *Engine) newPass(t term, lane Lane, channel v1alpha1.ChannelName) *pass {
	return &pass{
		engine: e, term: t, lane: lane, channel: channel, rules: rulesOf(lane, e.limits), now: e.now().UTC(),
		inputs: inputsOf(lane, channel), judgedUnder: judgedUnder(lane), signers: e.signers(lane), trust: e.trust(lane), known: e.memory.now(), projects: map[string]*project{}, removals: map[string][]removal{}, strange: map[string]strange{},
		report: Report{Channel: channel, RejectedBy: map[string]int{}},
	}
}

// run does the work, once everything is listed.
func (p *pass) run(ctx context.Context) (err error) {
	e := p.engine
	if p.found, p.broken, err = e.readCatalogs(ctx, p.lane.Platform, p.channel, p.catalogs); err != nil {
		return err
	}
	p.sort()
	p.errs = append(p.errs, joined(p.broken))
	p.judge(ctx)
	done, err := p.term.write()
	if err != nil {
		return errors.Join(append(p.errs, err)...)
	}
	current := p.record(ctx)
	published, err := e.publishChannel(ctx, p, current)
	done()
	p.settleMirrors(ctx)
	p.errs = append(p.errs, err)
	p.report.PurgeErr = e.purge(ctx, published)
	p.removeExpired(ctx, published)
	return errors.Join(p.errs...)
}

// list lists the channel's folders on every store, and then its catalogs. Pages
// are seen before catalogs are read; see the package comment.
func (p *pass) list(ctx context.Context) (err error) {
	e := p.engine
	archives := slices.Contains(p.lane.Packages, wheel.LibtorchPackage)
	archives = archives || e.memory.knows(Ref{p.lane.Platform, p.channel, wheel.LibtorchPackage}.key())
	for {
		if p.primary, err = list(ctx, e.Primary().Store, p.lane.Platform, p.channel, archives, e.memory.likely(p.id())); err != nil {
			return err
		}
		e.memory.counted(p.id(), len(p.primary.wheels.files))
		p.mirrors, p.report.MirrorErr = p.listMirrors(ctx, archives)
		if p.catalogs, _, err = e.listCatalogs(ctx, p.lane.Platform, p.channel); err != nil {
			return err
		}
		if _, there := p.catalogs[wheel.LibtorchPackage]; !there || archives {
			return nil
		}
		archives = true // Once after a start: the lane no longer says so, its archives are there.
	}
}

// listMirrors lists the channel's folders in every mirror. A mirror that does
// not answer has no listing and is left for the next Sync.
func (p *pass) listMirrors(ctx context.Context, archives bool) (map[string]listing, error) {
	out := map[string]listing{}
	var errs []error
	for _, mirror := range p.engine.targets[1:] {
		l, err := list(ctx, mirror.Store, p.lane.Platform, p.channel, archives, p.engine.memory.likely(p.id()))
		if err != nil {
			errs = append(errs, fmt.Errorf("mirror %s: %w", mirror.Name, err))
			continue
		}
		out[mirror.Name] = l
	}
	return out, errors.Join(errs...)
}

// inputsOf stands for all that a lane says about a channel, and for the Yanks in
// force; of a Yank only the mode can change.
func inputsOf(lane Lane, channel v1alpha1.ChannelName) digest {
	d := newDigester()
	for _, rule := range lane.Rules {
		d.add(rule.Tombstone.UID, string(rule.Tombstone.Mode))
		if rule.InForce == nil || rule.InForce() {
			d.add("in force")
		}
	}
	said := digestOf(lane)
	d.add(string(channel), string(said[:]))
	return d.sum()
}

// judgedUnder stands for what a lane says that matters to the judgement on a
// file.
func judgedUnder(lane Lane) digest {
	lane.Profile, lane.Retention, lane.Dependencies = pages.Profile{}, nil, nil
	return digestOf(lane)
}

// digestOf stands for everything that a lane says, but for its Yanks. Fields that
// are added to it count by themselves.
func digestOf(lane Lane) digest {
	said, err := json.Marshal(lane)
	if err != nil {
		panic(fmt.Sprintf("a lane holds what has no JSON form: %v", err)) // it is a defect of Lane
	}
	return sha256.Sum256(said)
}

// digests stand for what is listed on every store, and for the catalogs.
func (p *pass) digests() (folders, catalogs digest) {
	d := newDigester()
	d.Write(p.primary.digest[:])
	for _, name := range sortedKeys(p.mirrors) {
		l := p.mirrors[name]
		d.add(name)
		d.Write(l.digest[:])
	}
	folders = d.sum()
	d = newDigester()
	for _, project := range sortedKeys(p.catalogs) {
		d.add(project, p.catalogs[project])
	}
	return folders, d.sum()
}

// atRest returns what the last Sync reported, if this one would find the same.
func (p *pass) atRest() (Report, bool) {
	r, ok := p.engine.memory.rest(p.id())
	folders, catalogs := p.digests()
	ok = ok && r.inputs == p.inputs && r.folders == folders && r.catalogs == catalogs &&
		p.report.MirrorErr == nil && (r.until.IsZero() || p.now.Before(r.until))
	return r.report, ok
}

// rest notes that nothing is left to do, if that is so.
func (p *pass) rest(err error) {
	if r := &p.report; err != nil || r.failed() || r.Wrote || r.Resurfaced || r.Pending > 0 || r.Removed.Count > 0 {
		return
	}
	next := rest{inputs: p.inputs, until: p.until, report: p.report}
	next.folders, next.catalogs = p.digests()
	p.engine.memory.setRest(p.id(), next)
}

// rulesOf are a lane's rules for wheels. Archives of libtorch are no wheels and
// lie elsewhere: a wheel of that name has no place on any page.
func rulesOf(lane Lane, limits Limits) wheel.Rules {
	packages := slices.DeleteFunc(slices.Clone(lane.Packages), func(p string) bool { return p == wheel.LibtorchPackage })
	return wheel.Rules{Platform: lane.Platform, Packages: packages, MaxBytes: limits.MaxFileBytes}
}

// archiveRules are the lane's rules for archives of libtorch.
func (p *pass) archiveRules() wheel.Rules {
	rules := p.rules
	rules.Packages = slices.DeleteFunc(slices.Clone(p.lane.Packages), func(p string) bool { return p != wheel.LibtorchPackage })
	return rules
}

// project is what is known of a project, from the first time it is asked for.
func (p *pass) project(name string) *project {
	if p.projects[name] != nil {
		return p.projects[name]
	}
	ref := Ref{p.lane.Platform, p.channel, name}
	out := &project{
		ref: ref, prefix: catalog.New(ref.Platform, ref.Channel, name).FileKey(""), verdicts: map[string]verdict{},
		trust: p.trust, attested: p.lane.ProvenanceRequired,
		policy: p.lane.Retention[p.channel], preview: p.engine.limits.RetentionPreview, now: p.now,
	}
	if have, ok := p.found[name]; ok && p.engine.memory.knew(ref.key(), have.etag, p.known) {
		out.before = have.cat
	}
	p.projects[name] = out
	return out
}

// record writes what was found into the catalogs. It returns them as they are
// now, those that could not be written as they were.
func (p *pass) record(ctx context.Context) (current []stored) {
	for _, name := range sortedKeys(p.projects) {
		project := p.projects[name]
		have, err := p.recordIn(ctx, project, p.found[name])
		if err != nil {
			p.errs = append(p.errs, err)
		}
		if have.cat == nil {
			have = p.found[name]
		}
		if have.cat != nil {
			current = append(current, have)
			p.report.add(have.cat)
			p.until = earliest(p.until, project.outlook(have.cat, &p.report))
			p.removals[name] = p.removalsOf(have.cat)
			p.compareMirrors(have.cat, project.archive())
			p.until = earliest(p.until, patienceEnds(have.cat))
		}
		// Whole catalogs are large, and so are listings: what is of no more use
		// goes.
		delete(p.found, name)
		delete(p.projects, name)
	}
	p.primary.forgetFiles()
	for name, l := range p.mirrors {
		l.forgetFiles()
		p.mirrors[name] = l
	}
	return current
}

// recordIn writes what was found into the project's catalog.
func (p *pass) recordIn(ctx context.Context, project *project, have stored) (stored, error) {
	if have.cat == nil && len(project.verdicts) == 0 && !project.owned && project.links == nil {
		return have, nil
	}
	if newest, ok := p.engine.memory.latest(project.ref.key()); ok {
		have = newest // Judging may have noted a debt.
	}
	var m merged
	next, wrote, err := p.engine.update(ctx, project.ref, have, func(c *catalog.Catalog) (bool, error) {
		if c.Retired && (project.before == nil || !project.before.Retired) {
			// Another process may have retired the lane since this Sync began.
			m = merged{unsure: 1}
			return false, nil
		}
		m = project.merge(c, p.lane.Rules)
		return m.changed || c.Revision == 0, nil
	})
	p.report.Wrote = p.report.Wrote || wrote
	p.report.Resurfaced = p.report.Resurfaced || m.resurfaced
	p.report.Pending += m.unsure
	if err == nil {
		p.report.Expired.Join(m.expired)
		for _, b := range project.jobs {
			p.engine.jobs.drop(b)
		}
	}
	return next, err
}

// add counts what a catalog puts on its page and what it leaves out.
func (r *Report) add(c *catalog.Catalog) {
	if c.Retired || !c.HasPages() {
		return
	}
	r.Projects++
	if c.Linked() {
		r.link(c)
	}
	for i := range c.Files {
		f := &c.Files[i]
		if f.Link != nil {
			continue
		}
		if f.ProvenanceReason != "" && onPage(f) {
			r.reject(Rejected{Key: c.FileKey(f.Name) + layout.ProvenanceSuffix, Reason: f.ProvenanceReason, Message: shorten(f.ProvenanceMessage, listedWithoutIt)})
		}
		if onPage(f) {
			r.Files++
			if f.UploadTime.After(r.LastUpload) {
				r.LastUpload = f.UploadTime
			}
			continue
		}
		if (f.State == catalog.StateRejected || f.State == catalog.StateOverwritten || f.State == catalog.StateUnattested) && !hidden(f) {
			r.reject(Rejected{Key: c.FileKey(f.Name), Reason: f.Reason, Message: f.Message})
		}
	}
}
