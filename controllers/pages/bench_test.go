package pages_test

import (
	"fmt"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// BenchmarkProject renders both pages of a project: 100,000 files take well
// under a second when a version has many files (different=false) and about a
// second when every file is a version of its own.
func BenchmarkProject(b *testing.B) {
	for _, size := range []int{1000, 100_000} {
		for _, different := range []bool{false, true} {
			b.Run(fmt.Sprintf("files=%d/different=%v", size, different), func(b *testing.B) {
				c := catalog.New("spyre", v1alpha1.ChannelNightly, "torch")
				for i := range size {
					version := fmt.Sprintf("2.%d.0.dev2026%04d+spyre", i%7, i/25)
					if different {
						version = fmt.Sprintf("2.%d.0.dev%08d+spyre", i%7, i)
					}
					c.Files = append(c.Files, listed(fmt.Sprintf("torch-%s-cp3%02d-cp312-manylinux_2_28_x86_64.whl", version, i%25), version))
				}
				b.ReportAllocs()
				for b.Loop() {
					pages.Project(c, base)
				}
			})
		}
	}
}
