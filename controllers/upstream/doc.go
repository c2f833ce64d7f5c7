// Package upstream reads the pages of projects that a lane lists and does not
// publish: its dependencies, hosted on other simple indexes.
//
// What comes from there is judged before it is believed. An answer that is no
// index page of the project is refused as a whole. A file without a SHA-256, of
// another project, or with an address that no installer should follow is left
// out alone, with the reason.
//
// The operator fetches on behalf of a lane's manifest, so where it may connect
// to is narrow: to the indexes on the allow-list of its configuration, and by a
// redirect to the same host or another one on that list. The name of an index
// must not lead to the operator's own machine or link-local network, where
// clouds keep their credentials. No file is ever fetched.
//
// Every request is bounded in time, size and redirects, and an unchanged page is
// asked for with its validator, so that it costs its headers alone.
//
// The package imports catalog, pep440 and simpleindex, and the standard library.
package upstream
