package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/operatorconfig"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
	"github.com/pytorch/platform-lane-operator/test/story"
)

// notices bounds how long the operator may take to notice trouble, or its end.
const notices = 45 * time.Second

var _ = Describe("Trouble", Ordered, func() {
	var w *story.World
	BeforeAll(func() { w = open(sandbox.OperatorOptions{Alone: true}) })

	says := func(kind, status, reason, text string) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			lane := &v1alpha1.PlatformLane{}
			g.Expect(w.Client.Get(context.Background(), client.ObjectKey{Namespace: "vendor-ibm", Name: "spyre"}, lane)).To(Succeed())
			got := meta.FindStatusCondition(lane.Status.Conditions, kind)
			g.Expect(got).NotTo(BeNil())
			g.Expect(string(got.Status)+" "+got.Reason+" "+got.Message).To(And(HavePrefix(status+" "+reason), ContainSubstring(text)), "%+v", lane.Status.Conditions)
		}).WithTimeout(notices).WithPolling(200 * time.Millisecond).Should(Succeed())
	}
	access := func(ctx SpecContext, value v1alpha1.Access) {
		GinkgoHelper()
		_, err := w.Kubectl(ctx, "patch", "lane", "spyre", "-n", "vendor-ibm", "--type=merge", "-p", `{"spec":{"access":"`+string(value)+`"}}`)
		Expect(err).NotTo(HaveOccurred())
	}

	It("a wrong configuration keeps the operator from starting, and names file and field", func(ctx SpecContext) {
		path := filepath.Join(GinkgoT().TempDir(), "operator.yaml")
		good, err := w.Stack.OperatorConfig(nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(path, append(good, "bukket: x\n"...), 0o600)).To(Succeed())
		out, err := exec.CommandContext(ctx, filepath.Join(w.Root, "bin", "manager"), "--config", path, "--kubeconfig", w.Stack.Kubeconfig).CombinedOutput()
		Expect(err).To(HaveOccurred())
		Expect(string(out)).To(And(ContainSubstring(path), ContainSubstring(`unknown field "bukket"`)))
	})

	It("a bucket that does not exist is named; credentials are there all the same", func(ctx SpecContext) {
		Expect(w.Operator.Reconfigure(ctx, func(c *operatorconfig.Config) { c.Mirrors[0].Bucket = "no-such-bucket" })).To(Succeed())
		tell(ctx, story.Chapter{Steps: w.Chapters()[0].Steps[:1]})
		says(v1alpha1.StorageReadyCondition, "False", v1alpha1.ReasonBucketMissing, "no-such-bucket")
		says(v1alpha1.CredentialsReadyCondition, "True", v1alpha1.ReasonRoleSynced, "arn:aws:iam::")
		says(v1alpha1.ReadyCondition, "False", "", "no-such-bucket")
	})

	It("a bucket without versioning is named", func(ctx SpecContext) {
		Expect(w.Operator.Reconfigure(ctx, func(c *operatorconfig.Config) {
			c.Storage.Bucket, c.Mirrors = w.Stack.UnversionedBucket, nil
		})).To(Succeed())
		says(v1alpha1.StorageReadyCondition, "False", v1alpha1.ReasonBucketUnversioned, w.Stack.UnversionedBucket)
	})

	It("with the right configuration again, the lane is Ready", func(ctx SpecContext) {
		Expect(w.Operator.Reconfigure(ctx, nil)).To(Succeed())
		says(v1alpha1.ReadyCondition, "True", v1alpha1.ReasonReady, "")
	})

	It("S3 down is said, suspending the lane does not wait for it, and it heals by itself", func(ctx SpecContext) {
		Expect(w.Stack.Kill(sandbox.S3)).To(Succeed())
		Expect(w.Operator.Kill(ctx)).To(Succeed())
		says(v1alpha1.StorageReadyCondition, "False", v1alpha1.ReasonStorageUnavailable, w.Stack.Bucket)
		access(ctx, v1alpha1.AccessSuspended)
		says(v1alpha1.CredentialsReadyCondition, "True", v1alpha1.ReasonSuspended, "")
		access(ctx, v1alpha1.AccessActive)
		Expect(w.Stack.Restart(ctx, sandbox.S3)).To(Succeed())
		says(v1alpha1.ReadyCondition, "True", v1alpha1.ReasonReady, "")
	})

	It("ACK down is said, and heals by itself", func(ctx SpecContext) {
		Expect(w.Stack.Kill(sandbox.ACK)).To(Succeed())
		access(ctx, v1alpha1.AccessSuspended)
		says(v1alpha1.CredentialsReadyCondition, "Unknown", v1alpha1.ReasonRoleSyncing, "ACK controller")
		Expect(w.Stack.Restart(ctx, sandbox.ACK)).To(Succeed())
		says(v1alpha1.CredentialsReadyCondition, "True", v1alpha1.ReasonSuspended, "")
	})
})
