package cdn

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// maxPath is the longest path that CloudFront takes, in bytes.
const maxPath = 4000

// indexNames are the objects that a directory's URL serves.
var indexNames = []string{"index.html", "index.v1_json"}

// PathsFor returns the paths under which the caches may hold the object at
// keys, sorted, without any that another one covers.
//
// An index page is served under its directory and under its own name. A name
// with characters that URLs spell in more than one way ("+" and "%2B" are two
// entries of the cache) is cut before the first of them and ends in a wildcard:
// that covers all spellings, counts as one path, and drops a few neighbours that
// the caches then fetch again.
func PathsFor(keys ...string) []string {
	var paths []string
	for _, key := range keys {
		if at := strings.IndexFunc(key, ambiguous); at >= 0 {
			paths = append(paths, "/"+key[:at]+"*")
			continue
		}
		paths = append(paths, "/"+key)
		if dir, name := cutName(key); slices.Contains(indexNames, name) {
			paths = append(paths, "/"+dir)
		}
	}
	return uncovered(paths)
}

// ambiguous tells whether a character can appear in a URL in another spelling
// than its own: everything but letters, digits and what is never escaped.
func ambiguous(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	default:
		return !strings.ContainsRune("-._/", r)
	}
}

// cutName splits a key behind its last slash.
func cutName(key string) (dir, name string) {
	at := strings.LastIndexByte(key, '/') + 1
	return key[:at], key[at:]
}

// Compact returns paths that cover at least what the given ones do, sorted,
// without duplicates, within the quotas of one invalidation ([MaxWildcards] and
// [MaxPaths]). Where there are too many, those in the deepest directories give
// way to a wildcard for their directory.
func Compact(paths []string) []string {
	paths = uncovered(paths)
	for depth := maxDepth(paths); depth > 0 && !withinQuota(paths); {
		wider := widen(paths, depth)
		if slices.Equal(wider, paths) {
			depth--
		}
		paths = wider
	}
	return paths
}

func withinQuota(paths []string) bool {
	wildcards := 0
	for _, path := range paths {
		if isWildcard(path) {
			wildcards++
		}
	}
	return wildcards <= MaxWildcards && len(paths) <= MaxPaths
}

// widen replaces the paths that lie depth directories deep: the wildcards
// among them when those are too many, all of them when the paths are.
func widen(paths []string, depth int) []string {
	all := len(paths) > MaxPaths
	out := slices.Clone(paths)
	for i, path := range out {
		if strings.Count(path, "/") != depth || (!all && !isWildcard(path)) {
			continue
		}
		dir, name := cutName(path)
		if name == "*" && depth > 1 {
			// The directory's own wildcard: go one up.
			dir, _ = cutName(strings.TrimSuffix(dir, "/"))
		}
		out[i] = dir + "*"
	}
	return uncovered(out)
}

func maxDepth(paths []string) int {
	deepest := 0
	for _, path := range paths {
		deepest = max(deepest, strings.Count(path, "/"))
	}
	return deepest
}

// uncovered sorts paths and drops duplicates and those that a wildcard among
// them covers.
func uncovered(paths []string) []string {
	sorted := slices.Clone(paths)
	// By what comes before the wildcard, the wildcard first: one that covers a
	// path then stands before it.
	slices.SortFunc(sorted, func(a, b string) int {
		return cmp.Or(
			strings.Compare(strings.TrimSuffix(a, "*"), strings.TrimSuffix(b, "*")),
			-strings.Compare(a, b),
		)
	})
	out := sorted[:0]
	wildcard := ""
	for _, path := range sorted {
		covered := wildcard != "" && Covers(wildcard, path)
		if covered || (len(out) > 0 && out[len(out)-1] == path) {
			continue
		}
		if isWildcard(path) {
			wildcard = path
		}
		out = append(out, path)
	}
	slices.Sort(out)
	return out
}

// Covers tells whether an invalidation of pattern drops the copies of path,
// which may be a pattern itself.
func Covers(pattern, path string) bool {
	if !isWildcard(pattern) {
		return pattern == path
	}
	return strings.HasPrefix(strings.TrimSuffix(path, "*"), strings.TrimSuffix(pattern, "*"))
}

func isWildcard(path string) bool { return strings.HasSuffix(path, "*") }

func checkPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return errors.New("it does not start with a slash")
	case len(path) > maxPath:
		return errors.New("it is longer than 4,000 bytes")
	case strings.Contains(strings.TrimSuffix(path, "*"), "*"):
		return errors.New("a * may stand at the end only")
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '?' || r == '#' || r >= 0x7f }):
		return errors.New("it has characters that must be URL-encoded")
	}
	return nil
}
