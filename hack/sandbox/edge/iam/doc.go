// Package iam is the account's IAM: versitygw's own API and storage, linked in
// as a library, with what it lacks added around it. It may import versitygw's
// iamapi packages and the AWS SDK's signer.
//
//   - Store adds the attributes of a role or user that versitygw does not keep.
//   - Server runs versitygw's IAM API and its private authorization API.
//   - Front is the public endpoint: it counts calls, answers the few that
//     versitygw has no word for, and forwards the rest untouched.
//   - Authorizer stands between the S3 gateway and versitygw's decision, and
//     adds the condition keys that AWS has and versitygw lacks.
package iam
