package pep440

import (
	"fmt"
	"regexp"
	"strings"
)

// A Requirement names a project and the versions of it that are meant.
type Requirement struct {
	// Project is the normalised name ([NormalizeProject]).
	Project string
	// Specifiers hold for the versions meant; for every version if none given.
	Specifiers Specifiers
}

// projectRE is the valid name of the core metadata specification.
var projectRE = regexp.MustCompile(`^(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9])$`)

var separatorsRE = regexp.MustCompile(`[-_.]+`)

// NormalizeProject is a project's name as indexes spell it: lower case, every
// run of dashes, dots and underscores a single dash (PEP 503). An error says
// that the name is not valid: names are ASCII letters, digits and separators,
// and begin and end with a letter or digit.
func NormalizeProject(name string) (string, error) {
	if len(name) > MaxLength || !projectRE.MatchString(name) {
		return "", fmt.Errorf("%s is not a project name; use ASCII letters, digits, '.', '-' and '_', beginning and ending with a letter or digit", quote(name))
	}
	return strings.ToLower(separatorsRE.ReplaceAllString(name, "-")), nil
}

// ParseRequirement reads the part of a PEP 508 requirement that selects
// versions: "torch==2.9.0+spyre", "torch >=2.9,<2.10" or "torch (==2.9.*)".
// Extras, markers and URLs select no files and are refused.
func ParseRequirement(s string) (Requirement, error) {
	if len(s) > MaxLength {
		return Requirement{}, fmt.Errorf("requirement of %d bytes is longer than the limit of %d", len(s), MaxLength)
	}
	if i := strings.IndexAny(s, "[;@"); i >= 0 {
		return Requirement{}, fmt.Errorf("requirement %s: %q begins an extra, a marker or a URL, which select no files; write only the project and its versions, such as torch==2.9.0+label", quote(s), s[i])
	}
	text := strings.Trim(s, space)
	name, versions := text, ""
	if i := strings.IndexAny(text, "=!~<>("); i >= 0 {
		name, versions = strings.TrimRight(text[:i], space), text[i:]
	}
	if inner, found := strings.CutPrefix(versions, "("); found {
		if inner, found = strings.CutSuffix(inner, ")"); !found {
			return Requirement{}, fmt.Errorf("requirement %s: the parenthesis is not closed", quote(s))
		}
		versions = inner
	}
	project, err := NormalizeProject(name)
	if err != nil {
		return Requirement{}, fmt.Errorf("requirement %s: %w", quote(s), err)
	}
	specifiers, err := ParseSpecifiers(versions)
	if err != nil {
		return Requirement{}, fmt.Errorf("requirement %s: %w", quote(s), err)
	}
	return Requirement{Project: project, Specifiers: specifiers}, nil
}
