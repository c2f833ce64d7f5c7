// Package cloudfront is the adapter of the cdn port for Amazon CloudFront. It is
// the only package that may import the CloudFront SDK.
package cloudfront
