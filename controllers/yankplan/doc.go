// Package yankplan decides which files a Yank takes back and what a person
// should know about it first: it compiles a selector and resolves it over the
// catalogs of a lane. It changes nothing.
//
// The package imports the API types, catalog, layout and pep440; no client of
// Kubernetes and none of AWS.
package yankplan
