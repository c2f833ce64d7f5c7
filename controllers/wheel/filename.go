package wheel

import (
	"regexp"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

const (
	// MaxFilename is the longest file name that is accepted, in bytes: what
	// the file systems of those who install it can store.
	MaxFilename = 255
	// maxTags bounds the tags that a compressed set may stand for.
	maxTags = 256
)

// A Filename is a parsed wheel file name:
// project-version(-build)?-python-abi-platform.whl.
type Filename struct {
	raw string
	// Project is the normalised project name (PEP 503).
	Project string
	// Version includes the local version.
	Version pep440.Version
	// Build is the build tag as written; empty for most wheels.
	Build string
	// Pythons, ABIs and Platforms are the members of the three compressed tag
	// sets, in lower case: cp39.cp310-abi3-any has two, one and one.
	Pythons, ABIs, Platforms []string
}

// String is the file name as it was parsed.
func (f Filename) String() string { return f.raw }

// Tags expands the compressed tag sets: one "python-abi-platform" for each
// combination, at most 256.
func (f Filename) Tags() []string {
	var tags []string
	for _, python := range f.Pythons {
		for _, abi := range f.ABIs {
			for _, platform := range f.Platforms {
				tags = append(tags, python+"-"+abi+"-"+platform)
			}
		}
	}
	return tags
}

var (
	fileProjectRE = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._]*[A-Za-z0-9])?$`)
	buildRE       = regexp.MustCompile(`^[0-9][A-Za-z0-9_.]*$`)
	pythonTagRE   = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	tagRE         = regexp.MustCompile(`^[a-z0-9_]+$`)
)

// ParseFilename reads a wheel's file name, the last part of its key. The error
// is a [*Rejection]. Spellings that are valid but not normalised pass here;
// [CheckListing] refuses them.
func ParseFilename(name string) (Filename, error) {
	if err := checkCharacters(name); err != nil {
		return Filename{}, err
	}
	stem, found := strings.CutSuffix(name, ".whl")
	if !found || strings.HasSuffix(strings.ToLower(stem), ".whl") {
		return Filename{}, reject(ReasonFilenameExtension, "%s does not end in exactly one .whl; upload the wheel under the name that the build gave it", quote(name))
	}
	parts := strings.Split(stem, "-")
	if len(parts) != 5 && len(parts) != 6 {
		return Filename{}, reject(ReasonFilenameParts, "%s has %d parts between dashes; a wheel is named project-version-python-abi-platform.whl, with an optional build tag after the version, and writes a dash within a part as an underscore", quote(name), len(parts))
	}
	f := Filename{raw: name}
	if strings.Contains(parts[0], "__") || !fileProjectRE.MatchString(parts[0]) {
		return Filename{}, reject(ReasonFilenameProject, "%s does not begin with a project name; use ASCII letters, digits, dots and single underscores", quote(name))
	}
	var err error
	if f.Project, err = pep440.NormalizeProject(parts[0]); err != nil {
		return Filename{}, reject(ReasonFilenameProject, "%s: %v", quote(name), err)
	}
	if f.Version, err = pep440.Parse(parts[1]); err != nil {
		return Filename{}, reject(ReasonFilenameVersion, "%s: %v", quote(name), err)
	}
	if len(parts) == 6 {
		if f.Build = parts[2]; !buildRE.MatchString(f.Build) {
			return Filename{}, reject(ReasonFilenameBuild, "%s: the build tag %s does not begin with a digit; drop it, or write a number after the version", quote(name), quote(f.Build))
		}
	}
	if err := f.parseTags(parts[len(parts)-3:]); err != nil {
		return Filename{}, err
	}
	return f, nil
}

// parseTags splits the three compressed tag sets of PEP 425.
func (f *Filename) parseTags(sets []string) error {
	count := 1
	for i, set := range sets {
		members := strings.Split(strings.ToLower(set), ".")
		valid := tagRE
		if i == 0 {
			valid = pythonTagRE
		}
		for _, member := range members {
			if !valid.MatchString(member) {
				return reject(ReasonFilenameTags, "%s: %s is not a compatibility tag; build the wheel with a tool that names it, such as cp312-cp312-manylinux_2_28_x86_64", quote(f.raw), quote(set))
			}
		}
		count *= len(members)
		*[]*[]string{&f.Pythons, &f.ABIs, &f.Platforms}[i] = members
	}
	if count > maxTags {
		return reject(ReasonFilenameTags, "%s stands for %d compatibility tags, the limit is %d; build separate wheels", quote(f.raw), count, maxTags)
	}
	return nil
}

// checkCharacters refuses what can be in no published file name, with a hint
// for the usual mistakes.
func checkCharacters(name string) error {
	if len(name) > MaxFilename {
		return reject(ReasonFilenameTooLong, "%s has %d bytes, the limit is %d; shorten the version or the tags", quote(name), len(name), MaxFilename)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_.+!", r):
		case r == '%':
			return reject(ReasonFilenameCharacters, "%s is percent-encoded; upload it again under the plain name, with + and not %%2B in the key", quote(name))
		case r == ' ':
			return reject(ReasonFilenameCharacters, "%s holds a blank; a + in the key was probably decoded by the upload tool: upload it again under the plain name", quote(name))
		case r > 0x7e:
			return reject(ReasonFilenameCharacters, "%s holds characters that are not ASCII; rename the file", quote(name))
		default:
			return reject(ReasonFilenameCharacters, "%s holds %q; a file name has only ASCII letters, digits and - _ . + !", quote(name), r)
		}
	}
	return nil
}
