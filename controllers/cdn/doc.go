// Package cdn is the port through which stale copies are taken out of the edge
// caches, with what every caller needs around it: which paths belong to an
// object key, and a coalescer that keeps concurrent purges within CloudFront's
// quotas.
//
// It may import the standard library only. cdn/cloudfront is the one adapter
// that knows the CloudFront SDK, cdn/fake records in memory; both pass
// cdn/contract.
package cdn
