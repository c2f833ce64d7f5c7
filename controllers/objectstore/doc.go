// Package objectstore is the port through which everything else reads and
// writes a bucket: one narrow interface, typed errors, and the guarantees the
// index engine and the yank rely on (conditional writes, versions, listings
// that carry ETags).
//
// It may import the standard library only. objectstore/s3 is the one adapter
// that knows the AWS SDK; objectstore/fake keeps a bucket in memory, can inject
// faults and counts calls. Both pass the contract in objectstore/contract.
package objectstore
