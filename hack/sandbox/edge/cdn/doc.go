// Package cdn is a caching CDN in front of a bucket's website, with the habits
// of CloudFront that publishing and yanking depend on: objects live for their
// s-maxage, errors for ten seconds, a stale object outlives an origin that fails,
// the URL is the cache key exactly as it was sent (a + and a %2B are two
// objects), query strings are dropped, and an invalidation takes effect some
// time after it was asked for. Standard library only.
package cdn
