// Package pep440 parses, normalises and compares the versions of Python
// distributions and decides which versions a specifier set selects.
//
// It follows the version specifiers specification (PEP 440) as the reference
// implementation, the Python library packaging, reads it. A yank selects with
// it, so what it calls equal must be what pip calls equal: the test
// TestAgreesWithPackaging compares every answer with packaging itself on many
// thousands of generated cases.
//
// It is our own because no Go library agreed in that comparison (1,625
// versions, 743 specifier sets, packaging 26.3):
//
//   - deps.dev/util/semver (2026-07-27) is built to resolve, not to select:
//     293,760 of 915,000 selections differ, mostly because a clause without a
//     local version does not match a version with one; it refuses + labels
//     with an underscore in a specifier, and 7,122 comparisons differ.
//   - github.com/aquasecurity/go-pep440-version v0.0.1: 15,075 of 934,524
//     selections and 92 comparisons differ (>, ~= and < with local versions,
//     pre-releases and epochs); it refuses an empty set, labels with an
//     underscore or capitals in a specifier and numbers above 64 bits, and
//     takes U+017F for an s.
//
// Two deliberate differences remain: only ASCII counts as white space, and an
// input longer than [MaxLength] is refused. Both can only refuse more.
//
// The package imports the standard library alone.
package pep440
