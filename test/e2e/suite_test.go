// Package e2e runs the story of test/story as tests, on the real local stack,
// and then what only a test would do to it: kill the operator at every moment,
// count calls, break the configuration and the stores.
package e2e

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
	"github.com/pytorch/platform-lane-operator/test/story"
)

func TestEndToEnd(t *testing.T) {
	RegisterFailHandler(Fail)
	ctrllog.SetLogger(GinkgoLogr)
	RunSpecs(t, "the main job on the local stack")
}

// open starts a world of its own for a container of specs.
func open(o sandbox.OperatorOptions) *story.World {
	GinkgoHelper()
	w, err := story.Open(context.Background(), story.Options{Dir: GinkgoT().TempDir(), Out: GinkgoWriter, Operator: o})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(w.Close)
	return w
}

// tell runs all steps of a chapter.
func tell(ctx context.Context, chapter story.Chapter) {
	GinkgoHelper()
	for _, step := range chapter.Steps {
		By(step.Says)
		_, err := step.Run(ctx)
		Expect(err).NotTo(HaveOccurred(), step.Says)
	}
}
