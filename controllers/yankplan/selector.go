package yankplan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// Selector is a compiled selector. It is immutable and safe for concurrent use.
type Selector struct {
	project  string                 // "" is any
	channels []v1alpha1.ChannelName // empty is any
	globs    []string               // empty is any
	hashes   map[string]struct{}    // empty is any
	versions *pep440.Specifiers     // nil is any
}

// maxGlob is the longest pattern, in bytes: no file name is longer.
const maxGlob = 255

var (
	globRE = regexp.MustCompile(`^[A-Za-z0-9._+!*?-]+$`)
	hashRE = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Compile checks a selector and makes it ready to match. An error names the
// field and says what to write; all that is wrong is reported at once.
func Compile(sel v1alpha1.YankSelector) (*Selector, error) {
	s := &Selector{project: sel.Package, channels: slices.Clone(sel.Channels), globs: slices.Clone(sel.Files)}
	errs := []error{checkScope(sel)}
	if sel.Package != "" {
		errs = append(errs, checkPackage(sel.Package))
	}
	if sel.Versions != "" {
		versions, err := pep440.ParseSpecifiers(sel.Versions)
		switch {
		case err != nil:
			err = fmt.Errorf("selector.versions: %w", err)
		case versions.String() == "":
			err = errors.New("selector.versions holds no specifier; write one like ==2.9.0+label, or leave it out to select all versions")
		}
		errs = append(errs, err)
		s.versions = &versions
	}
	for i, channel := range sel.Channels {
		if !slices.Contains(layout.Channels(), channel) {
			errs = append(errs, fmt.Errorf("selector.channels[%d]: there is no channel %.40q; use nightly, test or release", i, channel))
		}
	}
	for i, glob := range sel.Files {
		if len(glob) > maxGlob || !globRE.MatchString(glob) {
			errs = append(errs, fmt.Errorf("selector.files[%d]: %.80q is no pattern for file names; write a name of at most %d characters with * and ? as wildcards and without folders, for example torch-2.9.0+label-*.whl", i, glob, maxGlob))
		}
	}
	if len(sel.SHA256) > 0 {
		s.hashes = make(map[string]struct{}, len(sel.SHA256))
	}
	for i, hash := range sel.SHA256 {
		if !hashRE.MatchString(hash) {
			errs = append(errs, fmt.Errorf("selector.sha256[%d]: %.80q is not a SHA-256; write 64 lower-case hexadecimal digits, as sha256sum prints them", i, hash))
		}
		s.hashes[hash] = struct{}{}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func checkScope(sel v1alpha1.YankSelector) error {
	if sel.Package == "" && len(sel.SHA256) == 0 {
		return errors.New("selector: set package, sha256 or both; a selector without them could take back the whole lane")
	}
	return nil
}

func checkPackage(name string) error {
	normalized, err := pep440.NormalizeProject(name)
	if err != nil {
		return fmt.Errorf("selector.package: %w", err)
	}
	if normalized != name {
		return fmt.Errorf("selector.package: %.80q is not in normalised form (PEP 503); write %.80q", name, normalized)
	}
	return nil
}

// MayMatch tells cheaply whether a catalog is worth reading: false means that
// no file of the project in that channel can match.
func (s *Selector) MayMatch(project string, channel v1alpha1.ChannelName) bool {
	return (s.project == "" || s.project == project) &&
		(len(s.channels) == 0 || slices.Contains(s.channels, channel))
}

// Matches tells whether the selector takes a file of the project in that
// channel back. All that is set must hold; within a list one is enough. The
// file's state does not matter: what was rejected, overwritten or is gone may be
// taken back as well. A hash matches the bytes that lie there now and those that
// earlier Yanks recorded. A file whose version cannot be read matches no
// versions.
func (s *Selector) Matches(project string, channel v1alpha1.ChannelName, f *catalog.File) bool {
	return s.MayMatch(project, channel) && s.matchesHash(f) && s.matchesName(f.Name) && s.matchesVersion(f.Version)
}

func (s *Selector) matchesHash(f *catalog.File) bool {
	if len(s.hashes) == 0 {
		return true
	}
	if _, ok := s.hashes[f.SHA256]; ok {
		return true
	}
	return slices.ContainsFunc(f.Tombstones, func(t catalog.Tombstone) bool {
		_, ok := s.hashes[t.SHA256]
		return ok
	})
}

func (s *Selector) matchesName(name string) bool {
	return len(s.globs) == 0 || slices.ContainsFunc(s.globs, func(glob string) bool { return matchGlob(glob, name) })
}

func (s *Selector) matchesVersion(text string) bool {
	if s.versions == nil {
		return true
	}
	version, err := pep440.Parse(text)
	return err == nil && s.versions.Contains(version)
}
