package e2e

import (
	"context"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// A step during which the operator dies is killed at a random moment: early
// enough to hit the work of most steps, late enough to hit their end.
const killWithin = 700 * time.Millisecond

var _ = Describe("The operator is killed in every step of the story", func() {
	It("ends in the same place", func(ctx SpecContext) {
		w := open(sandbox.OperatorOptions{Alone: true})
		random := rand.New(rand.NewPCG(uint64(GinkgoRandomSeed()), 0))
		kills := 0
		for _, chapter := range w.Chapters() {
			for _, step := range chapter.Steps {
				wait := time.Duration(random.Int64N(int64(killWithin)))
				By(step.Says + ", killed after " + wait.String())
				killed := make(chan error, 1)
				go func() { killed <- killAfter(ctx, wait, w.Operator) }()
				_, err := step.Run(ctx)
				Expect(<-killed).To(Succeed())
				Expect(err).NotTo(HaveOccurred(), step.Says)
				kills++
			}
		}
		AddReportEntry("kills", kills)
	}, SpecTimeout(10*time.Minute))
})

func killAfter(ctx context.Context, wait time.Duration, operator *sandbox.OperatorProcess) error {
	time.Sleep(wait)
	return operator.Kill(ctx)
}
