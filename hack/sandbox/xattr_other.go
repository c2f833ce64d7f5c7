//go:build unix && !linux

package sandbox

// extendedAttributes is not asked on these systems: metadata goes to files.
func extendedAttributes(string) bool { return false }
