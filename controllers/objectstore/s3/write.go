package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// Put writes an object and has the server check its SHA-256.
func (s *store) Put(ctx context.Context, key string, body []byte, opts objectstore.PutOptions) (objectstore.Written, error) {
	if opts.IfMatch != "" && opts.IfNoneMatch {
		return objectstore.Written{}, s.invalid(objectstore.OpPut, key, "If-Match and If-None-Match together")
	}
	sum := sha256.Sum256(body)
	in := &awss3.PutObjectInput{
		Bucket:         &s.cfg.Bucket,
		Key:            &key,
		Body:           bytes.NewReader(body),
		ContentLength:  aws.Int64(int64(len(body))),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
		ContentType:    optional(opts.ContentType),
		CacheControl:   optional(opts.CacheControl),
	}
	conditional := opts.IfMatch != "" || opts.IfNoneMatch
	if opts.IfMatch != "" {
		in.IfMatch = quote(opts.IfMatch)
	}
	if opts.IfNoneMatch {
		in.IfNoneMatch = aws.String("*")
	}
	limited, cancel := s.call(ctx, int64(len(body)))
	defer cancel()
	out, err := s.client.PutObject(limited, in, func(o *awss3.Options) {
		if conditional {
			// A repeated conditional write could be refused because of what
			// its own first attempt wrote, and would then be reported as
			// somebody else's.
			o.Retryer = s.retryRefused
		}
	})
	if err != nil {
		// If-Match on a key that is gone is 404, and two conditional writers
		// that meet are 409 under two names.
		if conditional && hasCode(err, "NoSuchKey", "NotFound", "OperationAborted") {
			return objectstore.Written{}, &objectstore.Error{Op: objectstore.OpPut, Bucket: s.cfg.Bucket, Key: key,
				Kind: objectstore.ErrPrecondition, Cause: err}
		}
		return objectstore.Written{}, s.wrap(objectstore.OpPut, key, err)
	}
	return objectstore.Written{ETag: unquote(out.ETag), VersionID: aws.ToString(out.VersionId)}, nil
}

// Delete puts a delete marker on top of key, or removes it.
func (s *store) Delete(ctx context.Context, key string) (objectstore.Deleted, error) {
	out, err := s.delete(ctx, &awss3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &key})
	if err != nil && !hasCode(err, "NoSuchKey") {
		return objectstore.Deleted{}, s.wrap(objectstore.OpDelete, key, err)
	}
	if out == nil || !aws.ToBool(out.DeleteMarker) {
		return objectstore.Deleted{}, nil
	}
	return objectstore.Deleted{MarkerID: aws.ToString(out.VersionId)}, nil
}

// DeleteVersion destroys one version.
func (s *store) DeleteVersion(ctx context.Context, key, versionID string) error {
	if versionID == "" {
		return s.invalid(objectstore.OpDeleteVersion, key, "no version id given")
	}
	_, err := s.delete(ctx, &awss3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &key, VersionId: &versionID})
	if err != nil && errors.Is(kindOf(err), objectstore.ErrNotFound) {
		return nil
	}
	return s.wrap(objectstore.OpDeleteVersion, key, err)
}

func (s *store) delete(ctx context.Context, in *awss3.DeleteObjectInput) (*awss3.DeleteObjectOutput, error) {
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	return s.client.DeleteObject(limited, in)
}

// TagVersion replaces the tags of one version.
func (s *store) TagVersion(ctx context.Context, key, versionID string, tags map[string]string) error {
	if versionID == "" {
		return s.invalid(objectstore.OpTagVersion, key, "no version id given")
	}
	set := make([]types.Tag, 0, len(tags))
	for name, value := range tags {
		set = append(set, types.Tag{Key: aws.String(name), Value: aws.String(value)})
	}
	slices.SortFunc(set, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	_, err := s.client.PutObjectTagging(limited, &awss3.PutObjectTaggingInput{
		Bucket:    &s.cfg.Bucket,
		Key:       &key,
		VersionId: &versionID,
		Tagging:   &types.Tagging{TagSet: set},
	})
	return s.wrap(objectstore.OpTagVersion, key, err)
}

// AbortUpload ends an unfinished multipart upload.
func (s *store) AbortUpload(ctx context.Context, key, uploadID string) error {
	err := s.abort(ctx, key, uploadID)
	if hasCode(err, "NoSuchUpload") {
		return nil
	}
	return s.wrap(objectstore.OpAbortUpload, key, err)
}

func (s *store) abort(ctx context.Context, key, uploadID string) error {
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	_, err := s.client.AbortMultipartUpload(limited, &awss3.AbortMultipartUploadInput{
		Bucket: &s.cfg.Bucket, Key: &key, UploadId: &uploadID,
	})
	return err
}

func (s *store) invalid(op, key, what string) error {
	return &objectstore.Error{Op: op, Bucket: s.cfg.Bucket, Key: key, Kind: objectstore.ErrInvalid, Cause: errors.New(what)}
}

func optional(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
