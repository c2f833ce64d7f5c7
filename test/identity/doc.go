// Package identity tests a lane's identity where it is enforced: the documents of
// controllers/access, applied by controllers/ackrole through the real ACK
// controller, judged by an IAM, an STS and an S3 that know nothing of us.
package identity
