// Package s3 is the adapter of the objectstore port for Amazon S3 and servers
// that speak its API (versitygw, Cloudflare R2, MinIO). It is the only package
// that may import the AWS S3 SDK.
//
// What it adds to the SDK: a time limit on every call and on every stalled
// body, errors by kind, listings in the server's own order with any key in
// them, checksums on writes, copies beyond 5 GiB, and conditional writes that
// never trip over their own first attempt.
package s3
