// Package contract is what every objectstore.Store has to do, as tests: the
// fake runs them in memory, the S3 adapter against a real server. A difference
// between that server and Amazon S3 is declared in [Differences] and checked
// as such, so that it cannot hide and is noticed when it goes away.
//
// It is imported by tests only. It may import package objectstore and the
// standard library.
package contract
