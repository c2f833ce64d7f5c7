package identity

import (
	"regexp"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// verdict is what the table says about a request.
type verdict string

const (
	allowed verdict = "allowed"
	refused verdict = "refused"
	// ownAffair is a name in the lane's own folder that IAM's patterns cannot tell
	// from a proper one; the index engine judges it. The evaluators must agree
	// with each other all the same.
	ownAffair verdict = "the lane's own affair"
	// harmless opens nothing. AWS asks for a permission that no lane has, and the
	// local stack does not, so that they differ here.
	harmless verdict = "harmless"
)

// table says what a lane's credentials may write, as the design puts it and
// without a look at the code that renders documents:
//
//   - only below the lane's own prefixes, of the channels it has;
//   - only files of its packages: wheels that carry the platform as local version
//     label and their attestations, libtorch archives likewise;
//   - never over something that is there, never with an ACL that opens the file;
//   - nothing else: no deletion, no tags, no locks, no bucket;
//   - a suspended lane nothing at all.
type table struct {
	spec   v1alpha1.PlatformLaneSpec
	bucket string
}

// own says whether the lane may create an object of that name.
func (t table) own(bucket, key string) verdict {
	if bucket != t.bucket || t.spec.Access == v1alpha1.AccessSuspended {
		return refused
	}
	for _, channel := range t.spec.Channels {
		folder := string(channel.Name) + "/" + t.spec.Platform + "/"
		if channel.Name == v1alpha1.ChannelRelease {
			folder = t.spec.Platform + "/"
		}
		if name, ok := strings.CutPrefix(key, "whl/"+folder); ok {
			return t.wheel(name)
		}
		if name, ok := strings.CutPrefix(key, "libtorch/"+folder); ok {
			return t.archive(name)
		}
	}
	return refused
}

// wheelTail is what follows a wheel's label: more of the label, perhaps a build
// number, and the three tags (PEP 427).
var wheelTail = regexp.MustCompile(`^([.][a-z0-9.]+)?(-[0-9][A-Za-z0-9_]*)?-[A-Za-z0-9_.]+-[A-Za-z0-9_.]+-[A-Za-z0-9_.]+$`)

// publicVersion is a version without its label (PEP 440, as far as the generator
// goes).
var publicVersion = regexp.MustCompile(`^[0-9]+([.][0-9]+)*(rc[0-9]+)?([.]dev[0-9]+)?$`)

// wheel judges a name below a folder of wheels.
func (t table) wheel(name string) verdict {
	stem, attestation := strings.CutSuffix(name, ".provenance")
	stem, ok := strings.CutSuffix(stem, ".whl")
	before, after, labelled := strings.Cut(stem, "+"+t.spec.Platform)
	packages := slices.DeleteFunc(slices.Clone(t.spec.Packages), func(p string) bool { return p == v1alpha1.LibtorchPackage })
	if !ok || !labelled || len(packages) == 0 {
		return refused
	}
	named := false
	for _, p := range packages {
		version, ok := strings.CutPrefix(before, strings.ReplaceAll(p, "-", "_")+"-")
		named = named || ok
		if ok && publicVersion.MatchString(version) && wheelTail.MatchString(after) {
			return allowed
		}
	}
	if !named && !attestation {
		return refused
	}
	return ownAffair
}

// archive judges a name below a folder of archives:
// libtorch-<what>-<version>+<platform>.zip, and its attestation.
func (t table) archive(name string) verdict {
	stem, ok := strings.CutSuffix(strings.TrimSuffix(name, ".provenance"), ".zip")
	before, after, labelled := strings.Cut(stem, "+"+t.spec.Platform)
	what, ofLibtorch := strings.CutPrefix(before, "libtorch-")
	if !ok || !labelled || !ofLibtorch || !slices.Contains(t.spec.Packages, v1alpha1.LibtorchPackage) {
		return refused
	}
	if i := strings.LastIndex(what, "-"); i > 0 && publicVersion.MatchString(what[i+1:]) && (after == "" || after[0] == '.') && !strings.Contains(after, "/") {
		return allowed
	}
	return ownAffair
}

// readable says whether the public may read an object of the bucket, and a lane
// with it.
func (t table) readable(key string) verdict {
	if t.spec.Access == v1alpha1.AccessSuspended {
		return refused
	}
	for _, public := range []string{"whl/", "libtorch/", "platforms/"} {
		if strings.HasPrefix(key, public) {
			return allowed
		}
	}
	return refused
}

// both is the stricter of two verdicts.
func both(a, b verdict) verdict {
	for _, v := range []verdict{refused, harmless, ownAffair} {
		if a == v || b == v {
			return v
		}
	}
	return allowed
}
