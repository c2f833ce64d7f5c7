// Package fake keeps users in memory, for tests. It may import packages accesskey
// and access and the standard library.
package fake
