package wheel

import (
	"fmt"
	"strconv"
)

// A Reason is the stable, machine-readable cause of a rejection, fit for a
// condition, a metric label or a search.
type Reason string

// Why a file is kept off the index. Each comment says when the reason surfaces.
const (
	// ReasonFilenameTooLong: the name exceeds MaxFilename bytes.
	ReasonFilenameTooLong Reason = "FilenameTooLong"
	// ReasonFilenameCharacters: the name holds a character that no file name
	// of its kind has: not ASCII, a slash, a percent sign, markup, a control
	// character.
	ReasonFilenameCharacters Reason = "FilenameCharacters"
	// ReasonFilenameExtension: the name does not end in exactly one .whl (or
	// .zip for a libtorch archive).
	ReasonFilenameExtension Reason = "FilenameExtension"
	// ReasonFilenameParts: the name does not have five or six parts between
	// dashes, or one of them is empty.
	ReasonFilenameParts Reason = "FilenameParts"
	// ReasonFilenameProject: the first part is not a project name.
	ReasonFilenameProject Reason = "FilenameProject"
	// ReasonFilenameVersion: the version is not PEP 440, or is missing.
	ReasonFilenameVersion Reason = "FilenameVersion"
	// ReasonFilenameBuild: the build tag does not begin with a digit.
	ReasonFilenameBuild Reason = "FilenameBuild"
	// ReasonFilenameTags: the compatibility tags are malformed or too many.
	ReasonFilenameTags Reason = "FilenameTags"
	// ReasonFilenameNotNormalized: the name is valid but not in normal form,
	// so that one version could be published under several names.
	ReasonFilenameNotNormalized Reason = "FilenameNotNormalized"

	// ReasonPackageNotAllowed: the lane does not list the package.
	ReasonPackageNotAllowed Reason = "PackageNotAllowed"
	// ReasonLocalVersion: the first label of the local version is not the
	// lane's platform.
	ReasonLocalVersion Reason = "LocalVersionMismatch"
	// ReasonFileTooLarge: the file is larger than the lane may publish.
	ReasonFileTooLarge Reason = "FileTooLarge"

	// ReasonZipMalformed: the file is not a readable ZIP archive.
	ReasonZipMalformed Reason = "ZipMalformed"
	// ReasonZipAmbiguous: two installers could unpack different files.
	ReasonZipAmbiguous Reason = "ZipAmbiguous"
	// ReasonZipEntryName: an entry has an unsafe name.
	ReasonZipEntryName Reason = "ZipEntryName"
	// ReasonZipEncrypted: an entry is encrypted.
	ReasonZipEncrypted Reason = "ZipEncrypted"
	// ReasonZipCompression: an entry is neither stored nor deflated.
	ReasonZipCompression Reason = "ZipCompression"
	// ReasonZipLimit: the archive has more entries, a larger directory or a
	// larger unpacked size than any honest wheel.
	ReasonZipLimit Reason = "ZipLimitExceeded"

	// ReasonDistInfoNotUnique: there is no .dist-info directory, or several.
	ReasonDistInfoNotUnique Reason = "DistInfoNotUnique"
	// ReasonDistInfoMismatch: the .dist-info directory is named after another
	// project or version than the file.
	ReasonDistInfoMismatch Reason = "DistInfoMismatch"
	// ReasonDistInfoIncomplete: METADATA, WHEEL or RECORD is missing.
	ReasonDistInfoIncomplete Reason = "DistInfoIncomplete"

	// ReasonMetadataTooLarge: METADATA exceeds MaxMetadata bytes.
	ReasonMetadataTooLarge Reason = "MetadataTooLarge"
	// ReasonMetadataMalformed: METADATA cannot be read in only one way.
	ReasonMetadataMalformed Reason = "MetadataMalformed"
	// ReasonMetadataVersion: METADATA is of an unknown major version.
	ReasonMetadataVersion Reason = "MetadataVersionUnsupported"
	// ReasonMetadataMismatch: METADATA names another project or version than
	// the file.
	ReasonMetadataMismatch Reason = "MetadataMismatch"
	// ReasonRequiresPython: Requires-Python is not a PEP 440 specifier set.
	ReasonRequiresPython Reason = "RequiresPythonInvalid"
)

// A Rejection is the error for a file that must not be listed.
type Rejection struct {
	Reason Reason
	// Message says what is wrong and what to do next. Whatever it quotes from
	// the file is escaped and cut short; it still needs HTML escaping.
	Message string
}

// Error is the reason and the message.
func (r *Rejection) Error() string { return string(r.Reason) + ": " + r.Message }

func reject(reason Reason, format string, args ...any) error {
	return &Rejection{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// quote shows untrusted text in a message: escaped, and not all of it.
func quote(s string) string {
	const longest = 120
	if len(s) > longest {
		return strconv.QuoteToASCII(s[:longest]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// uploadAnew is what to do about a file whose bytes are bad: names are
// write-once.
const uploadAnew = "upload it under a new build number, since a name is never written twice"
