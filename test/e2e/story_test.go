package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
	"github.com/pytorch/platform-lane-operator/test/story"
)

// The story's chapters build on each other, and so do their steps. After each the
// published index is checked against the specifications.
var _ = Describe("The story", Ordered, func() {
	var w *story.World
	BeforeAll(func() { w = open(sandbox.OperatorOptions{}) })
	lint := linter{prefixes: map[string]string{}}

	// The tree is built before the world is: only the titles are needed then.
	for i, chapter := range (&story.World{}).Chapters() {
		Context(chapter.Title, func() {
			for j, step := range chapter.Steps {
				It(step.Says, func(ctx SpecContext) {
					shown, err := w.Chapters()[i].Steps[j].Run(ctx)
					AddReportEntry(step.Says, shown)
					Expect(err).NotTo(HaveOccurred())
				})
			}
			It("leaves an index without errors", func(ctx SpecContext) { lint.check(ctx, w) })
		})
	}
})
