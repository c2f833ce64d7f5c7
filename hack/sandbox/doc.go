// Package sandbox runs the operator's surroundings on this machine, without an
// account, a container or root: etcd and kube-apiserver, the real ACK
// iam-controller, versitygw as S3, and the edge (hack/sandbox/edge), which plays
// IAM, STS, GitHub's token issuer, the CDN, CloudFront and SQS.
//
//	stack, err := sandbox.Start(ctx, sandbox.Options{Dir: t.TempDir(), Out: os.Stderr})
//	defer stack.Stop()
//
// Everything listens on 127.0.0.1 and keeps its data below one folder; starting
// again on the same folder goes on where it stopped. It may import the standard
// library, client-go and controller-runtime's envtest; no AWS client: the edge
// sets the account up.
package sandbox
