package catalog_test

import (
	"fmt"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
)

// big is a catalog of 100,000 files, 25 of each version.
func big() *catalog.Catalog {
	c := torch()
	for i := range 100_000 {
		hash := fmt.Sprintf("%064x", i)
		c.Files = append(c.Files, catalog.File{
			Name: fmt.Sprintf("torch-2.9.0.dev%08d+spyre-cp3%02d-cp312-manylinux_2_28_x86_64.whl", i/25, i%25), ETag: hash[:32], VersionID: hash[:32],
			Size: 1 << 30, SHA256: hash, Version: fmt.Sprintf("2.9.0.dev%d+spyre", i/25), UploadTime: noon, RequiresPython: ">=3.10",
			MetadataSHA256: hash, MetadataETag: hash[:32], State: catalog.StateListed,
		})
	}
	return c
}

func BenchmarkEncode(b *testing.B) {
	c := big()
	b.ReportAllocs()
	for b.Loop() {
		data, err := c.Encode()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := big().Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := catalog.Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChange is what a change costs before it is written: a copy, one more
// file, and the comparison that tells whether pages change.
func BenchmarkChange(b *testing.B) {
	c := big()
	b.ReportAllocs()
	for b.Loop() {
		next := c.Clone()
		next.PutAll([]catalog.File{listed("torch-1.whl")})
		if next.SamePages(c) {
			b.Fatal("the change was not seen")
		}
	}
}
