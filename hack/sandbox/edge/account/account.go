// Package account brings the sandbox's account into the state its configuration
// describes: users and the OIDC provider in IAM, buckets with their policies in
// S3. Running it again changes nothing. It may import the AWS S3 SDK.
package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/versity/versitygw/iamapi/iamerr"
	"github.com/versity/versitygw/iamapi/storage"
	"github.com/versity/versitygw/iamapi/types"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/config"
)

// Store is where identities are kept.
type Store interface {
	storage.Storer
	// AttachManagedPolicies gives a user policies in place of its own.
	AttachManagedPolicies(user string, documents []json.RawMessage) error
}

// Identities creates the users and the OIDC provider.
func Identities(ctx context.Context, store Store, c *config.Config, providerARN, providerURL string) error {
	_, err := store.CreateOIDCProvider(ctx, types.OIDCProvider{
		Arn: providerARN, Url: providerURL, ClientIDList: c.Audiences, CreateDate: time.Now().UTC(),
	})
	if err != nil && !hasCode(err, "EntityAlreadyExists") {
		return fmt.Errorf("create the OIDC provider %s: %w", providerURL, err)
	}
	for i := range c.Users {
		if err := user(ctx, store, &c.Users[i]); err != nil {
			return fmt.Errorf("create the IAM user %s: %w", c.Users[i].Name, err)
		}
	}
	return nil
}

func user(ctx context.Context, store Store, u *config.User) error {
	_, err := store.CreateUser(ctx, types.User{
		Path: "/", UserName: u.Name, UserID: "AIDA" + u.AccessKeyID[4:],
		Arn:        "arn:aws:iam::" + config.AccountID + ":user/" + u.Name,
		CreateDate: time.Now().UTC(),
	})
	if err != nil && !hasCode(err, "EntityAlreadyExists") {
		return err
	}
	if err := store.AttachManagedPolicies(u.Name, u.Policies); err != nil {
		return err
	}
	_, err = store.CreateAccessKey(ctx, storage.CreateAccessKeyInput{
		UserName: u.Name, AccessKeyID: u.AccessKeyID, SecretAccessKey: u.SecretAccessKey,
		Status: "Active", CreateDate: time.Now().UTC(),
	})
	if errors.Is(err, storage.ErrAccessKeyIDAlreadyExists) {
		return nil
	}
	return err
}

func hasCode(err error, code string) bool {
	var apiErr iamerr.Error
	return errors.As(err, &apiErr) && apiErr.Code == code
}

// Buckets waits for the S3 gateway and creates what is missing.
func Buckets(ctx context.Context, c *config.Config) error {
	client := s3.New(s3.Options{
		Region: c.Region, BaseEndpoint: aws.String("http://" + c.Gateway.S3), UsePathStyle: true,
		Credentials:      credentials.NewStaticCredentialsProvider(c.Root.AccessKeyID, c.Root.SecretAccessKey, ""),
		RetryMaxAttempts: 1,
	})
	for {
		_, err := client.ListBuckets(ctx, &s3.ListBucketsInput{})
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the S3 gateway at %s does not answer: %w", c.Gateway.S3, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	for i := range c.Buckets {
		if err := bucket(ctx, client, &c.Buckets[i]); err != nil {
			return fmt.Errorf("create the bucket %s: %w", c.Buckets[i].Name, err)
		}
	}
	return nil
}

func bucket(ctx context.Context, client *s3.Client, b *config.Bucket) error {
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: &b.Name, ObjectOwnership: s3types.ObjectOwnershipBucketOwnerEnforced,
	})
	var apiErr smithy.APIError
	if errors.As(err, &apiErr) && (apiErr.ErrorCode() == "BucketAlreadyOwnedByYou" || apiErr.ErrorCode() == "BucketAlreadyExists") {
		return nil
	}
	if err != nil {
		return err
	}
	if b.Versioned {
		if _, err := client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket:                  &b.Name,
			VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
		}); err != nil {
			return fmt.Errorf("enable versioning: %w", err)
		}
	}
	if b.Website {
		if _, err := client.PutBucketWebsite(ctx, &s3.PutBucketWebsiteInput{
			Bucket: &b.Name,
			WebsiteConfiguration: &s3types.WebsiteConfiguration{
				IndexDocument: &s3types.IndexDocument{Suffix: aws.String("index.html")},
			},
		}); err != nil {
			return fmt.Errorf("enable the website: %w", err)
		}
	}
	if len(b.PublicPrefixes) == 0 {
		return nil
	}
	document, err := publicRead(b)
	if err != nil {
		return err
	}
	if _, err := client.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &b.Name, Policy: &document}); err != nil {
		return fmt.Errorf("set the bucket policy: %w", err)
	}
	return nil
}

// publicRead lets anybody get the current version below the public prefixes, and
// nothing else: no listing, no old versions. In S3, s3:GetObject is enough to say
// that: ?versionId= takes s3:GetObjectVersion. versitygw asks for s3:GetObject in
// both cases, hence the condition; and as it accepts that condition only together
// with a wildcard, the action is spelt with one that means itself.
func publicRead(b *config.Bucket) (string, error) {
	resources := make([]string, 0, len(b.PublicPrefixes))
	for _, prefix := range b.PublicPrefixes {
		resources = append(resources, "arn:aws:s3:::"+b.Name+"/"+prefix+"*")
	}
	raw, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []map[string]any{{
			"Sid": "PublicRead", "Effect": "Allow", "Principal": "*",
			"Action": "s3:GetObjec?", "Resource": resources,
			"Condition": map[string]any{"Null": map[string]string{"s3:VersionId": "true"}},
		}},
	})
	return string(raw), err
}
