// Package retention decides which files of a project a lane no longer keeps: a
// pure plan over a catalog, for a policy and a time. The index engine carries it
// out.
//
// Every rule of a policy keeps files; a file is due when no rule keeps it. A
// version is kept or due as a whole, by its newest file, so that no platform is
// left with half of one.
//
//   - retentionDays keeps what was uploaded in the last so many days.
//   - keepVersions keeps the newest versions (PEP 440), however old.
//   - retainSeries keeps the newest release series. A series counts from its
//     first final release on: a release candidate pushes nothing out.
//
// Whatever the policy, the newest version that can be installed stays, and so
// does the newest final one. A file that a Yank took back or marked stays: it is
// evidence. So does one that is not listed, or whose version cannot be read.
//
// It is pure: it imports the API types, catalog and pep440.
package retention
