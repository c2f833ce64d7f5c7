// Package fake is a bucket in memory with the semantics of S3: versions and
// delete markers, conditional writes, tags, unfinished multipart uploads,
// Object Lock refusals, ranged reads and checksums. It counts calls, runs on an
// injected clock and fails where a test tells it to, before or after the effect
// of a call.
//
// It passes the contract in objectstore/contract, as the real adapter does. It
// may import package objectstore and the standard library only.
package fake
