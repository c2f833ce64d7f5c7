// Package layout says where everything lies in the bucket: wheels, archives,
// pages, catalogs, records. It is pure and imports the API types only; no other
// package puts a key together by hand.
package layout

import (
	"path"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// The names that a page has below its folder.
const (
	// HTMLPage is the page for installers and people (PEP 503).
	HTMLPage = "index.html"
	// JSONPage is the same page as JSON (PEP 691).
	JSONPage = "index.v1_json"
)

// MetadataSuffix is what a wheel's name plus METADATA file is called (PEP 658).
const MetadataSuffix = ".metadata"

// ProvenanceSuffix is what a file's attestation is called (PEP 740).
const ProvenanceSuffix = ".provenance"

// Private is the prefix that is never public.
const Private = "_lanes/"

// Channels lists every channel, whether or not a lane publishes to it.
func Channels() []v1alpha1.ChannelName {
	return []v1alpha1.ChannelName{v1alpha1.ChannelNightly, v1alpha1.ChannelTest, v1alpha1.ChannelRelease}
}

// WheelPrefix is the folder of a channel's wheels and pages, with a slash at
// its end: whl/<platform>/ for releases, whl/<channel>/<platform>/ otherwise.
func WheelPrefix(platform string, channel v1alpha1.ChannelName) string {
	return root("whl/", platform, channel)
}

// LibtorchPrefix is the folder of a channel's C++ archives.
func LibtorchPrefix(platform string, channel v1alpha1.ChannelName) string {
	return root("libtorch/", platform, channel)
}

func root(top, platform string, channel v1alpha1.ChannelName) string {
	if channel == v1alpha1.ChannelRelease {
		return top + platform + "/"
	}
	return top + string(channel) + "/" + platform + "/"
}

// LaneOf is the inverse of WheelPrefix and LibtorchPrefix: the lane and channel
// that a key belongs to, and what follows its prefix. ok is false for any other
// key.
func LaneOf(key string) (platform string, channel v1alpha1.ChannelName, rest string, ok bool) {
	rest, ok = strings.CutPrefix(key, "whl/")
	if !ok {
		if rest, ok = strings.CutPrefix(key, "libtorch/"); !ok {
			return "", "", "", false
		}
	}
	first, rest, ok := strings.Cut(rest, "/")
	if !ok || first == "" {
		return "", "", "", false
	}
	channel = v1alpha1.ChannelName(first)
	if channel != v1alpha1.ChannelNightly && channel != v1alpha1.ChannelTest {
		return first, v1alpha1.ChannelRelease, rest, true
	}
	platform, rest, ok = strings.Cut(rest, "/")
	if !ok || platform == "" {
		return "", "", "", false
	}
	return platform, channel, rest, true
}

// LanePrefix is the private folder of a lane: claim, catalogs, yank records.
func LanePrefix(platform string) string { return Private + platform + "/" }

// ClaimKey holds the record of the lane that owns the platform.
func ClaimKey(platform string) string { return LanePrefix(platform) + "claim.json" }

// CatalogPrefix is the folder of a channel's catalogs.
func CatalogPrefix(platform string, channel v1alpha1.ChannelName) string {
	return LanePrefix(platform) + string(channel) + "/"
}

// CatalogKey holds the catalog of one project.
func CatalogKey(platform string, channel v1alpha1.ChannelName, project string) string {
	return CatalogPrefix(platform, channel) + project + ".json"
}

// RootDebtKey is there while the CDN may hold an older root page of a channel than
// the bucket. It is no catalog, and lies where those are listed.
func RootDebtKey(platform string, channel v1alpha1.ChannelName) string {
	return CatalogPrefix(platform, channel) + "root.unpurged"
}

// YankRecordKey holds the whole record of a Yank, by its UID.
func YankRecordKey(platform, uid string) string {
	return LanePrefix(platform) + "yanks/" + uid + ".json"
}

// RemovalsKey is the public feed of everything the lane took back.
func RemovalsKey(platform string) string { return "whl/" + platform + "/removals.json" }

// ProjectPages are the keys of a project's pages. C++ archives have their pages
// where they lie, and none among the wheels.
func ProjectPages(platform string, channel v1alpha1.ChannelName, project string) (html, json string) {
	if project == v1alpha1.LibtorchPackage {
		return ArchivePages(platform, channel)
	}
	folder := WheelPrefix(platform, channel) + project + "/"
	return folder + HTMLPage, folder + JSONPage
}

// ArchivePages are the keys of the pages of a channel's C++ archives.
func ArchivePages(platform string, channel v1alpha1.ChannelName) (html, json string) {
	folder := LibtorchPrefix(platform, channel)
	return folder + HTMLPage, folder + JSONPage
}

// RootPages are the keys of a channel's list of projects.
func RootPages(platform string, channel v1alpha1.ChannelName) (html, json string) {
	folder := WheelPrefix(platform, channel)
	return folder + HTMLPage, folder + JSONPage
}

// EscapeKey spells a key as the path of a URL: every byte that is not
// unreserved is percent-encoded, the plus sign included (S3 reads a raw plus as
// a space), slashes stay.
func EscapeKey(key string) string {
	const hex = "0123456789ABCDEF"
	escapes := 0
	for i := range len(key) {
		if !unreserved(key[i]) {
			escapes++
		}
	}
	if escapes == 0 {
		return key
	}
	b := make([]byte, 0, len(key)+2*escapes)
	for i := range len(key) {
		if c := key[i]; unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// unreserved tells whether a byte stands for itself in a path (RFC 3986), or
// divides it.
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0
}

// PublicURL is the address of a key below a public base URL.
func PublicURL(base, key string) string {
	return strings.TrimRight(base, "/") + "/" + EscapeKey(key)
}

// IndexURL is the simple index of a channel below a public base URL.
func IndexURL(base, platform string, channel v1alpha1.ChannelName) string {
	return PublicURL(base, WheelPrefix(platform, channel))
}

// FileName is the last element of a key.
func FileName(key string) string { return path.Base(key) }
