package claim

import "slices"

// ownGlobs spells ownPattern and projectPattern as IAM can compare them.
var ownGlobs = []string{"cu", "cu0*", "cu1*", "cu2*", "cu3*", "cu4*", "cu5*", "cu6*", "cu7*", "cu8*", "cu9*", "rocm*", "torch*"}

// OwnPatterns are the names of folders that PyTorch's own builds have, or may come
// to have; a * stands for anything. The channels nightly and test are none of
// them: their folders hold lanes.
func OwnPatterns() []string {
	return slices.DeleteFunc(slices.Concat(ownNames, ownGlobs), func(name string) bool { return name == "nightly" || name == "test" })
}

// ReservedPatterns are the names that no lane can have, as [Reserved] does, in the
// form that IAM compares: a * stands for anything.
func ReservedPatterns() []string { return append(ReservedNames(), ownGlobs...) }
