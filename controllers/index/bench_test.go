package index_test

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// BenchmarkSyncUnchanged is a Sync of 50,000 wheels of one project that finds
// nothing new, with the store's own listing in the figures.
func BenchmarkSyncUnchanged(b *testing.B) {
	const files = 50_000
	w := bigWorld(b, files)
	w.sync()
	w.store.ResetCalls()
	b.ReportAllocs()
	for b.Loop() {
		if report := w.sync(); report.Wrote || report.Files != files {
			b.Fatalf("report %+v", report)
		}
	}
	b.ReportMetric(float64(w.store.Calls()[objectstore.OpList])/float64(b.N), "LISTs/op")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(w)
	b.ReportMetric(float64(m.HeapAlloc)/files, "heap-B/file")
}

// BenchmarkSyncOneNewWheel adds one wheel to 50,000.
func BenchmarkSyncOneNewWheel(b *testing.B) {
	w := bigWorld(b, 50_000)
	w.sync()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		w.upload(fmt.Sprintf("9.9.%d", i))
		b.StartTimer()
		if report := w.sync(); !report.Wrote {
			b.Fatal("nothing was written")
		}
	}
}

// bigWorld has a catalog of many wheels whose bytes are not real: they were
// judged before. The listing is made up, so that the bucket's own memory does
// not count.
func bigWorld(b *testing.B, files int) *world {
	w := newWorld(b)
	made := &madeUp{Store: w.store}
	w.engine = w.on(made)
	written := w.store.Seed("x", nil, fake.SeedOptions{})
	_, err := w.engine.Update(b.Context(), torch, func(c *catalog.Catalog) bool {
		for i := range files {
			name := fmt.Sprintf("torch-2.9.0.dev%08d+spyre-cp312-cp312-manylinux_2_28_x86_64.whl", i)
			etag := fmt.Sprintf("%032x", i)
			c.Files = append(c.Files, catalog.File{
				Name: name, ETag: etag, VersionID: written.VersionID, Size: 1 << 30, SHA256: etag + etag,
				Version: fmt.Sprintf("2.9.0.dev%d+spyre", i), UploadTime: start, RequiresPython: ">=3.10",
				MetadataSHA256: etag + etag, MetadataETag: etag, State: catalog.StateListed,
			})
			made.objects = append(made.objects,
				objectstore.Object{Key: folder + name, ETag: etag, Size: 1 << 30, LastModified: start},
				objectstore.Object{Key: folder + name + ".metadata", ETag: etag, Size: 1 << 10, LastModified: start})
		}
		return true
	})
	if err != nil {
		b.Fatal(err)
	}
	return w
}

// madeUp lists objects that are not there, before those that are.
type madeUp struct {
	objectstore.Store
	objects []objectstore.Object
}

func (s *madeUp) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Object, error] {
	return func(yield func(objectstore.Object, error) bool) {
		if prefix == folder {
			for _, o := range s.objects {
				if !yield(o, nil) {
					return
				}
			}
		}
		s.Store.List(ctx, prefix)(yield)
	}
}
