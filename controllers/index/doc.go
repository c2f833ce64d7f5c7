// Package index is the index engine, the one writer of catalogs and of index
// pages: it lists a lane's objects, judges what is new, records the verdicts in
// the catalogs, renders the pages and publishes them on every store.
//
// Two rules keep concurrent engines (replicas, clusters, a process that was
// thought dead) from ever listing a file again that was taken back:
//
//   - A catalog is written only over the version that was read (If-Match).
//   - A page is written only over the version that was seen before the catalog
//     was read. A page made from an older catalog therefore meets either the
//     page of the newer one, and fails, or is replaced by it. Pages carry the
//     catalog's revision, so that two revisions never have the same bytes.
//
// It imports the pure packages and the ports, and neither Kubernetes' client nor
// AWS.
package index
