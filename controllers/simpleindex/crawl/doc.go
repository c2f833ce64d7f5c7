// Package crawl walks through a whole simple index and judges every page with
// package simpleindex: over HTTP as an installer sees it ([HTTP]), or in the
// bucket that it is published from ([Bucket]).
//
// Over HTTP each page is asked for twice, as HTML and as JSON, and both have to
// say the same. In a bucket the stored content types and cache headers are
// judged as well, and every stored file has to be on a page and every listed one
// in the bucket. The files themselves are looked at on demand only.
//
// Everything is bounded: requests at once, the time of each, redirects, the size
// of a page, the number of projects and of findings.
//
// The package imports simpleindex, layout, pep440 and the port objectstore.
package crawl
