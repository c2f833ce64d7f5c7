package claim

import (
	"path"
	"slices"
	"testing"
)

// The patterns and the rules must mean the same names.
func TestPatternsMeanWhatReservedSays(t *testing.T) {
	names := slices.Concat(ownNames, rootProjects)
	names = append(names, "cu", "cud", "cuda", "cu1", "cu118", "cu9x", "rocm", "rocm6", "roc", "rocx", "torch", "torchvision", "tor", "xtorch",
		"spyre", "rbln", "cpux", "xpus", "nightlyx", "tests", "xcu1", "numpyx", "cube", "c0")
	for _, digit := range "0123456789" {
		names = append(names, "cu"+string(digit), "cu"+string(digit)+"29")
	}
	matches := func(patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			ok, err := path.Match(p, name)
			return err == nil && ok
		})
	}
	free := 0
	for _, name := range names {
		_, reserved := Reserved(name)
		if matches(ReservedPatterns(), name) != reserved {
			t.Errorf("%s: reserved %t, and the patterns differ", name, reserved)
		}
		if !reserved {
			free++
		}
		if matches(OwnPatterns(), name) && !reserved {
			t.Errorf("%s is a folder of PyTorch's own and not reserved", name)
		}
	}
	if free < 8 {
		t.Errorf("only %d of the names are free", free)
	}
	for _, channel := range []string{"nightly", "test"} {
		if matches(OwnPatterns(), channel) {
			t.Errorf("the operator could not write below whl/%s/, where lanes are", channel)
		}
	}
}
