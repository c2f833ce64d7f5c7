package s3

import (
	"context"
	"fmt"
	"iter"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// Keys are asked for in URL encoding: an uploader chooses them, and a control
// character in one would make the whole listing unreadable XML.

// List yields the current objects below prefix.
func (s *store) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Object, error] {
	return paged(func(token *string) ([]objectstore.Object, *string, error) {
		page, next, err := s.listPage(ctx, prefix, token)
		return page, next, s.wrap(objectstore.OpList, prefix, err)
	})
}

func (s *store) listPage(ctx context.Context, prefix string, token *string) ([]objectstore.Object, *string, error) {
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	out, err := s.client.ListObjectsV2(limited, &awss3.ListObjectsV2Input{
		Bucket:            &s.cfg.Bucket,
		Prefix:            &prefix,
		ContinuationToken: token,
		EncodingType:      types.EncodingTypeUrl,
		MaxKeys:           aws.Int32(objectstore.ListPageSize),
	})
	if err != nil {
		return nil, nil, err
	}
	page := make([]objectstore.Object, len(out.Contents))
	for i, o := range out.Contents {
		if page[i], err = entry(out.EncodingType, o.Key, o.ETag, o.Size); err != nil {
			return nil, nil, err
		}
		page[i].LastModified = utc(o.LastModified)
	}
	next, err := following(out.IsTruncated, out.NextContinuationToken)
	return page, next, err
}

// versionsMarker is where the next page of versions starts.
type versionsMarker struct{ key, version *string }

// ListVersions yields every version and marker below prefix.
func (s *store) ListVersions(ctx context.Context, prefix string) iter.Seq2[objectstore.Version, error] {
	return paged(func(from *versionsMarker) ([]objectstore.Version, *versionsMarker, error) {
		page, next, err := s.versionsPage(ctx, prefix, from)
		return page, next, s.wrap(objectstore.OpListVersions, prefix, err)
	})
}

func (s *store) versionsPage(ctx context.Context, prefix string, from *versionsMarker) ([]objectstore.Version, *versionsMarker, error) {
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	in := &awss3.ListObjectVersionsInput{
		Bucket:       &s.cfg.Bucket,
		Prefix:       &prefix,
		EncodingType: types.EncodingTypeUrl,
		MaxKeys:      aws.Int32(objectstore.ListPageSize),
	}
	if from != nil {
		in.KeyMarker, in.VersionIdMarker = from.key, from.version
	}
	order := &entryOrder{}
	out, err := s.client.ListObjectVersions(limited, in, order.capture)
	if err != nil {
		return nil, nil, err
	}
	versions := make([]objectstore.Version, len(out.Versions))
	for i, v := range out.Versions {
		versions[i] = objectstore.Version{ID: aws.ToString(v.VersionId), Latest: aws.ToBool(v.IsLatest)}
		if versions[i].Object, err = entry(out.EncodingType, v.Key, v.ETag, v.Size); err != nil {
			return nil, nil, err
		}
		versions[i].LastModified = utc(v.LastModified)
	}
	markers := make([]objectstore.Version, len(out.DeleteMarkers))
	for i, m := range out.DeleteMarkers {
		markers[i] = objectstore.Version{ID: aws.ToString(m.VersionId), Latest: aws.ToBool(m.IsLatest), DeleteMarker: true}
		if markers[i].Object, err = entry(out.EncodingType, m.Key, nil, nil); err != nil {
			return nil, nil, err
		}
		markers[i].LastModified = utc(m.LastModified)
	}
	page, err := order.merge(versions, markers)
	if err != nil || !aws.ToBool(out.IsTruncated) {
		return page, nil, err
	}
	key, err := following(out.IsTruncated, out.NextKeyMarker)
	if err != nil {
		return nil, nil, err
	}
	if *key, err = decode(out.EncodingType, *key); err != nil {
		return nil, nil, err
	}
	return page, &versionsMarker{key, out.NextVersionIdMarker}, nil
}

// uploadsMarker is where the next page of uploads starts.
type uploadsMarker struct{ key, upload *string }

// ListUploads yields the unfinished multipart uploads below prefix.
func (s *store) ListUploads(ctx context.Context, prefix string) iter.Seq2[objectstore.Upload, error] {
	return paged(func(from *uploadsMarker) ([]objectstore.Upload, *uploadsMarker, error) {
		page, next, err := s.uploadsPage(ctx, prefix, from)
		return page, next, s.wrap(objectstore.OpListUploads, prefix, err)
	})
}

func (s *store) uploadsPage(ctx context.Context, prefix string, from *uploadsMarker) ([]objectstore.Upload, *uploadsMarker, error) {
	limited, cancel := s.call(ctx, 0)
	defer cancel()
	in := &awss3.ListMultipartUploadsInput{
		Bucket:       &s.cfg.Bucket,
		Prefix:       &prefix,
		EncodingType: types.EncodingTypeUrl,
		MaxUploads:   aws.Int32(objectstore.ListPageSize),
	}
	if from != nil {
		in.KeyMarker, in.UploadIdMarker = from.key, from.upload
	}
	out, err := s.client.ListMultipartUploads(limited, in)
	if err != nil {
		return nil, nil, err
	}
	page := make([]objectstore.Upload, len(out.Uploads))
	for i, u := range out.Uploads {
		key, err := decode(out.EncodingType, aws.ToString(u.Key))
		if err != nil {
			return nil, nil, err
		}
		page[i] = objectstore.Upload{Key: key, ID: aws.ToString(u.UploadId), Initiated: utc(u.Initiated)}
	}
	if !aws.ToBool(out.IsTruncated) {
		return page, nil, nil
	}
	key, err := following(out.IsTruncated, out.NextKeyMarker)
	if err != nil {
		return nil, nil, err
	}
	if *key, err = decode(out.EncodingType, *key); err != nil {
		return nil, nil, err
	}
	return page, &uploadsMarker{key, out.NextUploadIdMarker}, nil
}

// paged turns a function that reads one page into a sequence. The function
// takes where to go on (nil at first) and returns it for the next page (nil at
// the end).
func paged[T, M any](read func(from *M) ([]T, *M, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var from *M
		for {
			page, next, err := read(from)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
			if next == nil {
				return
			}
			from = next
		}
	}
}

// following is the mark of the next page. A page that says there is more and
// not where would otherwise end the listing early, or never.
func following(truncated *bool, mark *string) (*string, error) {
	if !aws.ToBool(truncated) {
		return nil, nil
	}
	if aws.ToString(mark) == "" {
		return nil, fmt.Errorf("the server cut the listing without saying where it goes on")
	}
	return mark, nil
}

func entry(encoding types.EncodingType, key, etag *string, size *int64) (objectstore.Object, error) {
	decoded, err := decode(encoding, aws.ToString(key))
	return objectstore.Object{Key: decoded, ETag: unquote(etag), Size: aws.ToInt64(size)}, err
}

// decode undoes the URL encoding of a key if the server applied it; not every
// server does.
func decode(encoding types.EncodingType, key string) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return key, nil
	}
	decoded, err := url.QueryUnescape(key)
	if err != nil {
		return "", fmt.Errorf("key %q of the listing is not URL-encoded: %w", key, err)
	}
	return decoded, nil
}
