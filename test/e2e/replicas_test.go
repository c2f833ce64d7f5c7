package e2e

import (
	"io"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

var _ = Describe("Two replicas", func() {
	It("the second takes over when the first is killed, and says what it does in metrics", func(ctx SpecContext) {
		w := open(sandbox.OperatorOptions{})
		metrics := func(url string) string {
			GinkgoHelper()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			Expect(err).NotTo(HaveOccurred())
			res, err := http.DefaultClient.Do(req)
			Expect(err).NotTo(HaveOccurred())
			defer func() { _ = res.Body.Close() }()
			body, err := io.ReadAll(res.Body)
			Expect(err).NotTo(HaveOccurred())
			Expect(res.StatusCode).To(Equal(http.StatusOK))
			return string(body)
		}
		leads := `leader_election_master_status{name="platform-lane-operator.distribution.pytorch.org"} 1`
		Eventually(func() string { return metrics(w.Operator.Metrics) }).WithTimeout(30 * time.Second).Should(ContainSubstring(leads))
		second, err := w.Stack.StartOperator(ctx, w.Manager, sandbox.OperatorOptions{Name: "operator-2"})
		Expect(err).NotTo(HaveOccurred())
		const requests = `lane_store_requests_total{operation="ListObjectsV2"`

		By("the first working alone")
		tell(ctx, w.Chapters()[0])
		Expect(metrics(w.Operator.Metrics)).To(ContainSubstring(requests))
		Expect(metrics(second.Metrics)).NotTo(ContainSubstring(requests), "the second replica works although it does not lead")

		By("the first being killed")
		Expect(w.Operator.Crash()).To(Succeed())
		tell(ctx, w.Chapters()[1])
		tell(ctx, w.Chapters()[3])
		Expect(metrics(second.Metrics)).To(ContainSubstring(requests))
	})
})
