// Package iam keeps the users of accessKey publishers in AWS IAM. It is the only
// package of the product that imports the IAM SDK.
//
// It needs, on users below the roles' path: iam:CreateUser, iam:DeleteUser,
// iam:TagUser, iam:PutUserPermissionsBoundary, iam:PutUserPolicy,
// iam:GetUserPolicy, iam:DeleteUserPolicy, iam:ListUserPolicies,
// iam:ListAttachedUserPolicies, iam:DetachUserPolicy, iam:CreateAccessKey,
// iam:UpdateAccessKey, iam:DeleteAccessKey and iam:ListAccessKeys; and iam:GetUser
// on all users, for IAM cannot know the path of one that does not exist.
package iam
