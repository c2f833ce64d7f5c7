// Command edge plays the parts of AWS and GitHub around the storage gateway of
// the local stack: the public IAM and STS endpoint, a GitHub-shaped OIDC
// issuer, the S3 endpoint's front, a caching CDN with CloudFront's invalidation
// API, and an SQS queue. It holds only what no library offers; IAM itself
// (storage, policy evaluation, the API) is versitygw's, linked in as a library.
//
// It listens on loopback alone and is for development and tests.
package main
