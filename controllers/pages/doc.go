// Package pages renders the simple index: the page of a project and the list of
// projects, each as HTML and as JSON, and the public feed of removals.
//
// Pages are a pure function of catalogs: the same catalog always gives the same
// bytes, so that an unchanged page keeps its ETag, and a page that somebody
// tampered with shows in a listing.
//
// What is written follows PEP 503, 592, 629, 658, 714 and 740 (HTML) and PEP
// 691, 700 and 740 (JSON), API version 1.4. Everything that comes from a
// catalog is taken for hostile: file names, METADATA and reasons are written by
// people who may not publish pages.
//
// The package imports the API types, catalog, layout and pep440; no client of
// Kubernetes and none of AWS.
package pages
