// Package roles runs the operator and the real ACK controller against the local
// stack's IAM and looks at the roles: whether they are mended whatever happens to
// them behind the operator's back, and whether the thousandth costs what the first
// one did.
package roles
