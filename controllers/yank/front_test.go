package yank

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// front is the public address of a store: what a key holds, a folder's page, and
// a cache that keeps everything until it is purged.
type front struct {
	name  string
	store *fake.Store
	world *world

	mu sync.Mutex
	// caching keeps what was served; status, if set, answers everything;
	// oldVersions lets anybody read versions by id.
	caching     bool
	status      int
	oldVersions bool
	cache       map[string]string
}

func (f *front) set(change func(*front)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// keep puts into the cache what the store serves at a key now.
func (f *front) keep(key string) {
	body := f.store.Contents()[key]
	f.set(func(f *front) {
		f.caching = true
		if f.cache == nil {
			f.cache = map[string]string{}
		}
		f.cache["/"+key] = body
	})
}

func (f *front) drop(paths []string) {
	f.set(func(f *front) {
		for cached := range f.cache {
			for _, p := range paths {
				if cdn.Covers(p, cached) {
					delete(f.cache, cached)
				}
			}
		}
	})
}

func (f *front) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	f.world.tell("probe %s %s", f.name, in.URL.Path)
	f.mu.Lock()
	defer f.mu.Unlock()
	key := strings.TrimPrefix(in.URL.Path, "/")
	if strings.HasSuffix(key, "/") {
		key += layout.HTMLPage
	}
	body, cached := f.cache["/"+key]
	stored, found := f.store.Contents()[key]
	id := in.URL.Query().Get("versionId")
	switch {
	case f.status != 0:
		out.WriteHeader(f.status)
	case strings.HasPrefix(key, layout.Private):
		out.WriteHeader(http.StatusForbidden)
	case id != "" && f.oldVersions:
		got, _, err := f.store.Get(in.Context(), key, objectstore.GetOptions{VersionID: id})
		if err != nil {
			out.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.Copy(out, got)
	case id != "":
		out.WriteHeader(http.StatusForbidden)
	case cached:
		_, _ = io.WriteString(out, body)
	case found:
		_, _ = io.WriteString(out, stored)
	default:
		out.WriteHeader(http.StatusNotFound)
	}
}

// recorder keeps Events.
type recorder struct {
	mu   sync.Mutex
	all  []string
	hook func()
}

func (r *recorder) Eventf(_, _ runtime.Object, kind, reason, _, note string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hook != nil {
		r.hook()
	}
	r.all = append(r.all, fmt.Sprintf("%s %s %s", kind, reason, fmt.Sprintf(note, args...)))
}

func (r *recorder) has(part string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.all, func(e string) bool { return strings.Contains(e, part) })
}
