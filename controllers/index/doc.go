// Package index is the index engine, the one writer of catalogs and of index
// pages: it lists a lane's objects, judges what is new, records the verdicts in
// the catalogs, renders the pages and publishes them on every store.
//
// # Why a file that was taken back stays off every page
//
// Engines may run at the same time: replicas, clusters, a process that was
// thought dead and wakes up in the middle of a write. Three rules keep each of
// them from listing a file again whose tombstone another one has published:
//
//   - A catalog is written only over the version that was read (If-Match), so no
//     tombstone is ever lost.
//   - A page is written only over the version that was seen before the catalog
//     was read.
//   - Pages carry the catalog's revision, so that an ETag stands for one
//     revision.
//
// Say a tombstone came with revision n and a page of revision n is published. A
// writer that does not know the tombstone read the catalog before revision n
// was written, and saw the page before that. What it saw is a page of an
// earlier revision, which is not there any more and, by the third rule, never
// comes back: its write fails, it looks again and reads revision n. Without the
// third rule the page could go from A to B and back to A (a file comes, and is
// taken back) between its look and its write.
//
// The argument ends where others write: who removes or replaces a page by hand,
// or puts back an old version of a catalog, may be overtaken by such a late
// writer. The next Sync mends the page.
//
// # What a listing proves
//
// The folder is listed before the catalogs are read, as the second rule wants.
// An entry that is in the catalog and not in the listing may therefore be newer
// than the listing. It is taken for missing or overwritten only if this engine
// knew it before it listed; otherwise the next Sync decides.
//
// # What the CDN is owed
//
// Every catalog says which revision the CDN was told of. A purge follows the
// publication, never the other way round, and a page of a revision that was
// purged is written again only under a new one. Files and sidecars that were
// replaced or forgotten are noted in the catalog: the engine's own before it
// writes them, others with the verdict on what lies there now. For a root page
// without any catalog an object of its own stands for the debt. So a crash at any
// point leaves a purge that is owed, and not a stale copy.
//
// # What is remembered
//
// A Sync that finds nothing to do leaves behind a digest of all it looked at: the
// listings of every store, the catalogs' ETags, what the lane says and which Yanks
// are in force. While that digest is the same the next one reports the same, and
// no catalog need be in memory: those of projects that changed lately are kept up
// to a number of bytes, of all others an ETag, and eight bytes of each file's
// hash. What is left to time alone (see retention) says when to look again.
//
// # Large files
//
// A wheel without a checksum of the store has to be read as a whole to be hashed.
// A Sync waits a few seconds for the files that it judges; what takes longer goes
// on behind it, and a later Sync takes the verdict. The files that are judged at
// once are bounded over all lanes, no lane gets more than half of the places, and
// the smallest files go first.
//
// # Retention
//
// What a channel no longer keeps is on show before it goes (see expire.go). Its
// bytes are removed as any deletion in a bucket with versions removes them: a
// delete marker goes on top, and the version gets the tag removed-by=retention. A
// lifecycle rule of the bucket that destroys noncurrent versions with that tag
// frees the space, for all lanes at once; without it nothing is ever lost. The tag
// matters: the versions that Yanks keep as evidence are noncurrent, too.
//
// The package imports the pure packages and the ports, and neither Kubernetes'
// client nor AWS.
package index
