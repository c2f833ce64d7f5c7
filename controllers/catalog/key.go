package catalog

import (
	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// FileKey is the key of a file of this catalog: archives of libtorch lie below
// their own prefix, everything else in the channel's folder of wheels.
func (c *Catalog) FileKey(name string) string {
	if c.Project == v1alpha1.LibtorchPackage {
		return layout.LibtorchPrefix(c.Platform, c.Channel) + name
	}
	return layout.WheelPrefix(c.Platform, c.Channel) + name
}
