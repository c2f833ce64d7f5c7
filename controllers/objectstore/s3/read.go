package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// Head reads the properties of the current version of key.
func (s *store) Head(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := s.head(ctx, key)
	return info, s.wrap(objectstore.OpHead, key, err)
}

func (s *store) head(ctx context.Context, key string) (objectstore.Info, error) {
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	out, err := s.client.HeadObject(limited, &awss3.HeadObjectInput{
		Bucket:       &s.cfg.Bucket,
		Key:          &key,
		ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		return objectstore.Info{}, err
	}
	return objectstore.Info{
		Object: objectstore.Object{
			Key:          key,
			ETag:         unquote(out.ETag),
			Size:         aws.ToInt64(out.ContentLength),
			LastModified: utc(out.LastModified),
		},
		VersionID:    aws.ToString(out.VersionId),
		ContentType:  aws.ToString(out.ContentType),
		CacheControl: aws.ToString(out.CacheControl),
		SHA256:       fullSHA256(out.ChecksumSHA256, out.ChecksumType),
	}, nil
}

// errSlow is why an object was not opened: the limit is ours, not the caller's.
var errSlow = errors.New("no answer in time")

// Get opens an object. The bytes of a whole object are checked against the
// store's checksum while they are read.
func (s *store) Get(ctx context.Context, key string, opts objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	in := &awss3.GetObjectInput{Bucket: &s.cfg.Bucket, Key: &key}
	if opts.VersionID != "" {
		in.VersionId = &opts.VersionID
	}
	if opts.IfMatch != "" {
		in.IfMatch = quote(opts.IfMatch)
	}
	var err error
	if in.Range, err = rangeHeader(opts); err != nil {
		return nil, objectstore.Info{}, s.invalid(objectstore.OpGet, key, err.Error())
	}
	if in.Range == nil {
		in.ChecksumMode = types.ChecksumModeEnabled
	}

	// The call's time ends with the answer's head; from there on only a stall
	// ends the body.
	open, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(s.cfg.CallTimeout, func() { cancel(errSlow) })
	out, err := s.client.GetObject(open, in)
	timer.Stop()
	if err != nil {
		defer cancel(nil)
		if errors.Is(context.Cause(open), errSlow) {
			err = fmt.Errorf("%w: %w", errSlow, err)
		}
		return nil, objectstore.Info{}, s.wrap(objectstore.OpGet, key, err)
	}
	if out.ContentLength == nil {
		cancel(nil)
		return nil, objectstore.Info{}, s.wrap(objectstore.OpGet, key, errors.New("the server did not say how many bytes it sends"))
	}
	length := *out.ContentLength
	info := objectstore.Info{
		Object: objectstore.Object{
			Key:          key,
			ETag:         unquote(out.ETag),
			Size:         wholeSize(out.ContentRange, length),
			LastModified: utc(out.LastModified),
		},
		VersionID:    aws.ToString(out.VersionId),
		ContentType:  aws.ToString(out.ContentType),
		CacheControl: aws.ToString(out.CacheControl),
	}
	if in.Range == nil {
		info.SHA256 = fullSHA256(out.ChecksumSHA256, out.ChecksumType)
	}
	return s.newBody(open, cancel, key, out.Body, length), info, nil
}

// Versioning tells whether the bucket keeps old versions.
func (s *store) Versioning(ctx context.Context) (objectstore.VersioningState, error) {
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	out, err := s.client.GetBucketVersioning(limited, &awss3.GetBucketVersioningInput{Bucket: &s.cfg.Bucket})
	if err != nil {
		return "", s.wrap(objectstore.OpVersioning, "", err)
	}
	switch out.Status {
	case types.BucketVersioningStatusEnabled:
		return objectstore.VersioningEnabled, nil
	case types.BucketVersioningStatusSuspended:
		return objectstore.VersioningSuspended, nil
	default:
		return objectstore.VersioningNever, nil
	}
}

// rangeHeader spells the bytes that opts ask for as RFC 9110 does; nil asks for
// all of them.
func rangeHeader(opts objectstore.GetOptions) (*string, error) {
	switch {
	case opts.Length < 0 || (opts.Offset < 0 && opts.Length != 0):
		return nil, fmt.Errorf("range with offset %d and length %d", opts.Offset, opts.Length)
	case opts.Offset == 0 && opts.Length == 0:
		return nil, nil
	case opts.Offset < 0:
		return aws.String(fmt.Sprintf("bytes=%d", opts.Offset)), nil
	case opts.Length == 0:
		return aws.String(fmt.Sprintf("bytes=%d-", opts.Offset)), nil
	default:
		return aws.String(fmt.Sprintf("bytes=%d-%d", opts.Offset, opts.Offset+opts.Length-1)), nil
	}
}

// wholeSize is the size of the object: the number behind the slash of a
// Content-Range, else the length of the answer.
func wholeSize(contentRange *string, length int64) int64 {
	_, total, found := strings.Cut(aws.ToString(contentRange), "/")
	if size, err := strconv.ParseInt(total, 10, 64); found && err == nil {
		return size
	}
	return length
}

// fullSHA256 is a full-object checksum in hexadecimal. The checksum of a
// multipart upload is one over the parts' checksums; it ends in the number of
// parts and is not the file's hash.
func fullSHA256(checksum *string, kind types.ChecksumType) string {
	if kind == types.ChecksumTypeComposite {
		return ""
	}
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(checksum))
	if err != nil || len(sum) != 32 {
		return ""
	}
	return hex.EncodeToString(sum)
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

func quote(etag string) *string { return aws.String(`"` + etag + `"`) }

func utc(t *time.Time) time.Time { return aws.ToTime(t).UTC() }
