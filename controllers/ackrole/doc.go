// Package ackrole keeps a lane's IAM role through the ACK iam-controller: it
// applies a Role resource beside the lane, tells what ACK reports about it, and
// deletes it. It is the only package that imports ACK.
//
// # When a report counts
//
// ACK's conditions carry no generation. ACK reads a Role, talks to IAM, and then
// writes its conditions, all with a fresh lastTransitionTime. A report that
// appears after our write may therefore still speak of what ACK read before it,
// and believing it would call a lane suspended while its old policy is in force.
//
// But ACK works on one Role once at a time. So of two reports that appear one
// after the other once our write is done, the second one began after the write.
// A Role is written in up to two rounds:
//
//  1. Written: our fields are applied. A report that differs from the one seen at
//     that moment ends the round.
//  2. Confirming: ACK is woken once more. The next report that differs speaks of
//     our fields, and so does every later one.
//
// The creation of a Role is a Confirming round already, for nobody can have read
// it before. What was seen is kept in an annotation, so that a restart of the
// operator changes nothing. Reports have a resolution of one second; the second
// round waits until the second of the first report is over.
//
// ACK only looks at a Role whose generation changes. What wakes it without an
// effect on IAM is spec.policies, which is empty in either of its two spellings:
// absent, and an empty list. Every write changes from one to the other.
package ackrole
