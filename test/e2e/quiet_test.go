package e2e

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
	"github.com/pytorch/platform-lane-operator/test/story"
)

// settle is how long the operator gets to finish, and watched how long it is
// watched: many polls of every lane, at one a second.
const (
	settle  = 4 * time.Second
	watched = 6 * time.Second
)

var _ = Describe("A second reconcile of everything", func() {
	It("writes nothing to Kubernetes and nothing to AWS", func(ctx SpecContext) {
		everySecond := func(c *operatorconfig.Config) { c.Limits.PollSeconds = 1 }
		w := open(sandbox.OperatorOptions{Alone: true, Edit: everySecond})
		for _, chapter := range w.Chapters()[:5] { // Up to two Yanks in force.
			tell(ctx, chapter)
		}
		_, err := w.Kubectl(ctx, "apply", "-f", w.Root+"/config/samples/distribution_v1alpha1_yank_flag.yaml")
		Expect(err).NotTo(HaveOccurred())
		time.Sleep(settle)

		By("polling every lane once a second")
		expectQuiet(ctx, w, func() {})
		By("starting again with nothing in memory")
		expectQuiet(ctx, w, func() { Expect(w.Operator.Kill(ctx)).To(Succeed()) })
	}, SpecTimeout(5*time.Minute))
})

// expectQuiet watches a while after something was done, and demands that nothing
// was written and something was read.
func expectQuiet(ctx context.Context, w *story.World, do func()) {
	GinkgoHelper()
	before := versions(ctx, w)
	Expect(before).NotTo(BeEmpty())
	Expect(w.Stack.ResetCalls(ctx)).To(Succeed())
	do()
	time.Sleep(watched)
	calls, err := w.Stack.Calls(ctx)
	Expect(err).NotTo(HaveOccurred())
	AddReportEntry("calls", calls)
	Expect(calls["s3"]).NotTo(BeEmpty(), "the operator was not even looking")
	for service, operations := range calls {
		for operation, n := range operations {
			Expect(writes(service, operation)).To(BeFalse(), "%s %s was called %d times: %v", service, operation, n, calls)
		}
	}
	Expect(versions(ctx, w)).To(Equal(before))
}

// writes tells whether an AWS operation changes anything. Receiving from the
// queue hides messages for a moment, which is reading.
func writes(service, operation string) bool {
	if service == "cdn" || service == "mirror" {
		return false // Their clients only read.
	}
	for _, verb := range []string{"Get", "List", "Head", "Receive", "GetQueue"} {
		if strings.HasPrefix(operation, verb) {
			return false
		}
	}
	return true
}

// versions are the resource versions of all that the operator owns.
func versions(ctx context.Context, w *story.World) map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for _, kind := range []schema.GroupVersionKind{
		{Group: "distribution.pytorch.org", Version: "v1alpha1", Kind: "PlatformLaneList"},
		{Group: "distribution.pytorch.org", Version: "v1alpha1", Kind: "YankList"},
		{Group: "iam.services.k8s.aws", Version: "v1alpha1", Kind: "RoleList"},
		{Group: "events.k8s.io", Version: "v1", Kind: "EventList"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		Expect(w.Client.List(ctx, list)).To(Succeed())
		for _, item := range list.Items {
			out[item.GetKind()+" "+item.GetNamespace()+"/"+item.GetName()] = item.GetResourceVersion()
		}
	}
	return out
}
