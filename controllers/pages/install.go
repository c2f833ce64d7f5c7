package pages

import (
	"slices"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// PipCommand is what a user types to install a lane's first package from the
// channel whose simple index is at indexURL. It is empty for a lane that
// publishes archives alone.
func PipCommand(packages []string, channel v1alpha1.ChannelName, indexURL string) string {
	name, ok := firstPackage(packages)
	if !ok {
		return ""
	}
	pre := ""
	if channel != v1alpha1.ChannelRelease {
		pre = "--pre "
	}
	return "pip install " + pre + name + " --extra-index-url " + indexURL
}

// UVCommand is [PipCommand] for uv. uv takes a package from the first index that
// has it, and asks the one that is named here before PyPI.
func UVCommand(packages []string, channel v1alpha1.ChannelName, indexURL string) string {
	name, ok := firstPackage(packages)
	if !ok {
		return ""
	}
	pre := ""
	if channel != v1alpha1.ChannelRelease {
		pre = "--prerelease allow "
	}
	return "uv pip install " + pre + name + " --index " + indexURL
}

// firstPackage is the first entry that installers can install.
func firstPackage(packages []string) (name string, ok bool) {
	i := slices.IndexFunc(packages, func(p string) bool { return p != v1alpha1.LibtorchPackage })
	if i < 0 {
		return "", false
	}
	return packages[i], true
}
