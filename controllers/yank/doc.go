// Package yank carries out Yanks: it resolves the selector over the lane's
// catalogs, sets tombstones, has the index engine publish, takes the bytes out
// of reach, purges the CDN, probes the public URLs and records all of it.
//
// The order of the steps is what makes it safe: a tombstone comes first, so that
// nothing lists the file again whatever happens next; bytes go after the pages,
// so that no page ever lists what is not there; probes come last, so that Ready
// means seen, not hoped. Each step is idempotent. What was done stands in the
// record in the bucket, so a crash anywhere is made up for by the next pass.
package yank
