package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// check compares every published page with the files on record, and with what an
// engine without a memory makes of the bucket.
func (r *replay) check(ctx context.Context) error {
	if err := r.checkPages(ctx, r.store); err != nil {
		return err
	}
	fresh := r.newEngine(&meter{Store: r.store})
	for _, h := range r.sortedHomes() {
		wrote, err := r.settle(ctx, fresh, h)
		if err != nil {
			return err
		}
		if wrote {
			return fmt.Errorf("%s (%s): an engine that has just started found something to write", h.platform, h.channel)
		}
	}
	return nil
}

// place is a project in a lane's channel.
type place struct {
	home
	project string
}

// wanted are the files that have to be listed: their hash and Requires-Python,
// by name.
func (r *replay) wanted() map[place]map[string][2]string {
	out := map[place]map[string][2]string{}
	for h := range r.homes {
		for _, project := range r.atlas.packages[h.platform] {
			out[place{h, project}] = map[string][2]string{}
		}
	}
	for key, f := range r.files {
		if !r.overwritten[key] {
			out[place{home{f.platform, f.channel}, f.project}][f.name] = [2]string{f.sha256, f.requiresPython}
		}
	}
	return out
}

func (r *replay) checkPages(ctx context.Context, store *fake.Store) error {
	for at, want := range r.wanted() {
		htmlKey, jsonKey := layout.ProjectPages(at.platform, at.channel, at.project)
		for _, key := range []string{htmlKey, jsonKey} {
			got, err := r.page(ctx, store, key)
			if err != nil {
				return err
			}
			if !maps.Equal(got, want) {
				return fmt.Errorf("%s lists other files than are on record: %s", key, difference(got, want))
			}
		}
	}
	return nil
}

// difference names one file that two pages differ in.
func difference(got, want map[string][2]string) string {
	names := slices.Sorted(maps.Keys(want))
	names = append(names, slices.Sorted(maps.Keys(got))...)
	for _, name := range names {
		if got[name] != want[name] {
			return fmt.Sprintf("%s is %q, want %q (%d files, want %d)", name, got[name], want[name], len(got), len(want))
		}
	}
	return ""
}

// parsedPage is what a page lists, remembered under its ETag.
type parsedPage struct {
	etag  string
	files map[string][2]string
}

// page reads what a page lists.
func (r *replay) page(ctx context.Context, store *fake.Store, key string) (map[string][2]string, error) {
	raw, info, err := objectstore.ReadAll(ctx, store, key, 1<<30)
	if err != nil {
		return nil, err
	}
	if known := r.parsed[key]; known.etag == info.ETag {
		return known.files, nil
	}
	read := readHTML
	if path.Base(key) == layout.JSONPage {
		read = readJSON
	}
	files, err := read(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	r.parsed[key] = parsedPage{info.ETag, files}
	return files, nil
}

func readJSON(raw []byte) (map[string][2]string, error) {
	var page struct {
		Files []struct {
			Filename       string            `json:"filename"`
			Hashes         map[string]string `json:"hashes"`
			RequiresPython string            `json:"requires-python"`
		} `json:"files"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return nil, err
	}
	out := map[string][2]string{}
	for _, f := range page.Files {
		if _, twice := out[f.Filename]; twice {
			return nil, fmt.Errorf("%s is listed twice", f.Filename)
		}
		out[f.Filename] = [2]string{f.Hashes["sha256"], f.RequiresPython}
	}
	return out, nil
}

func readHTML(raw []byte) (map[string][2]string, error) {
	out := map[string][2]string{}
	z := html.NewTokenizer(bytes.NewReader(raw))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return out, nil
		case html.StartTagToken:
			token := z.Token()
			if token.Data != "a" {
				continue
			}
			name, file, err := readAnchor(token)
			if err != nil {
				return nil, err
			}
			if _, twice := out[name]; twice {
				return nil, fmt.Errorf("%s is listed twice", name)
			}
			out[name] = file
		}
	}
}

func readAnchor(token html.Token) (name string, file [2]string, err error) {
	for _, a := range token.Attr {
		switch a.Key {
		case "href":
			target, err := url.Parse(a.Val)
			if err != nil {
				return "", file, err
			}
			name = path.Base(target.Path)
			file[0] = strings.TrimPrefix(target.Fragment, "sha256=")
		case "data-requires-python":
			file[1] = a.Val
		}
	}
	if name == "" {
		return "", file, errors.New("an anchor without an address")
	}
	return name, file, nil
}

// revisionRE finds the revision of a catalog in a page: it counts changes, so an
// index built at once has others.
var revisionRE = regexp.MustCompile(`("_catalog-revision"(?: content="|:))[0-9]+`)

// checkRebuild builds an index of the stored files from nothing and compares all
// pages byte by byte, but for the revisions of their catalogs.
func (r *replay) checkRebuild(ctx context.Context) error {
	r.say("building an index of the %d files from nothing", len(r.files))
	other := newReplay(r.runsPerDay, r.say)
	other.atlas, other.homes, other.now = r.atlas, r.homes, r.now
	for key, f := range r.files {
		if r.overwritten[key] {
			continue
		}
		data, _, err := f.bytes(f.generation)
		if err != nil {
			return err
		}
		info, err := r.store.Head(ctx, key)
		if err != nil {
			return err
		}
		other.store.Seed(key, data, fake.SeedOptions{Modified: info.LastModified})
	}
	if err := other.syncAll(ctx); err != nil {
		return err
	}
	for h := range r.homes {
		if err := r.compare(ctx, other, h); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) compare(ctx context.Context, other *replay, h home) error {
	var keys []string
	add := func(html, json string) { keys = append(keys, html, json) }
	add(layout.RootPages(h.platform, h.channel))
	for _, project := range r.atlas.packages[h.platform] {
		add(layout.ProjectPages(h.platform, h.channel, project))
	}
	for _, key := range keys {
		ours, _, err := objectstore.ReadAll(ctx, r.store, key, 1<<30)
		if err != nil {
			return err
		}
		rebuilt, _, err := objectstore.ReadAll(ctx, other.store, key, 1<<30)
		if err != nil {
			return err
		}
		if !bytes.Equal(revisionRE.ReplaceAll(ours, []byte("${1}0")), revisionRE.ReplaceAll(rebuilt, []byte("${1}0"))) {
			return fmt.Errorf("%s is not what an index built from nothing has (channel %s)", key, h.channel)
		}
	}
	return nil
}
