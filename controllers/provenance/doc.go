// Package provenance verifies the attestations that lie beside a file (PEP 740):
// that the signature, the certificate and the transparency log are right, that
// the statement speaks of exactly this file, and that whoever signed it is one of
// the lane's publishers.
//
// It verifies against a trust root that the operator is handed and asks nobody on
// the network: an index must not stop, nor change its mind, because a service of
// somebody else is away.
//
// What a certificate does not tell cannot be demanded of it: GitHub's deployment
// environment, for one, stands in no certificate. The upload itself was gated by
// it in the role's trust policy.
//
// The package is pure: it imports the API types, package wheel for its
// rejections, and sigstore-go; no client of Kubernetes and none of AWS.
package provenance
