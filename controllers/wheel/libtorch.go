package wheel

import (
	"context"
	"regexp"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// LibtorchPackage is the entry of a lane's package list that stands for
// libtorch archives. They are plain ZIP files, listed but not installable.
const LibtorchPackage = "libtorch"

// A LibtorchFilename is a parsed name of a libtorch archive:
// libtorch(-variant)?-version.zip, for example
// libtorch-cxx11-abi-shared-with-deps-2.9.0+spyre.zip.
type LibtorchFilename struct {
	raw string
	// Variant is everything between the project and the version, such as
	// "win-shared-with-deps-debug"; empty when there is nothing.
	Variant string
	// Version is the zero value for a moving "latest" archive.
	Version pep440.Version
	// Latest is true for libtorch-...-latest.zip.
	Latest bool
}

// String is the file name as it was parsed.
func (f LibtorchFilename) String() string { return f.raw }

var libtorchRE = regexp.MustCompile(`^libtorch(?:-([a-z][a-z0-9_]*(?:-[a-z][a-z0-9_]*)*))?-([^-]+)\.zip$`)

// ParseLibtorchFilename reads the name of a libtorch archive, the last part of
// its key. The error is a [*Rejection].
func ParseLibtorchFilename(name string) (LibtorchFilename, error) {
	if err := checkCharacters(name); err != nil {
		return LibtorchFilename{}, err
	}
	if !strings.HasSuffix(name, ".zip") || strings.HasSuffix(strings.ToLower(name), ".zip.zip") {
		return LibtorchFilename{}, reject(ReasonFilenameExtension, "%s does not end in exactly one .zip; upload the archive under the name that the build gave it", quote(name))
	}
	m := libtorchRE.FindStringSubmatch(name)
	if m == nil {
		return LibtorchFilename{}, reject(ReasonFilenameParts, "%s is not named like libtorch-shared-with-deps-2.9.0+label.zip: libtorch, the variant in lower-case words, the version", quote(name))
	}
	f := LibtorchFilename{raw: name, Variant: m[1], Latest: m[2] == "latest"}
	if f.Latest {
		return f, nil
	}
	var err error
	if f.Version, err = pep440.Parse(m[2]); err != nil {
		return LibtorchFilename{}, reject(ReasonFilenameVersion, "%s: %v", quote(name), err)
	}
	return f, nil
}

// JudgeArchive decides whether a libtorch archive may be listed: by its name,
// its size and the archive's directory, with the same bounded reads as [Judge].
// It has no metadata to agree with. Errors are those of Judge.
func JudgeArchive(ctx context.Context, file File, rules Rules) (LibtorchFilename, error) {
	name, err := CheckArchive(file.Name, file.Size, rules)
	if err != nil {
		return LibtorchFilename{}, err
	}
	src := &source{file: file}
	dir, err := openDirectory(ctx, src)
	if err == nil {
		err = checkEntries(dir.entries, file.Size)
	}
	if err == nil {
		err = checkLayout(ctx, src, dir)
	}
	if err != nil {
		return LibtorchFilename{}, err
	}
	return name, nil
}
