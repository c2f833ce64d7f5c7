// Package claim decides who holds a platform: which of several lanes, in any
// namespaces and clusters, may use its prefixes and its role's name; and which
// names no lane can have.
//
// The decision is taken in one place, from a record in the bucket and from the
// lanes that want the platform, and everybody who looks at the same input comes
// to the same answer. The record (layout.ClaimKey) is what clusters that do not
// know of each other have in common; whoever writes it does so with If-Match or
// If-None-Match and decides again when that fails.
//
// The package is pure: it imports neither a Kubernetes client nor AWS.
package claim
