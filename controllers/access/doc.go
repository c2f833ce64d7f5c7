// Package access turns a lane into the documents of its IAM role: who may obtain
// its credentials (trust policy) and what these may do (one inline policy).
//
// The documents are the whole of a lane's authority. They name the lane's
// prefixes and file names and refuse everything else, so that nothing a vendor's
// workflow does or leaves out can reach another lane.
//
// Values of a manifest are checked again here, whatever admission let through: a
// wildcard, a policy variable or a quote in the wrong place would widen a policy.
// A value that does not pass is reported as a Problem and left out; what is left
// out closes the role further and never opens it.
//
// The package is pure: it imports the API types and the layout of the bucket,
// and neither a Kubernetes client nor AWS.
package access
