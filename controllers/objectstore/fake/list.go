package fake

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// List yields the current objects below prefix, page by page: as in S3, a
// write between two pages may or may not be seen.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Object, error] {
	return paged(func(after string) ([]objectstore.Object, string, error) {
		var page []objectstore.Object
		var next string
		err := s.do(ctx, objectstore.OpList, prefix, func() error {
			for _, key := range s.keysAfter(prefix, after) {
				v := s.current(key)
				if v == nil {
					continue
				}
				if len(page) == s.pageSize {
					next = page[len(page)-1].Key
					return nil
				}
				page = append(page, v.object(key))
			}
			return nil
		})
		return page, next, err
	})
}

// ListVersions yields every version and marker below prefix. A page ends
// between two keys here; S3 may also end it between two versions of one.
func (s *Store) ListVersions(ctx context.Context, prefix string) iter.Seq2[objectstore.Version, error] {
	return paged(func(after string) ([]objectstore.Version, string, error) {
		var page []objectstore.Version
		var next string
		err := s.do(ctx, objectstore.OpListVersions, prefix, func() error {
			for _, key := range s.keysAfter(prefix, after) {
				stack := s.stacks[key]
				if len(page) > 0 && len(page)+len(stack) > s.pageSize {
					next = page[len(page)-1].Key
					return nil
				}
				for i, v := range slices.Backward(stack) {
					page = append(page, objectstore.Version{
						Object:       v.object(key),
						ID:           v.id,
						Latest:       i == len(stack)-1,
						DeleteMarker: v.marker,
					})
				}
			}
			return nil
		})
		return page, next, err
	})
}

// ListUploads yields the unfinished multipart uploads below prefix, by key and
// then by age.
func (s *Store) ListUploads(ctx context.Context, prefix string) iter.Seq2[objectstore.Upload, error] {
	return paged(func(string) ([]objectstore.Upload, string, error) {
		var page []objectstore.Upload
		err := s.do(ctx, objectstore.OpListUploads, prefix, func() error {
			for _, u := range s.uploads {
				if strings.HasPrefix(u.key, prefix) {
					page = append(page, objectstore.Upload{Key: u.key, ID: u.id, Initiated: u.initiated})
				}
			}
			slices.SortStableFunc(page, func(a, b objectstore.Upload) int { return strings.Compare(a.Key, b.Key) })
			return nil
		})
		return page, "", err
	})
}

// paged turns a function that reads one page into a sequence. The function
// takes the key to go on after and returns the next one, or nothing at the end.
func paged[T any](read func(after string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for after := ""; ; {
			page, next, err := read(after)
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
			if next == "" {
				return
			}
			after = next
		}
	}
}

// keysAfter is the part of the sorted keys that starts with prefix and comes
// after after. The caller holds the lock.
func (s *Store) keysAfter(prefix, after string) []string {
	from, found := slices.BinarySearch(s.keys, max(prefix, after))
	if found && after >= prefix && after != "" {
		from++
	}
	to := from
	for to < len(s.keys) && strings.HasPrefix(s.keys[to], prefix) {
		to++
	}
	return s.keys[from:to]
}

func (v *version) object(key string) objectstore.Object {
	return objectstore.Object{
		Key:          key,
		ETag:         v.etag,
		Size:         int64(len(v.body)),
		LastModified: v.modified,
	}
}
