package cdn

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of the cache. Larger objects pass through uncached.
const (
	maxObjectBytes = 64 << 20
	maxCacheBytes  = 512 << 20
)

// response is an origin's answer, kept whole.
type response struct {
	status int
	header http.Header
	body   []byte
	stored time.Time
	expiry time.Time
}

func (r *response) fresh(now time.Time) bool { return now.Before(r.expiry) }

// cache holds responses by path as sent.
type cache struct {
	mu      sync.Mutex
	entries map[string]*response
	bytes   int
	// purged counts invalidations: an answer that was fetched before one may
	// not be stored after it.
	purged uint64
}

func newCache() *cache { return &cache{entries: map[string]*response{}} }

// get returns the entry, if any, and the state of invalidations to pass to put.
func (c *cache) get(key string) (*response, uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[key], c.purged
}

func (c *cache) put(key string, r *response, since uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if since != c.purged || !r.expiry.After(r.stored) {
		return
	}
	c.drop(key)
	for k := range c.entries { // any victim will do: the sandbox's cache is rarely full
		if c.bytes+len(r.body) <= maxCacheBytes {
			break
		}
		c.drop(k)
	}
	c.entries[key] = r
	c.bytes += len(r.body)
}

func (c *cache) drop(key string) {
	if old, ok := c.entries[key]; ok {
		c.bytes -= len(old.body)
		delete(c.entries, key)
	}
}

// invalidate drops what the patterns name: a path, or a prefix followed by *.
func (c *cache) invalidate(patterns []string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purged++
	dropped := 0
	for key := range c.entries {
		for _, pattern := range patterns {
			prefix, wild := strings.CutSuffix(pattern, "*")
			if key == pattern || wild && strings.HasPrefix(key, prefix) {
				c.drop(key)
				dropped++
				break
			}
		}
	}
	return dropped
}

// lifetime is how long a CDN may keep a response without asking again.
func lifetime(r *response, limits Limits) time.Duration {
	if r.status != http.StatusOK {
		return limits.ErrorTTL
	}
	directives := map[string]string{}
	for directive := range strings.SplitSeq(r.header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		directives[strings.ToLower(name)] = strings.Trim(value, `"`)
	}
	for _, forbidden := range []string{"no-store", "private", "no-cache"} {
		if _, ok := directives[forbidden]; ok {
			return 0
		}
	}
	for _, name := range []string{"s-maxage", "max-age"} {
		if seconds, err := strconv.Atoi(directives[name]); err == nil {
			return min(time.Duration(max(seconds, 0))*time.Second, limits.MaxTTL)
		}
	}
	if expires, err := http.ParseTime(r.header.Get("Expires")); err == nil {
		return min(max(expires.Sub(r.stored), 0), limits.MaxTTL)
	}
	return limits.DefaultTTL
}
