// Package sts hands out sessions of roles: AssumeRoleWithWebIdentity for the
// sandbox's own issuer, and AssumeRole for users. versitygw does the first for
// issuers on the internet, and refuses to fetch keys from loopback; the second it
// lacks. This package follows the order of AWS' checks, decides with versitygw's
// policy evaluation and stores the session in versitygw's storage, so that the S3
// gateway treats it as any other. It may import versitygw's iamapi packages and
// package oidc.
package sts
