package index_test

import (
	"context"
	"io"
	"iter"
	"slices"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// wholeReads counts downloads of whole wheels.
type wholeReads struct {
	objectstore.Store
	count int
}

func (s *wholeReads) Get(ctx context.Context, key string, opts objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	if opts.Offset == 0 && opts.Length == 0 && len(key) > 4 && key[len(key)-4:] == ".whl" {
		s.count++
	}
	return s.Store.Get(ctx, key, opts)
}

// encrypting is a store whose ETags are no MD5 sums, as with SSE-KMS.
type encrypting struct{ objectstore.Store }

func disguise(etag string) string {
	b := []byte(etag)
	slices.Reverse(b)
	return string(b)
}

func (s encrypting) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Object, error] {
	return func(yield func(objectstore.Object, error) bool) {
		s.Store.List(ctx, prefix)(func(o objectstore.Object, err error) bool {
			o.ETag = disguise(o.ETag)
			return yield(o, err)
		})
	}
}

func (s encrypting) Head(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := s.Store.Head(ctx, key)
	info.ETag = disguise(info.ETag)
	return info, err
}

func (s encrypting) Get(ctx context.Context, key string, opts objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	opts.IfMatch = disguise(opts.IfMatch)
	body, info, err := s.Store.Get(ctx, key, opts)
	info.ETag = disguise(info.ETag)
	return body, info, err
}

func (s encrypting) Put(ctx context.Context, key string, body []byte, opts objectstore.PutOptions) (objectstore.Written, error) {
	opts.IfMatch = disguise(opts.IfMatch)
	written, err := s.Store.Put(ctx, key, body, opts)
	written.ETag = disguise(written.ETag)
	return written, err
}

func TestStoreWithEncryptedETags(t *testing.T) {
	w := newWorld(t)
	store := encrypting{w.store}
	w.engine = w.on(store)
	name := w.upload("2.9.0")
	w.sync()
	w.wantListed(name, true)

	w.store.ResetCalls()
	w.sync()
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})

	// After a start each page is read once, and none is written.
	again := w.on(store)
	w.store.ResetCalls()
	w.syncBy(again)
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2, objectstore.OpGet: 1 + 4})
	w.store.ResetCalls()
	w.syncBy(again)
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})

	// It still notices a page that was tampered with, and new files.
	w.store.Seed(htmlPage, []byte("evil"), seedPage)
	w.syncBy(again)
	w.wantListed(name, true)
	w.upload("2.9.1")
	w.syncBy(again)
	w.store.ResetCalls()
	w.syncBy(again)
	wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})
}
