// Package security holds docs/security.md to its word: each attack in its table is
// tried by a test that exists.
package security
