// Package wheeltest builds stand-in wheels for tests and the demo: small or
// padded to any size, accepted by pip, and importable as the project that they
// stand in for. It also builds a corpus of hostile ones, each with the reason
// for which package wheel must refuse it.
//
// Equal descriptions give equal bytes (of one Go release; deflate may differ
// between two). The package imports the standard library and the pure packages
// wheel and pep440.
package wheeltest
