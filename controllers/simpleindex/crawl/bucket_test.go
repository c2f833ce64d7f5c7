package crawl_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
	"github.com/pytorch/platform-lane-operator/controllers/simpleindex/crawl"
)

const (
	prefix   = "whl/spyre/"
	wheelKey = prefix + wheelName
)

var (
	htmlStored = fake.SeedOptions{ContentType: "text/html; charset=utf-8", CacheControl: "max-age=0"}
	jsonStored = fake.SeedOptions{ContentType: simpleindex.TypeJSON, CacheControl: "max-age=0"}
)

// newBucket holds an index in order.
func newBucket() *fake.Store {
	s := fake.New("pytorch")
	html, jsonText := projectPage(sum("wheel"), 5)
	s.Seed(prefix+"index.html", []byte(rootHTML("torch")), htmlStored)
	s.Seed(prefix+"index.v1_json", []byte(rootJSON), jsonStored)
	s.Seed(prefix+"torch/index.html", []byte(html), htmlStored)
	s.Seed(prefix+"torch/index.v1_json", []byte(jsonText), jsonStored)
	s.Seed(wheelKey, []byte("wheel"), fake.SeedOptions{CacheControl: "max-age=300"})
	s.Seed(wheelKey+".metadata", []byte("METADATA"), fake.SeedOptions{})
	s.Seed(prefix+"removals.json", []byte("{}"), fake.SeedOptions{})
	return s
}

func TestBucket(t *testing.T) {
	all := crawl.Options{Hashes: true}
	for _, c := range []struct {
		what    string
		prepare func(*fake.Store)
		o       crawl.Options
		want    []string
	}{
		{"in order", func(*fake.Store) {}, all, nil},
		{"stored content type", func(s *fake.Store) {
			s.Seed(prefix+"index.html", []byte(rootHTML("torch")), fake.SeedOptions{ContentType: "binary/octet-stream"})
		}, all, []string{"content-type"}},
		{"no content type", func(s *fake.Store) { s.Seed(prefix+"index.html", []byte(rootHTML("torch")), fake.SeedOptions{}) }, all, []string{"content-type"}},
		{"a page that caches keep", func(s *fake.Store) {
			s.Seed(prefix+"index.html", []byte(rootHTML("torch")), fake.SeedOptions{ContentType: "text/html", CacheControl: "max-age=86400"})
		}, all, []string{"cache-page"}},
		{"an immutable file", func(s *fake.Store) {
			s.Seed(wheelKey, []byte("wheel"), fake.SeedOptions{CacheControl: "immutable"})
		}, crawl.Options{Files: true}, []string{"cache-immutable"}},
		{"formats disagree", func(s *fake.Store) {
			_, jsonText := projectPage(sum("other"), 5)
			s.Seed(prefix+"torch/index.v1_json", []byte(jsonText), jsonStored)
		}, crawl.Options{}, []string{"formats-disagree"}},
		{"listed and gone", func(s *fake.Store) { s.SeedDelete(wheelKey) }, crawl.Options{}, []string{"file-unreachable"}},
		{"no METADATA", func(s *fake.Store) { s.SeedDelete(wheelKey + ".metadata") }, crawl.Options{}, []string{"metadata-unreachable"}},
		{"other METADATA", func(s *fake.Store) { s.Seed(wheelKey+".metadata", []byte("x"), fake.SeedOptions{}) }, crawl.Options{Files: true}, []string{"metadata-hash"}},
		{"another size", func(s *fake.Store) { s.Seed(wheelKey, []byte("wheels"), fake.SeedOptions{}) }, crawl.Options{}, []string{"file-size"}},
		{"other bytes", func(s *fake.Store) { s.Seed(wheelKey, []byte("wheeL"), fake.SeedOptions{}) }, all, []string{"file-hash"}},
		{"stored and not listed", func(s *fake.Store) { s.Seed(prefix+"torch-1-py3-none-any.whl", nil, fake.SeedOptions{}) }, crawl.Options{}, []string{"file-unlisted"}},
		{"no page", func(s *fake.Store) {
			s.SeedDelete(prefix + "torch/index.html")
			s.SeedDelete(prefix + "torch/index.v1_json")
		}, crawl.Options{}, []string{"file-unlisted", "project-without-page"}},
		{"a page that is not listed", func(s *fake.Store) { s.Seed(prefix+"old/index.html", nil, htmlStored) }, crawl.Options{}, []string{"page-not-listed"}},
		{"a page in another place", func(s *fake.Store) {
			s.Seed(prefix+"index.html", []byte(strings.Replace(rootHTML("torch"), `"torch/"`, `"https://elsewhere.example.com/torch/"`, 1)), htmlStored)
		}, crawl.Options{}, []string{"file-unlisted", "page-unreachable"}},
		{"a store that fails", func(s *fake.Store) {
			s.FailBefore(fake.On(objectstore.OpGet, func(_, key string) error {
				if key == prefix+"torch/index.html" {
					return objectstore.ErrUnavailable
				}
				return nil
			}))
		}, crawl.Options{}, []string{"page-unreachable"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newBucket()
			c.prepare(s)
			report, err := crawl.Bucket(t.Context(), s, strings.TrimSuffix(prefix, "/"), c.o)
			if err != nil {
				t.Fatal(err)
			}
			if got := rulesOf(report); !slices.Equal(got, c.want) {
				t.Errorf("found %v, want %v:\n%v", got, c.want, report.Findings)
			}
			for _, f := range report.Findings {
				if !strings.HasPrefix(f.Page, "s3://pytorch/"+prefix) && f.Page != "https://elsewhere.example.com/torch/" {
					t.Errorf("told of page %s", f.Page)
				}
			}
		})
	}
}

// TestBucketCosts: files cost nothing beside the listing unless asked for.
func TestBucketCosts(t *testing.T) {
	s := newBucket()
	if _, err := crawl.Bucket(t.Context(), s, prefix, crawl.Options{}); err != nil {
		t.Fatal(err)
	}
	calls := s.Calls()
	if calls[objectstore.OpList] != 1 || calls[objectstore.OpGet] != 4 || len(calls) != 2 {
		t.Errorf("%v", calls)
	}
}

func TestBucketCannotCheck(t *testing.T) {
	s := fake.New("pytorch")
	if _, err := crawl.Bucket(t.Context(), s, prefix, crawl.Options{}); err == nil || !strings.Contains(err.Error(), "index.html") {
		t.Errorf("empty prefix: %v", err)
	}
	s.FailBefore(func(string, string) error { return objectstore.ErrDenied })
	if _, err := crawl.Bucket(t.Context(), s, prefix, crawl.Options{}); err == nil {
		t.Error("denied: no error")
	}
}
