// Package apiserver gives a test a real Kubernetes API server with etcd, and
// nothing else: no controller manager, no ACK, no S3. CustomResourceDefinitions,
// CEL rules, server-side apply and admission behave as they do in a cluster.
//
// It is for tests only and imports Kubernetes' envtest and the sandbox's build.
package apiserver
