package sandbox

import (
	"os"
	"syscall"
)

// extendedAttributes reports whether the folder's file system keeps user
// attributes, where versitygw likes to put an object's metadata.
func extendedAttributes(dir string) bool {
	f, err := os.CreateTemp(dir, ".xattr-*")
	if err != nil {
		return false
	}
	defer func() { _ = os.Remove(f.Name()); _ = f.Close() }()
	return syscall.Setxattr(f.Name(), "user.sandbox", []byte("1"), 0) == nil
}
