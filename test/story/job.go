package story

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

// session is what a CI job holds after it assumed a lane's role.
type session struct {
	s3     *s3.Client
	bucket string
}

// claimsOf are the claims of the token that GitHub gives the lane's upload job.
func claimsOf(lane *v1alpha1.PlatformLane) sandbox.Claims {
	p := lane.Spec.Publishers[0].GitHubActions
	return sandbox.Claims{
		Repository: p.Repository, RepositoryID: strconv.FormatInt(p.RepositoryID, 10), RepositoryOwnerID: strconv.FormatInt(p.RepositoryOwnerID, 10),
		Environment: p.Environment, Ref: p.Refs[0], JobWorkflowRef: p.WorkflowRefs[0], Actor: "release-bot",
	}
}

// assume gets a token with these claims and exchanges it for the lane's role.
func (w *World) assume(ctx context.Context, lane *v1alpha1.PlatformLane, claims sandbox.Claims) (*session, error) {
	token, err := w.Stack.Token(ctx, claims)
	if err != nil {
		return nil, err
	}
	client := sts.New(sts.Options{Region: w.Stack.Region, BaseEndpoint: aws.String(w.Stack.STSEndpoint)})
	out, err := client.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(lane.Status.Role.ARN), RoleSessionName: aws.String("upload"), WebIdentityToken: aws.String(token),
	})
	if err != nil {
		return nil, err
	}
	c := out.Credentials
	return w.sessionWith(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken), nil
}

func (w *World) sessionWith(id, secret, token string) *session {
	return &session{bucket: w.Stack.Bucket, s3: s3.New(s3.Options{
		Region: w.Stack.Region, BaseEndpoint: aws.String(w.Stack.S3Endpoint), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(id, secret, token),
	})}
}

// root may look at everything: it plays the forensic examiner.
func (w *World) root() *session {
	return w.sessionWith(w.Stack.RootAccessKeyID, w.Stack.RootSecretAccessKey, "")
}

// put uploads in one request, write-once as the lane's role demands.
func (s *session) put(ctx context.Context, key string, body []byte) error {
	_, err := s.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*"),
	})
	return err
}

// putOver uploads without saying that the key must be new.
func (s *session) putOver(ctx context.Context, key string, body []byte) error {
	_, err := s.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body)})
	return err
}

// read fetches an object with the session's own credential.
func (s *session) read(ctx context.Context, key string) ([]byte, error) {
	out, err := s.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Body.Close() }()
	return io.ReadAll(io.LimitReader(out.Body, maxBody))
}

// partSize is S3's smallest part, in bytes.
const partSize = 5 << 20

// putMultipart uploads in parts, as clients do with large wheels.
func (s *session) putMultipart(ctx context.Context, key string, body []byte) (parts int, err error) {
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

// remove deletes an object.
func (s *session) remove(ctx context.Context, key string) error {
	_, err := s.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key})
	return err
}

// versions counts the stored versions that have bytes, and the delete markers,
// of a key.
func (s *session) versions(ctx context.Context, key string) (kept []s3types.ObjectVersion, markers int, err error) {
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

// refusedBy demands that the server refused with one of these codes.
func refusedBy(err error, codes ...string) (string, error) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "", fmt.Errorf("expected a refusal, got: %v", err) //nolint:errorlint // nil is one of the cases.
	}
	for _, code := range codes {
		if api.ErrorCode() == code {
			return code, nil
		}
	}
	return "", fmt.Errorf("expected %v, got %w", codes, err)
}
