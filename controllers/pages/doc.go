// Package pages renders the simple index: the page of a project and the list of
// projects, each as HTML and as JSON, the page of C++ archives, and the public
// feed of removals. The list of projects is also the page where people find out
// how to install from a lane.
//
// Pages are a pure function of catalogs, of the lane's manifest and of the public
// address: the same input always gives the same bytes, so that an unchanged page keeps its ETag, and a page that somebody
// tampered with shows in a listing.
//
// What is written follows PEP 503, 592, 629, 658, 714, 740 and 792 (HTML) and
// PEP 691, 700, 714, 740 and 792 (JSON), API version 1.4. Everything that comes
// from a catalog or a manifest is taken for hostile: file names, METADATA and
// reasons are written by people who may not publish pages. Pages hold no script
// and load nothing.
//
// The package imports the API types, catalog, layout and pep440; no client of
// Kubernetes and none of AWS.
package pages
