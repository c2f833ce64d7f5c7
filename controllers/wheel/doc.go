// Package wheel decides whether an uploaded file may be listed on an index
// page: it parses the file's name, reads the metadata out of a wheel that it
// never downloads whole, and says what is wrong with a file that must stay out.
//
// The steps, cheapest first:
//
//   - [CheckListing] and [CheckArchive] need nothing but a listing: name,
//     local version, package and size.
//   - [Judge] also reads the wheel: about two ranged reads, the end of the
//     archive with its central directory and then the METADATA entry. Every
//     read and everything inflated is bounded.
//
// Two kinds of failure are kept apart. A [Rejection] says that the file is
// bad: it stays out until somebody replaces it, and its [Reason] goes to
// status and metrics. Any other error says that the file could not be read and
// is worth a retry.
//
// Installers disagree about malformed archives: one trusts the central
// directory at the end, another streams local headers from the start. An
// archive that two of them could read differently is therefore refused, as
// PyPI does since 2025: every byte before the directory must belong to an
// entry of the directory, and nothing may follow the end record. What ranged
// reads cannot tell is whether the local header of each entry repeats the
// directory; that is verified for METADATA alone. Nor are contents compared
// with RECORD.
//
// Specifications: binary distribution format (PEP 427), core metadata, PEP 440
// (package pep440), PEP 503 (names), PEP 658 (metadata beside the wheel),
// APPNOTE 6.3 (ZIP).
//
// The package is pure: it imports the standard library and package pep440.
package wheel
