package pages

import (
	"crypto/md5" //nolint:gosec // an S3 ETag is an MD5 sum; it authenticates nothing here
	"encoding/hex"
)

// APIVersion is the version of the simple repository API that the pages speak
// (PEP 629, PEP 691). HTML claims the same version as JSON: the specification
// keeps the serialisations in step even where a feature exists in one alone.
const APIVersion = "1.4"

// The content types of pages. Installers skip a page of any other type. pip and
// uv accept the charset parameter; without it a browser would have to guess for
// what comes before the meta tag.
const (
	ContentTypeHTML = "text/html; charset=utf-8"
	ContentTypeJSON = "application/vnd.pypi.simple.v1+json"
	// ContentTypeFeed is that of the feed of removals, which is no index page.
	ContentTypeFeed = "application/json"
)

// What caches may do.
const (
	// CacheControlPage is for index pages and the feed: a client asks again each
	// time, the CDN holds the page for a day and is told when it changes.
	CacheControlPage = "public, max-age=0, s-maxage=86400, must-revalidate"
	// CacheControlFile is for wheels, archives and their sidecars. It never says
	// immutable: pip would install a deleted wheel from its cache without asking.
	CacheControlFile = "public, max-age=300, s-maxage=31536000, must-revalidate"
)

// Page is an object to publish.
type Page struct {
	// Key in the bucket.
	Key string
	// Body is the whole page.
	Body []byte
	// ContentType and CacheControl are the headers to store it with.
	ContentType, CacheControl string
}

// ETag is the lower-case hexadecimal MD5 sum of the body, without quotes: what
// S3 shows for an object stored with a single PUT and without KMS.
func (p Page) ETag() string {
	sum := md5.Sum(p.Body) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}
