package wheel

import (
	"slices"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// Rules are what a lane may publish.
type Rules struct {
	// Platform is the lane's platform: the first label of every local version.
	Platform string
	// Packages are the distributions that the lane may publish, in any
	// spelling; LibtorchPackage stands for libtorch archives.
	Packages []string
	// MaxBytes is the largest file, in bytes; zero sets no limit.
	MaxBytes int64
}

// CheckListing judges a wheel by what a listing tells: its file name (the last
// part of the key) and its size in bytes. The error is a [*Rejection].
func CheckListing(name string, size int64, rules Rules) (Filename, error) {
	f, err := ParseFilename(name)
	if err != nil {
		return Filename{}, err
	}
	if !rules.allows(f.Project) {
		return Filename{}, rules.notAllowed(name, f.Project)
	}
	if err := rules.checkVersion(name, f.Version); err != nil {
		return Filename{}, err
	}
	if normal := f.normalized(); normal != name {
		return Filename{}, reject(ReasonFilenameNotNormalized, "%s is not in normal form; build it again with a current tool, or rename it and its .dist-info directory to match %s", quote(name), quote(normal))
	}
	if err := rules.checkSize(name, size); err != nil {
		return Filename{}, err
	}
	return f, nil
}

// CheckArchive judges a libtorch archive by its file name and its size in
// bytes. The error is a [*Rejection].
func CheckArchive(name string, size int64, rules Rules) (LibtorchFilename, error) {
	f, err := ParseLibtorchFilename(name)
	if err != nil {
		return LibtorchFilename{}, err
	}
	if !rules.allows(LibtorchPackage) {
		return LibtorchFilename{}, rules.notAllowed(name, LibtorchPackage)
	}
	if f.Latest {
		return LibtorchFilename{}, reject(ReasonFilenameVersion, "%s has no version: a published file never changes, so a moving name cannot be published; name the archive after its version", quote(name))
	}
	if err := rules.checkVersion(name, f.Version); err != nil {
		return LibtorchFilename{}, err
	}
	if !strings.HasSuffix(name, "-"+f.Version.String()+".zip") {
		return LibtorchFilename{}, reject(ReasonFilenameNotNormalized, "%s spells its version in another way than %s; rename it", quote(name), quote(f.Version.String()))
	}
	if err := rules.checkSize(name, size); err != nil {
		return LibtorchFilename{}, err
	}
	return f, nil
}

// normalized is the file's name with its version and tags in normal form.
// Installers accept other spellings, but immutability is enforced by name: two
// spellings would be two chances to publish one version. The project part stays
// as it is: real projects use capitals (TorchCodec), and the lane's permission
// document decides which one spelling can be uploaded.
func (f Filename) normalized() string {
	project, _, _ := strings.Cut(f.raw, "-")
	parts := []string{project, f.Version.String()}
	if f.Build != "" {
		parts = append(parts, f.Build)
	}
	parts = append(parts, strings.Join(f.Pythons, "."), strings.Join(f.ABIs, "."), strings.Join(f.Platforms, "."))
	return strings.Join(parts, "-") + ".whl"
}

func (r Rules) allows(project string) bool {
	return slices.ContainsFunc(r.Packages, func(allowed string) bool {
		name, err := pep440.NormalizeProject(allowed)
		return err == nil && name == project
	})
}

func (r Rules) notAllowed(name, project string) error {
	return reject(ReasonPackageNotAllowed, "%s: the lane does not publish %s but %s; add it to spec.packages of the lane, or remove the file", quote(name), quote(project), quote(strings.Join(r.Packages, ", ")))
}

// checkVersion demands that the local version begins with the platform as a
// whole label: spyre and spyre.1, but not spyrex.
func (r Rules) checkVersion(name string, v pep440.Version) error {
	if labels := v.LocalLabels(); len(labels) == 0 || labels[0] != r.Platform {
		return reject(ReasonLocalVersion, "%s: the local version must be +%s, or begin with +%s., so that the file cannot be taken for another platform's; build it as version %s", quote(name), r.Platform, r.Platform, quote(v.Public()+"+"+r.Platform))
	}
	return nil
}

func (r Rules) checkSize(name string, size int64) error {
	if r.MaxBytes > 0 && size > r.MaxBytes {
		return reject(ReasonFileTooLarge, "%s has %d bytes, the limit is %d; publish a smaller file, or ask the operator of the index for a higher limit", quote(name), size, r.MaxBytes)
	}
	return nil
}
