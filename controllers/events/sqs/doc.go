// Package sqs is the adapter of the events port for Amazon SQS. It is the only
// package that may import the SQS SDK.
package sqs
