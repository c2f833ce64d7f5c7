// Package events is the port through which changes of objects are announced:
// a source of notifications, and the decoder of what S3, SNS and EventBridge
// put into a queue.
//
// Events only make the operator faster. They may come late, twice, out of
// order or never; whoever acts on one reads the store's state first.
//
// It may import the standard library only. events/sqs is the one adapter that
// knows the SQS SDK, events/fake keeps a queue in memory; both pass
// events/contract.
package events
