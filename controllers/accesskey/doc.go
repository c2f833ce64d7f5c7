// Package accesskey is the port through which the IAM users of accessKey
// publishers and their keys are kept, with what decides about the keys: a pure,
// level-triggered plan of their rotation, and the content of the Secret that hands
// a key out.
//
// The operator keeps these users itself. ACK has no kind for an access key, which
// somebody has to receive at the moment it is made, and a user without its key is
// of no use: split between two controllers, neither could tell whether the other
// is done.
//
// It may import the standard library and package access. accesskey/iam is the one
// adapter that knows the IAM SDK, accesskey/fake keeps users in memory; both pass
// accesskey/contract.
package accesskey
