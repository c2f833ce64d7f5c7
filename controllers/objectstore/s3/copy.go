package s3

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// copyConcurrency is how many parts of one object are copied at a time.
const copyConcurrency = 4

// Copy copies the bytes that from has now. They are pinned by version and ETag:
// a source that changes under way fails the copy with ErrPrecondition.
func (s *store) Copy(ctx context.Context, from, to string) (objectstore.Written, error) {
	if from == to {
		return objectstore.Written{}, s.invalid(objectstore.OpCopy, to, "source and destination are the same key")
	}
	source, err := s.head(ctx, from)
	if err != nil {
		return objectstore.Written{}, s.wrap(objectstore.OpHead, from, err)
	}
	var written objectstore.Written
	if source.Size <= s.cfg.CopyThreshold {
		written, err = s.copyWhole(ctx, source, to)
	} else {
		written, err = s.copyParts(ctx, source, to)
	}
	return written, s.wrap(objectstore.OpCopy, to, err)
}

func (s *store) copyWhole(ctx context.Context, source objectstore.Info, to string) (objectstore.Written, error) {
	limited, cancel := s.call(ctx, source.Size)
	defer cancel()
	out, err := s.client.CopyObject(limited, &awss3.CopyObjectInput{
		Bucket:            &s.cfg.Bucket,
		Key:               &to,
		CopySource:        s.copySource(source),
		CopySourceIfMatch: quote(source.ETag),
		// Whatever checksum the source has, the copy gets a hash of the file.
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	if err != nil {
		return objectstore.Written{}, err
	}
	written := objectstore.Written{VersionID: aws.ToString(out.VersionId)}
	if out.CopyObjectResult != nil {
		written.ETag = unquote(out.CopyObjectResult.ETag)
	}
	return written, nil
}

// copyParts copies an object that is too large for one request. The parts of
// an attempt that fails are freed at once.
func (s *store) copyParts(ctx context.Context, source objectstore.Info, to string) (objectstore.Written, error) {
	limited, cancel := s.call(ctx, 0)
	created, err := s.client.CreateMultipartUpload(limited, &awss3.CreateMultipartUploadInput{
		Bucket:       &s.cfg.Bucket,
		Key:          &to,
		ContentType:  optional(source.ContentType),
		CacheControl: optional(source.CacheControl),
	})
	cancel()
	if err != nil {
		return objectstore.Written{}, err
	}
	upload := aws.ToString(created.UploadId)
	parts, err := s.uploadParts(ctx, source, to, upload)
	if err == nil {
		var written objectstore.Written
		if written, err = s.completeUpload(ctx, to, upload, parts); err == nil {
			return written, nil
		}
	}
	// The caller may have given up; its parts are cleaned up all the same. If
	// that fails too, the bucket's lifecycle rule for unfinished uploads does it.
	if abortErr := s.abort(context.WithoutCancel(ctx), to, upload); abortErr != nil && !hasCode(abortErr, "NoSuchUpload") {
		err = fmt.Errorf("%w (and upload %s could not be aborted: %w)", err, upload, abortErr)
	}
	return objectstore.Written{}, err
}

func (s *store) uploadParts(ctx context.Context, source objectstore.Info, to, upload string) ([]types.CompletedPart, error) {
	size := max(s.cfg.CopyPartSize, (source.Size+maxParts-1)/maxParts)
	count := int((source.Size + size - 1) / size)
	parts := make([]types.CompletedPart, count)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(copyConcurrency)
	for i := range count {
		first := int64(i) * size
		last := min(first+size, source.Size) - 1
		number := aws.Int32(int32(i + 1))
		group.Go(func() error {
			limited, cancel := s.call(groupCtx, size)
			defer cancel()
			out, err := s.client.UploadPartCopy(limited, &awss3.UploadPartCopyInput{
				Bucket:            &s.cfg.Bucket,
				Key:               &to,
				UploadId:          &upload,
				PartNumber:        number,
				CopySource:        s.copySource(source),
				CopySourceIfMatch: quote(source.ETag),
				CopySourceRange:   aws.String(fmt.Sprintf("bytes=%d-%d", first, last)),
			})
			if err != nil {
				return fmt.Errorf("part %d of %d: %w", i+1, count, err)
			}
			parts[i] = types.CompletedPart{PartNumber: number}
			if out.CopyPartResult != nil {
				parts[i].ETag = out.CopyPartResult.ETag
			}
			return nil
		})
	}
	return parts, group.Wait()
}

func (s *store) completeUpload(ctx context.Context, to, upload string, parts []types.CompletedPart) (objectstore.Written, error) {
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	out, err := s.client.CompleteMultipartUpload(limited, &awss3.CompleteMultipartUploadInput{
		Bucket:          &s.cfg.Bucket,
		Key:             &to,
		UploadId:        &upload,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		return objectstore.Written{}, err
	}
	return objectstore.Written{ETag: unquote(out.ETag), VersionID: aws.ToString(out.VersionId)}, nil
}

// copySource names the pinned source. The header is URL-decoded by S3, which
// reads a plain plus sign as a space.
func (s *store) copySource(source objectstore.Info) *string {
	segments := strings.Split(source.Key, "/")
	for i, segment := range segments {
		segments[i] = strings.ReplaceAll(url.QueryEscape(segment), "+", "%20")
	}
	out := s.cfg.Bucket + "/" + strings.Join(segments, "/")
	if source.VersionID != "" {
		out += "?versionId=" + url.QueryEscape(source.VersionID)
	}
	return &out
}
