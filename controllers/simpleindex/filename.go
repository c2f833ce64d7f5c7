package simpleindex

import (
	"errors"
	"net/url"
	"path"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// FileKind is what a file is by its name.
type FileKind string

// The kinds of files.
const (
	Wheel FileKind = "wheel"
	Sdist FileKind = "source archive"
	// Archive is a libtorch archive: listed, but not installable.
	Archive FileKind = "archive"
	// Other is everything that installers skip: eggs, installers, packages of
	// other systems.
	Other FileKind = "other"
)

// FileName is what a file's name says.
type FileName struct {
	Kind FileKind
	// Project is the normalised name.
	Project string
	Version pep440.Version
	// Normal is the name in normal form, as current tools write it.
	Normal string
}

// sdistSuffixes are what source archives end in: PEP 625 allows the first one
// alone, PEP 527 the first two; pip reads all.
var sdistSuffixes = []string{".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.Z", ".tar"}

// ParseFileName reads a file's name (PEP 427, 440, 625). project is that of the
// page: where a source archive's name could be split in several ways, the one
// that names this project is meant. Of a file of kind [Other] nothing else is
// said.
func ParseFileName(name, project string) (FileName, error) {
	if strings.HasSuffix(name, ".whl") {
		f, err := wheel.ParseFilename(name)
		if err != nil {
			var rejected *wheel.Rejection
			if errors.As(err, &rejected) {
				return FileName{}, errors.New(rejected.Message)
			}
			return FileName{}, err
		}
		return FileName{Kind: Wheel, Project: f.Project, Version: f.Version, Normal: normalWheel(name, f)}, nil
	}
	if project == wheel.LibtorchPackage {
		if f, err := wheel.ParseLibtorchFilename(name); err == nil {
			return FileName{Kind: Archive, Project: wheel.LibtorchPackage, Version: f.Version, Normal: name}, nil
		}
	}
	for _, suffix := range sdistSuffixes {
		if stem, ok := strings.CutSuffix(name, suffix); ok {
			return parseSdist(stem, suffix, project)
		}
	}
	if strings.ContainsAny(name, `/\`) {
		return FileName{}, errors.New(Quote(name) + " leads into another folder; name the file alone")
	}
	return FileName{Kind: Other}, nil
}

// normalWheel has the version in normal form. The project stays as it is: real
// projects use capitals, and installers compare normalised names.
func normalWheel(name string, f wheel.Filename) string {
	parts := strings.SplitN(name, "-", 3)
	parts[1] = f.Version.String()
	return strings.Join(parts, "-")
}

// parseSdist splits the name of a source archive into project and version. Old
// names have dashes in both.
func parseSdist(stem, suffix, project string) (FileName, error) {
	var found FileName
	for i := len(stem) - 1; i > 0; i-- {
		if stem[i] != '-' {
			continue
		}
		name, nameErr := pep440.NormalizeProject(stem[:i])
		version, versionErr := pep440.Parse(stem[i+1:])
		if nameErr != nil || versionErr != nil {
			continue
		}
		if found.Kind == "" || name == project {
			normal := strings.ReplaceAll(name, "-", "_") + "-" + version.String() + suffix
			found = FileName{Kind: Sdist, Project: name, Version: version, Normal: normal}
		}
		if name == project {
			break
		}
	}
	if found.Kind == "" {
		return FileName{}, errors.New(Quote(stem+suffix) + " is not named project-version" + suffix + ", as a source archive is (PEP 625); build it again with a current tool")
	}
	return found, nil
}

// lastPart is the decoded last part of an address without its fragment; empty for
// a folder.
func lastPart(address string) string {
	address, _, _ = strings.Cut(address, "?")
	name := path.Base(address)
	if strings.HasSuffix(address, "/") || name == "." || name == ".." {
		return ""
	}
	if plain, err := url.PathUnescape(name); err == nil {
		return plain
	}
	return name
}

func sha256Of(hashes map[string]string) string { return strings.ToLower(hashes["sha256"]) }
