// Package cdn is a caching CDN in front of a bucket's website, with the habits
// of CloudFront that publishing and yanking depend on: objects live for their
// s-maxage, errors for ten seconds, a stale object outlives an origin that fails,
// the URL is the cache key exactly as it was sent (a + and a %2B are two
// objects), query strings are dropped, an invalidation takes effect some time
// after it was asked for, and the distribution's CloudFront functions run: the
// very files that are deployed. Beside the standard library it may import a
// JavaScript engine.
package cdn
