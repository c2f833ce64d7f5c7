package identity

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var retainUntil = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)

// onBucket makes a kind of request about a whole bucket; none of them is for
// lanes.
func onBucket(name, iamAction string, send func(context.Context, *s3.Client, *string) error) kind {
	return kind{
		name, never,
		func(to target) []action {
			return []action{{"s3:" + iamAction, "arn:aws:s3:::" + to.bucket, map[string]string{}}}
		},
		func(ctx context.Context, c *s3.Client, to target) error { return send(ctx, c, &to.bucket) },
	}
}

const openPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::pytorch-distribution","arn:aws:s3:::pytorch-distribution/*"]}]}`

// reshaping are the ways to change a bucket.
var reshaping = []kind{
	onBucket("CreateBucket", "CreateBucket", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(*b + "-mine")})
		return err
	}),
	onBucket("DeleteBucket", "DeleteBucket", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: b})
		return err
	}),
	onBucket("PutBucketPolicy", "PutBucketPolicy", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: b, Policy: aws.String(openPolicy)})
		return err
	}),
	onBucket("DeleteBucketPolicy", "DeleteBucketPolicy", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: b})
		return err
	}),
	onBucket("PutBucketVersioning", "PutBucketVersioning", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: b, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusSuspended}})
		return err
	}),
	onBucket("PutBucketAcl", "PutBucketAcl", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketAcl(ctx, &s3.PutBucketAclInput{Bucket: b, ACL: s3types.BucketCannedACLPublicReadWrite})
		return err
	}),
	onBucket("PutBucketOwnershipControls", "PutBucketOwnershipControls", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{Bucket: b, OwnershipControls: &s3types.OwnershipControls{
			Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: s3types.ObjectOwnershipObjectWriter}},
		}})
		return err
	}),
	onBucket("PutBucketTagging", "PutBucketTagging", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: b, Tagging: publicTags})
		return err
	}),
	onBucket("PutBucketCors", "PutBucketCORS", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketCors(ctx, &s3.PutBucketCorsInput{Bucket: b, CORSConfiguration: &s3types.CORSConfiguration{
			CORSRules: []s3types.CORSRule{{AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"*"}}},
		}})
		return err
	}),
	onBucket("PutBucketWebsite", "PutBucketWebsite", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketWebsite(ctx, &s3.PutBucketWebsiteInput{Bucket: b, WebsiteConfiguration: &s3types.WebsiteConfiguration{
			IndexDocument: &s3types.IndexDocument{Suffix: aws.String("mine.html")},
		}})
		return err
	}),
	onBucket("DeleteBucketWebsite", "DeleteBucketWebsite", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.DeleteBucketWebsite(ctx, &s3.DeleteBucketWebsiteInput{Bucket: b})
		return err
	}),
	onBucket("PutObjectLockConfiguration", "PutBucketObjectLockConfiguration", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: b, ObjectLockConfiguration: &s3types.ObjectLockConfiguration{
			ObjectLockEnabled: s3types.ObjectLockEnabledEnabled,
		}})
		return err
	}),
}

// notInStore are those that the local store does not offer. It says so before it
// asks who wants to know, so that the simulator alone judges them.
var notInStore = []kind{
	onBucket("PutBucketLifecycleConfiguration", "PutLifecycleConfiguration", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: b, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{
			Rules: []s3types.LifecycleRule{{
				ID: aws.String("all"), Status: s3types.ExpirationStatusEnabled,
				Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("whl/")}, Expiration: &s3types.LifecycleExpiration{Days: aws.Int32(1)},
			}},
		}})
		return err
	}),
	onBucket("PutPublicAccessBlock", "PutBucketPublicAccessBlock", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: b, PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{}})
		return err
	}),
	onBucket("PutBucketNotificationConfiguration", "PutBucketNotification", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketNotificationConfiguration(ctx, &s3.PutBucketNotificationConfigurationInput{Bucket: b, NotificationConfiguration: &s3types.NotificationConfiguration{}})
		return err
	}),
	onBucket("PutBucketEncryption", "PutEncryptionConfiguration", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: b, ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
			Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: s3types.ServerSideEncryptionAes256}}},
		}})
		return err
	}),
	onBucket("PutBucketReplication", "PutReplicationConfiguration", func(ctx context.Context, c *s3.Client, b *string) error {
		_, err := c.PutBucketReplication(ctx, &s3.PutBucketReplicationInput{Bucket: b, ReplicationConfiguration: &s3types.ReplicationConfiguration{
			Role: aws.String("arn:aws:iam::000000000000:role/mine"),
			Rules: []s3types.ReplicationRule{{
				Status: s3types.ReplicationRuleStatusEnabled, Destination: &s3types.Destination{Bucket: aws.String("arn:aws:s3:::mine")},
			}},
		}})
		return err
	}),
}
