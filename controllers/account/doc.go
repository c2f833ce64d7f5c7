// Package account writes what release engineering applies once to an AWS account,
// from the operator's configuration: the token issuers, the permissions boundary
// of the lanes' roles, least-privilege policies for the operator and for ACK's
// iam-controller, and the bucket policy that is a second fence around the lanes.
//
// Nothing here grows with the number of lanes. What differs from lane to lane is
// the tag "lane" of a role, which policies read as ${aws:PrincipalTag/lane}.
//
// The package is pure: it imports the configuration, the names that no lane can
// have, the layout of the bucket and the lanes' documents, and neither a
// Kubernetes client nor AWS.
package account
