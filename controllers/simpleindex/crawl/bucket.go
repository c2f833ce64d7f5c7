package crawl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

// bucketBase stands for the public address of a bucket: pages link relative to
// it, and no real server has it (RFC 2606).
const bucketBase = "https://bucket.invalid/"

// maxObjects bounds how many objects of a bucket are kept in mind.
const maxObjects = 5_000_000

// Bucket checks the index below a prefix of a bucket, from what is stored there.
// An error means that it could not be checked.
func Bucket(ctx context.Context, store objectstore.Store, prefix string, o Options) (*Report, error) {
	o = o.withDefaults()
	if prefix = strings.TrimLeft(prefix, "/"); prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	b := &bucket{o: o, store: store, prefix: prefix, objects: map[string]objectstore.Object{}, listed: map[string]bool{}}
	for obj, err := range store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list the bucket: %w", err)
		}
		if len(b.objects) == maxObjects {
			return nil, fmt.Errorf("there are more than %d objects below %s; check a smaller prefix", maxObjects, prefix)
		}
		b.objects[obj.Key] = obj
	}
	if _, ok := b.objects[prefix+layout.HTMLPage]; !ok {
		if _, ok := b.objects[prefix+layout.JSONPage]; !ok {
			return nil, fmt.Errorf("bucket %s holds neither %s nor %s below %q; check the prefix", store.Bucket(), layout.HTMLPage, layout.JSONPage, prefix)
		}
	}
	report, err := run(ctx, bucketBase+layout.EscapeKey(prefix), b, o)
	if err != nil {
		return nil, err
	}
	if len(o.Projects) == 0 && report.Unvisited == 0 {
		f := &simpleindex.Findings{Page: b.name(prefix)}
		b.unlisted(f)
		report.add(f.List())
	}
	report.Index = b.name(prefix)
	b.rename(report)
	return report.finish(), nil
}

// bucket is an index that is read where it is stored.
type bucket struct {
	o       Options
	store   objectstore.Store
	prefix  string
	objects map[string]objectstore.Object

	mu sync.Mutex
	// listed are the keys that pages link to.
	listed map[string]bool
}

func (b *bucket) name(key string) string { return "s3://" + b.store.Bucket() + "/" + key }

// rename tells pages by what they are in the bucket.
func (b *bucket) rename(report *Report) {
	for i := range report.Findings {
		if key, ok := keyOf(report.Findings[i].Page); ok {
			report.Findings[i].Page = b.name(key)
		}
	}
}

// keyOf is the key that an address below bucketBase stands for.
func keyOf(address string) (string, bool) {
	rest, ok := strings.CutPrefix(address, bucketBase)
	if !ok {
		return "", false
	}
	rest, _, _ = strings.Cut(rest, "?")
	key, err := url.PathUnescape(rest)
	return key, err == nil
}

// read reads both pages of a folder.
func (b *bucket) read(ctx context.Context, address, project string, f *simpleindex.Findings) (docs []document) {
	folder, ok := keyOf(address)
	if !ok {
		f.Add("page-unreachable", 0, project, "the list leads to %s, which is not in this bucket; link to pages relative to the list", simpleindex.Quote(address))
		return nil
	}
	for _, name := range []string{layout.HTMLPage, layout.JSONPage} {
		key := folder + name
		if _, there := b.objects[key]; !there {
			continue
		}
		body, info, err := objectstore.ReadAll(ctx, b.store, key, b.o.Limits.PageBytes)
		if errors.Is(err, objectstore.ErrTooLarge) {
			f.Add("page-too-large", 0, "", "%s has %d bytes, and nothing of it was read: the limit is %d; list fewer files", key, info.Size, b.o.Limits.PageBytes)
			continue
		}
		if err != nil {
			f.Add("page-unreachable", 0, "", "the page cannot be read: %s", simpleindex.Quote(err.Error()))
			continue
		}
		contentType := info.ContentType
		if contentType == "" {
			contentType = "none"
		}
		doc := document{
			source: simpleindex.Source{URL: address, Name: b.name(key), Project: project, ContentType: contentType, Body: body},
			header: http.Header{"Cache-Control": {info.CacheControl}},
		}
		docs = append(docs, doc)
	}
	return docs
}

// file looks for a listed file in the listing of the bucket; what the pages link
// to elsewhere is not looked at.
func (b *bucket) file(ctx context.Context, file *simpleindex.File, f *simpleindex.Findings) {
	key, ours := keyOf(file.URL)
	if !ours {
		return
	}
	sidecar := key + layout.MetadataSuffix
	b.mu.Lock()
	b.listed[key], b.listed[sidecar], b.listed[key+layout.ProvenanceSuffix] = true, true, true
	b.mu.Unlock()
	obj, err := b.find(ctx, key)
	if err != nil {
		f.Add("file-unreachable", file.Line, file.Name, "%s is listed and cannot be found in the bucket (%s); installers fail on it: take it off the page, or put the file back", simpleindex.Quote(file.Name), simpleindex.Quote(err.Error()))
		return
	}
	checkSize(file, obj.Size, f)
	if file.Metadata {
		b.metadata(ctx, file, sidecar, f)
	}
	if b.o.Files {
		if info, err := b.store.Head(ctx, key); err == nil {
			simpleindex.CheckFileHeaders(file.Name, file.Line, http.Header{"Cache-Control": {info.CacheControl}}, f)
		}
	}
	if b.o.Hashes && file.SHA256() != "" {
		sum, err := b.sum(ctx, key)
		checkHash(file, sum, err, f)
	}
}

// find looks a key up in the listing, or in the store if it lies elsewhere.
func (b *bucket) find(ctx context.Context, key string) (objectstore.Object, error) {
	if obj, ok := b.objects[key]; ok {
		return obj, nil
	}
	if strings.HasPrefix(key, b.prefix) {
		return objectstore.Object{}, objectstore.ErrNotFound
	}
	info, err := b.store.Head(ctx, key)
	return info.Object, err
}

func (b *bucket) metadata(ctx context.Context, file *simpleindex.File, key string, f *simpleindex.Findings) {
	if _, err := b.find(ctx, key); err != nil || !b.o.Files {
		if err != nil {
			checkMetadata(file, nil, err, f)
		}
		return
	}
	data, _, err := objectstore.ReadAll(ctx, b.store, key, maxMetadata)
	checkMetadata(file, data, err, f)
}

func (b *bucket) sum(ctx context.Context, key string) (string, error) {
	body, _, err := b.store.Get(ctx, key, objectstore.GetOptions{})
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	sum := sha256.New()
	_, err = io.Copy(sum, body)
	return hex.EncodeToString(sum.Sum(nil)), err
}

// unlisted finds files that are stored beside the pages and on none of them.
func (b *bucket) unlisted(f *simpleindex.Findings) {
	for _, key := range sortedKeys(b.objects) {
		name := strings.TrimPrefix(key, b.prefix)
		if strings.Contains(name, "/") || b.listed[key] || name == layout.HTMLPage || name == layout.JSONPage || name == layout.FileName(layout.RemovalsKey("any")) {
			continue
		}
		f.Add("file-unlisted", 0, name, "%s is stored and on no page; list it or remove it, unless it was taken back on purpose", simpleindex.Quote(key))
	}
}

// finish compares the list of projects with the pages that are stored.
func (b *bucket) finish(_ context.Context, listed []string, f *simpleindex.Findings) {
	var pages []string
	for key := range b.objects {
		folder, file, nested := strings.Cut(strings.TrimPrefix(key, b.prefix), "/")
		if nested && (file == layout.HTMLPage || file == layout.JSONPage) {
			pages = append(pages, folder)
		}
	}
	found := &simpleindex.Findings{}
	simpleindex.CompareProjects(listed, pages, found)
	for _, finding := range found.List() {
		if finding.Rule == "page-not-listed" { // The other is found on the way.
			f.Add(finding.Rule, 0, finding.File, "%s", finding.Message)
		}
	}
}
