package yank

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/probe"
)

const (
	// probesAtOnce is how many public URLs are asked in parallel.
	probesAtOnce = 8
	// oldVersionsProbed bounds how many old versions of a file are asked for.
	oldVersionsProbed = 10
	// quickTries is how often in a row what is still served is taken away and
	// purged again at once; after that somebody has to look, and it is done every
	// slowPurge, for a purge costs money.
	quickTries = 4
	slowPurge  = 30 * time.Minute
	// manyTries is when probes that were answered otherwise than demanded are
	// repeated slowly.
	manyTries  = 10
	retrySoon  = 3 * time.Second
	retryLater = time.Minute
)

// verify asks the public URLs of every store, as an anonymous client, and sets
// Verified: the pages are read back without the files, and the bytes are
// refused. What the answers were stands in the record.
func (r *Reconciler) verify(ctx context.Context, s *scope) (bool, time.Duration, error) {
	const kind = v1alpha1.VerifiedCondition
	waiting := s.record.pending(func(a *Artifact) bool { return a.Verified.IsZero() })
	if len(waiting) == 0 {
		s.conds.True(kind, v1alpha1.ReasonProbed, fmt.Sprintf("%s probed at every public address", files(len(s.record.Artifacts))))
		return true, 0, nil
	}
	s.record.Pages = r.probePages(ctx, s, waiting)
	if s.mode().BlocksAccess() {
		r.probeFiles(ctx, waiting)
	}
	results := append(r.unprobed(), s.record.Pages...)
	for _, a := range waiting {
		results = append(results, a.Probes...)
	}
	if bad, found := worst(results); found {
		again := s.unverified(bad, waiting)
		if err := s.record.save(ctx, r.store()); err != nil {
			return false, 0, err
		}
		return false, again, nil
	}
	for _, a := range waiting {
		a.Verified, a.Tries = r.Now().UTC(), 0
	}
	if err := s.record.save(ctx, r.store()); err != nil {
		return false, 0, err
	}
	s.conds.True(kind, v1alpha1.ReasonProbed, fmt.Sprintf("%s probed at every public address", files(len(s.record.Artifacts))))
	return true, 0, nil
}

// unverified says what stands against it and when to look again. What is still
// served is taken away and purged again: somebody may have stored it anew, or a
// cache may have fetched it at the last moment.
func (s *scope) unverified(bad probe.Result, waiting []*Artifact) time.Duration {
	const kind = v1alpha1.VerifiedCondition
	tries := 0
	for _, a := range waiting {
		a.Tries = min(a.Tries+1, manyTries)
		tries = max(tries, a.Tries)
	}
	again := retrySoon
	if tries == manyTries {
		again = retryLater
	}
	if bad.Outcome == probe.Unproven {
		s.conds.False(kind, v1alpha1.ReasonProbeFailed, fmt.Sprintf("%s: %s; it is asked again", bad.URL, bad.Detail))
		return again
	}
	hint := "it is purged and asked again"
	if strings.Contains(bad.URL, "versionId=") {
		hint = "the bucket lets anonymous clients read old versions; allow s3:GetObject only, not s3:GetObjectVersion"
	}
	s.conds.False(kind, v1alpha1.ReasonStillReachable, fmt.Sprintf("%s: %s; %s", bad.URL, bad.Detail, hint))
	if tries <= quickTries || s.lastPurge().Add(slowPurge).Before(s.now) {
		for _, a := range waiting {
			a.Purged = time.Time{}
			if a.served() {
				a.Bytes = time.Time{}
			}
		}
	}
	return again
}

// lastPurge is when the CDN was last asked to drop its copies.
func (s *scope) lastPurge() time.Time {
	if n := len(s.record.Purges); n > 0 {
		return s.record.Purges[n-1].Requested
	}
	return s.now // Without a CDN there is nothing to purge.
}

// served is true if the last probes found the file's bytes.
func (a *Artifact) served() bool {
	return slices.ContainsFunc(a.Probes, func(p probe.Result) bool { return p.Outcome == probe.Refuted })
}

// worst is the result that weighs most: a file that can still be had, else one
// that nothing is known of.
func worst(results []probe.Result) (probe.Result, bool) {
	var bad probe.Result
	for _, result := range results {
		if result.Outcome == probe.Refuted {
			return result, true
		}
		if result.Outcome == probe.Unproven && bad.URL == "" {
			bad = result
		}
	}
	return bad, bad.URL != ""
}

// unprobed are the stores that have no public address to ask: nothing can be
// proven of them.
func (r *Reconciler) unprobed() []probe.Result {
	var out []probe.Result
	for _, target := range r.Engine.Targets() {
		if len(target.BaseURLs) == 0 {
			out = append(out, probe.Result{URL: target.Name, Outcome: probe.Unproven, Detail: "no public address of this store is configured"})
		}
	}
	return out
}

// pageURL is one address of a page, with the media type to ask for.
type pageURL struct {
	url, accept string
	files       []string
	// folder is true for the address of the folder: a store that serves none
	// there lists nothing there.
	folder bool
}

// probePages reads back every page of the waiting files, at every public base
// URL.
func (r *Reconciler) probePages(ctx context.Context, s *scope, waiting []*Artifact) []probe.Result {
	var urls []pageURL
	for _, ref := range s.refs(waiting) {
		names := namesIn(ref, waiting)
		html, json := layout.ProjectPages(ref.Platform, ref.Channel, ref.Project)
		for _, target := range r.Engine.Targets() {
			for _, base := range target.BaseURLs {
				urls = append(urls,
					pageURL{layout.PublicURL(base, strings.TrimSuffix(html, layout.HTMLPage)), "text/html", names, true},
					pageURL{layout.PublicURL(base, html), "text/html", names, false},
					pageURL{layout.PublicURL(base, json), "application/vnd.pypi.simple.v1+json", names, false},
				)
			}
		}
	}
	return inParallel(urls, func(u pageURL) probe.Result {
		ask := r.Prober.Unlisted
		if s.mode() == v1alpha1.YankFlag {
			ask = r.Prober.Flagged
		}
		result := ask(ctx, u.url, u.accept, u.files)
		if u.folder && (result.Status == http.StatusNotFound || result.Status == http.StatusForbidden) {
			result.Outcome, result.Detail = probe.Proven, "no page is served at the folder's address"
		}
		return result
	})
}

func namesIn(ref index.Ref, waiting []*Artifact) []string {
	var names []string
	for _, a := range waiting {
		if a.Channel == ref.Channel && a.Project == ref.Project {
			names = append(names, layout.FileName(a.Key))
		}
	}
	return names
}

// probeFiles asks for the bytes of every waiting file at every address that ever
// served them.
func (r *Reconciler) probeFiles(ctx context.Context, waiting []*Artifact) {
	type question struct {
		artifact *Artifact
		url      string
	}
	var questions []question
	for _, a := range waiting {
		a.Probes = nil
		if a.URL != "" {
			continue // It is not asked for where another index says it lies.
		}
		for _, target := range r.Engine.Targets() {
			for _, u := range addresses(target, a) {
				questions = append(questions, question{a, u})
			}
		}
	}
	answers := inParallel(questions, func(q question) probe.Result { return r.Prober.Gone(ctx, q.url) })
	for i, q := range questions {
		q.artifact.Probes = append(q.artifact.Probes, answers[i])
	}
}

// addresses are all the ways to ask a store for a file: both spellings of the
// plus sign, its METADATA, and each old version by its id.
func addresses(target index.Target, a *Artifact) []string {
	var out []string
	bases := target.BaseURLs
	if target.ObjectURL != "" {
		bases = append(append([]string{}, bases...), target.ObjectURL)
	}
	for _, base := range bases {
		escaped := layout.PublicURL(base, a.Key)
		out = append(out, escaped)
		if raw := strings.ReplaceAll(escaped, "%2B", "+"); raw != escaped {
			out = append(out, raw)
		}
		out = append(out, layout.PublicURL(base, a.Key+layout.MetadataSuffix))
		for _, id := range oldVersions(target.Name, a) {
			out = append(out, escaped+"?versionId="+url.QueryEscape(id))
		}
	}
	return out
}

// oldVersions are the newest version ids of a file that a store was seen to hold.
func oldVersions(store string, a *Artifact) []string {
	var found []VersionEvidence
	for _, evidence := range a.Stores {
		for _, v := range evidence.Versions {
			if evidence.Store == store && v.Key == a.Key && v.VersionID != "" {
				found = append(found, v)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b VersionEvidence) int { return b.Stored.Compare(a.Stored) })
	var ids []string
	for _, v := range bounded(found, oldVersionsProbed) {
		ids = append(ids, v.VersionID)
	}
	return ids
}

// inParallel keeps the order of the questions in the answers.
func inParallel[Q any](questions []Q, ask func(Q) probe.Result) []probe.Result {
	answers := make([]probe.Result, len(questions))
	group := errgroup.Group{}
	group.SetLimit(probesAtOnce)
	for i, q := range questions {
		group.Go(func() error {
			answers[i] = ask(q)
			return nil
		})
	}
	_ = group.Wait()
	return answers
}
