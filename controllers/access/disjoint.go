package access

import (
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// WritePatterns are the resources of all Allow statements that a lane's document
// has while the lane is active, whatever spec.access says. A lane that would be
// refused has none: its documents are never applied.
func WritePatterns(lane *v1alpha1.PlatformLane, s Settings) []string {
	s = s.withDefaults()
	if len(checkIdentity(lane, s)) > 0 || len(checkScope(lane.Spec)) > 0 {
		return nil
	}
	var patterns []string
	for _, channel := range channelsOf(lane.Spec) {
		patterns = append(patterns, writePatterns(lane.Spec, channel, s)...)
	}
	return patterns
}

// Overlapping is a key that two lanes may both write, shown by the two patterns
// that share it.
type Overlapping struct {
	// Other is the other lane.
	Other *v1alpha1.PlatformLane
	// Mine and Theirs are the patterns of the lane and of the other one.
	Mine, Theirs string
}

// Overlap looks for a key that a lane and one of the others may both write, and
// tells of the first it finds. others must not hold the lane itself.
//
// Render keeps lanes of different platforms apart by their folders. Overlap
// proves it from the patterns alone, so that a mistake in the one is caught by
// the other.
func Overlap(lane *v1alpha1.PlatformLane, others []*v1alpha1.PlatformLane, s Settings) (Overlapping, bool) {
	mine, folders := WritePatterns(lane, s), foldersOf(lane)
	for _, other := range others {
		if !anyCompatible(folders, foldersOf(other)) {
			continue
		}
		for _, b := range WritePatterns(other, s) {
			for _, a := range mine {
				if PatternsOverlap(a, b) {
					return Overlapping{Other: other, Mine: a, Theirs: b}, true
				}
			}
		}
	}
	return Overlapping{}, false
}

// foldersOf are the folders that hold all that a lane may write: a cheap look
// before the patterns are compared, for a cluster may have a thousand lanes.
func foldersOf(lane *v1alpha1.PlatformLane) []string {
	if !platformRE.MatchString(lane.Spec.Platform) {
		return nil // It has no patterns either.
	}
	folders := make([]string, 0, 2*len(lane.Spec.Channels))
	for _, c := range lane.Spec.Channels {
		folders = append(folders, layout.WheelPrefix(lane.Spec.Platform, c.Name), layout.LibtorchPrefix(lane.Spec.Platform, c.Name))
	}
	return folders
}

func anyCompatible(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if compatible(x, y) {
				return true
			}
		}
	}
	return false
}

// compatible says whether some text can begin with both.
func compatible(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// head is what a pattern begins with before its first wildcard.
func head(pattern string) string {
	if i := strings.IndexAny(pattern, "*?"); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

// PatternsOverlap says whether two resource patterns of IAM have a resource in
// common. A * stands for any characters, a slash included, and none; a ? for
// exactly one. It is exact, and takes time in proportion to the product of their
// lengths at worst.
func PatternsOverlap(a, b string) bool {
	if !compatible(head(a), head(b)) {
		return false
	}
	// meet[j] says whether a[i:] and b[j:] have a text in common; filled from the
	// ends of both. A * may stand for nothing, or for one more character of
	// whatever the other pattern stands for.
	meet := make([]bool, len(b)+1)
	for i := len(a); i >= 0; i-- {
		diagonal := false // what meet[j+1] was for a[i+1:]
		for j := len(b); j >= 0; j-- {
			below := meet[j]
			switch {
			case i == len(a) && j == len(b):
				meet[j] = true
			case i < len(a) && a[i] == '*':
				meet[j] = below || j < len(b) && meet[j+1]
			case j < len(b) && b[j] == '*':
				meet[j] = meet[j+1] || i < len(a) && below
			default:
				meet[j] = i < len(a) && j < len(b) && diagonal && (a[i] == b[j] || a[i] == '?' || b[j] == '?')
			}
			diagonal = below
		}
	}
	return meet[0]
}
