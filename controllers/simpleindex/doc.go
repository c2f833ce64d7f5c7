// Package simpleindex reads and judges simple indexes of Python packages, ours
// and anybody's: the list of projects and the page of a project, as HTML (PEP
// 503, 592, 629, 658, 714, 740, 792) and as JSON (PEP 691, 700, 740, 792), API
// versions 1.0 to 1.4.
//
// [Read] turns one page into a [Page] and says what is wrong with its form.
// [Page.Check] judges what the page says, [CompareFormats] whether the HTML and
// the JSON of one address say the same, [CompareProjects] whether an index lists
// the projects that it has, [CheckHeaders] what caches are told. Every finding
// names its rule; [Rules] lists them all.
//
// Two severities are kept apart. An error breaks a MUST of a specification, or
// makes an installer fail, skip a file or take the wrong one. A warning breaks
// a SHOULD, or is known to hurt with some server or client.
//
// A page is taken for hostile: its size, the number of its links and of the
// findings about it are bounded, and what is quoted from it is escaped and cut
// short.
//
// The package is pure: bytes in, findings out. It imports pep440 and wheel, and
// golang.org/x/net/html to read HTML as browsers do. simpleindex/crawl walks
// through an index over the network or in a bucket.
package simpleindex
