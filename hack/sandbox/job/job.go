// Package job plays a CI job on the local stack: it shows an OIDC token, assumes
// a lane's role and uploads, as a vendor's workflow does.
package job

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// Session is what a CI job holds after it assumed a lane's role.
type Session struct {
	s3     *s3.Client
	bucket string
}

// ClaimsOf are the claims of the token that GitHub gives the lane's upload job, as
// its first gitHubActions publisher wants them. A lane without one has no such job,
// and no claims.
func ClaimsOf(lane *v1alpha1.PlatformLane) sandbox.Claims {
	for _, publisher := range lane.Spec.Publishers {
		p := publisher.GitHubActions
		if p.Repository == "" {
			continue
		}
		claims := sandbox.Claims{
			Repository: p.Repository, RepositoryID: strconv.FormatInt(p.RepositoryID, 10), RepositoryOwnerID: strconv.FormatInt(p.RepositoryOwnerID, 10),
			Environment: p.Environment, Ref: "refs/heads/main", Actor: "release-bot",
		}
		if len(p.Refs) > 0 {
			claims.Ref = strings.Replace(p.Refs[0], "*", "1", 1)
		}
		if len(p.WorkflowRefs) > 0 {
			claims.JobWorkflowRef = p.WorkflowRefs[0]
		}
		return claims
	}
	return sandbox.Claims{}
}

// Assume gets a token with these claims and exchanges it for a lane's role.
func Assume(ctx context.Context, stack *sandbox.Info, roleARN string, claims sandbox.Claims) (*Session, error) {
	token, err := stack.Token(ctx, claims)
	if err != nil {
		return nil, err
	}
	client := sts.New(sts.Options{Region: stack.Region, BaseEndpoint: aws.String(stack.STSEndpoint)})
	out, err := client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(roleARN), RoleSessionName: aws.String("upload"), WebIdentityToken: aws.String(token),
	})
	if err != nil {
		return nil, err
	}
	c := out.Credentials
	return open(stack, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken), nil
}

func open(stack *sandbox.Info, id, secret, token string) *Session {
	return &Session{bucket: stack.Bucket, s3: s3.New(s3.Options{
		Region: stack.Region, BaseEndpoint: aws.String(stack.S3Endpoint), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})}
}

// Root may look at everything: it plays the forensic examiner.
func Root(stack *sandbox.Info) *Session {
	return open(stack, stack.RootAccessKeyID, stack.RootSecretAccessKey, "")
}

// Put uploads in one request, write-once as the lane's role demands.
func (s *Session) Put(ctx context.Context, key string, body []byte) error {
	_, err := s.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*"),
	})
	return err
}

// PutOver uploads without saying that the key must be new.
func (s *Session) PutOver(ctx context.Context, key string, body []byte) error {
	_, err := s.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body)})
	return err
}

// Read fetches an object with the session's own credential.
func (s *Session) Read(ctx context.Context, key string) ([]byte, error) {
	out, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }()
	return io.ReadAll(io.LimitReader(out.Body, maxBody))
}

// maxBody bounds what is read of an object, in bytes.
const maxBody = 64 << 20

// partSize is S3's smallest part, in bytes.
const partSize = 5 << 20

// PutMultipart uploads in parts, as clients do with large wheels.
func (s *Session) PutMultipart(ctx context.Context, key string, body []byte) (parts int, err error) {
	upload, err := s.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return 0, err
	}
	var done []s3types.CompletedPart
	for n := int32(1); len(body) > 0; n++ {
		part := body[:min(partSize, len(body))]
		body = body[len(part):]
		out, err := s.s3.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &s.bucket, Key: &key, UploadId: upload.UploadId, PartNumber: aws.Int32(n), Body: bytes.NewReader(part),
		})
		if err != nil {
			return 0, err
		}
		done = append(done, s3types.CompletedPart{
			ETag: out.ETag, PartNumber: aws.Int32(n), ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		})
	}
	_, err = s.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &s.bucket, Key: &key, UploadId: upload.UploadId, IfNoneMatch: aws.String("*"),
		MultipartUpload: &s3types.CompletedMultipartUpload{Parts: done},
	})
	return len(done), err
}

// Delete deletes an object.
func (s *Session) Delete(ctx context.Context, key string) error {
	_, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key})
	return err
}

// Versions are the stored versions of a key that have bytes; markers counts its
// delete markers.
func (s *Session) Versions(ctx context.Context, key string) (kept []s3types.ObjectVersion, markers int, err error) {
	out, err := s.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &key})
	if err != nil {
		return nil, 0, err
	}
	for _, v := range out.Versions {
		if *v.Key == key {
			kept = append(kept, v)
		}
	}
	for _, m := range out.DeleteMarkers {
		if *m.Key == key {
			markers++
		}
	}
	return kept, markers, nil
}
