package index

import (
	lru "container/list"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
)

// memory is what an engine knows of 1,000 lanes in little space: whole catalogs
// only of projects that changed lately, of all others a trace, and of a channel
// where nothing is left to do what its last Sync reported.
type memory struct {
	mu sync.Mutex
	// age counts what was learned.
	age    uint64
	traces map[string]*trace
	// catalogs are the latest ones first, in recent; both hold the same.
	catalogs map[string]*lru.Element
	recent   *lru.List
	// size of all catalogs and what they may take, in bytes.
	size, limit int64
	rests       map[channelID]rest
	progress    map[channelID]progress
	// wheels is how many wheels a channel had when it was last listed.
	wheels map[channelID]int
}

// trace is what is left of a catalog that was read or written.
type trace struct {
	ref Ref
	// etag of the newest version that this engine knows of, and its age when
	// that was learned.
	etag    string
	learned uint64
	// hashes are the beginnings of the files' SHA-256: enough to tell files
	// apart, not enough to trust one.
	hashes []uint64
	// pagesOf is the ETag of the catalog whose pages have the ETags in pages, by
	// key.
	pagesOf string
	pages   map[string]string
}

// recently is a catalog in memory.
type recently struct {
	key  string
	have stored
	size int64
}

// recent is what an element of the list holds; nothing else is in there.
func recent(element *lru.Element) *recently {
	r, _ := element.Value.(*recently)
	return r
}

func newMemory(limit int64) *memory {
	return &memory{
		limit: limit, traces: map[string]*trace{}, catalogs: map[string]*lru.Element{}, recent: lru.New(),
		rests: map[channelID]rest{}, progress: map[channelID]progress{}, wheels: map[channelID]int{},
	}
}

// now is the age of what is known now.
func (m *memory) now() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.age
}

// knew tells whether this version of a catalog was known, as the newest, at an
// age.
func (m *memory) knew(key, etag string, age uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.traces[key]
	return t != nil && t.etag == etag && t.learned <= age
}

// latest is the newest version of a catalog that is in memory.
func (m *memory) latest(key string) (stored, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	element, ok := m.catalogs[key]
	if !ok {
		return stored{}, false
	}
	m.recent.MoveToFront(element)
	return recent(element).have, true
}

// knows tells whether there was such a catalog when this engine last looked.
func (m *memory) knows(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.traces[key] != nil
}

// remember keeps a catalog as the newest version of its key.
func (m *memory) remember(ref Ref, have stored) {
	key, size, hashes := ref.key(), have.cat.Footprint(), hashesOf(have.cat)
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.traces[key]
	if t == nil {
		t = &trace{ref: ref}
		m.traces[key] = t
	}
	if t.etag != have.etag {
		m.age++
		t.etag, t.learned = have.etag, m.age
	}
	t.hashes = hashes
	m.drop(key)
	m.catalogs[key] = m.recent.PushFront(&recently{key, have, size})
	m.size += size
	for m.size > m.limit && m.recent.Len() > 1 {
		m.drop(recent(m.recent.Back()).key)
	}
}

// drop forgets a whole catalog; the caller holds the lock.
func (m *memory) drop(key string) {
	if element, ok := m.catalogs[key]; ok {
		m.size -= recent(element).size
		m.recent.Remove(element)
		delete(m.catalogs, key)
	}
}

// forget forgets a catalog that is no longer there.
func (m *memory) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
	delete(m.traces, key)
}

// hashesOf are the first 64 bits of each file's SHA-256.
func hashesOf(c *catalog.Catalog) []uint64 {
	out := make([]uint64, 0, len(c.Files))
	for i := range c.Files {
		if h, ok := beginning(c.Files[i].SHA256); ok {
			out = append(out, h)
		}
	}
	return out
}

func beginning(sha256 string) (uint64, bool) {
	if len(sha256) < 16 {
		return 0, false
	}
	h, err := strconv.ParseUint(sha256[:16], 16, 64)
	return h, err == nil
}

// Holders tells which other lanes list bytes with one of these hashes, as far as
// this engine has seen them: platform by hash.
func (e *Engine) Holders(platform string, hashes map[string]bool) map[string][]string {
	return e.memory.holders(platform, hashes)
}

func (m *memory) holders(platform string, hashes map[string]bool) map[string][]string {
	wanted := map[uint64]string{}
	for hash := range hashes {
		if h, ok := beginning(hash); ok {
			wanted[h] = hash
		}
	}
	out := map[string][]string{}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.traces {
		if t.ref.Platform == platform {
			continue
		}
		for _, h := range t.hashes {
			if hash, ok := wanted[h]; ok && !slices.Contains(out[hash], t.ref.Platform) {
				out[hash] = append(out[hash], t.ref.Platform)
			}
		}
	}
	for _, platforms := range out {
		slices.Sort(platforms)
	}
	return out
}

// rememberPages notes which ETags the pages of a catalog have, by key, so that
// an unchanged project is not rendered again.
func (m *memory) rememberPages(key, catalogETag string, pages map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.traces[key]; t != nil {
		t.pagesOf, t.pages = catalogETag, pages
	}
}

// carryPages notes that a new version of a catalog has the pages of the old one.
func (m *memory) carryPages(key, from, to string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.traces[key]; t != nil && t.pagesOf == from {
		t.pagesOf = to
	}
}

// pagesOf are the ETags of a catalog's pages, by key; nil if they are not known.
func (m *memory) pagesOf(key, catalogETag string) map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.traces[key]; t != nil && t.pagesOf == catalogETag {
		return t.pages
	}
	return nil
}

// rest is a channel where a Sync found everything as it should be. As long as
// nothing that went into it changes, the next Sync would find the same.
type rest struct {
	// inputs, folders and catalogs stand for what the Sync was told, for what is
	// stored, and for what was known of it.
	inputs, folders, catalogs digest
	// until is when time alone makes a difference; zero for never.
	until  time.Time
	report Report
}

func (m *memory) rest(id channelID) (rest, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rests[id]
	return r, ok
}

func (m *memory) setRest(id channelID, r rest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rests[id] = r
}

// likely is about how many wheels a channel has.
func (m *memory) likely(id channelID) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wheels[id]
}

func (m *memory) counted(id channelID, wheels int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wheels[id] = wheels
}

// progress counts the files that were judged since a channel was up to date.
type progress struct{ judged, found int }

// advance counts the files that one Sync judged and that it left over.
func (m *memory) advance(id channelID, judged, left int) progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	if left == 0 {
		delete(m.progress, id)
		return progress{}
	}
	p := m.progress[id]
	p.judged += judged
	p.found = p.judged + left
	m.progress[id] = p
	return p
}
