package cdn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/cdn"
)

func TestPathsFor(t *testing.T) {
	for _, test := range []struct {
		name string
		keys []string
		want []string
	}{
		{"a page, under both of its names", []string{"whl/spyre/torch/index.html"},
			[]string{"/whl/spyre/torch/", "/whl/spyre/torch/index.html"}},
		{"a JSON page", []string{"whl/spyre/torch/index.v1_json"},
			[]string{"/whl/spyre/torch/", "/whl/spyre/torch/index.v1_json"}},
		{"both pages share their directory", []string{"whl/spyre/torch/index.v1_json", "whl/spyre/torch/index.html"},
			[]string{"/whl/spyre/torch/", "/whl/spyre/torch/index.html", "/whl/spyre/torch/index.v1_json"}},
		{"the root page", []string{"index.html"}, []string{"/", "/index.html"}},
		{"both spellings of a plus", []string{"whl/spyre/torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl"},
			[]string{"/whl/spyre/torch-2.9.0*"}},
		{"sidecars go along", []string{"whl/spyre/torch-2.9.0+spyre-cp312.whl", "whl/spyre/torch-2.9.0+spyre-cp312.whl.metadata"},
			[]string{"/whl/spyre/torch-2.9.0*"}},
		{"a plain name", []string{"whl/spyre/removals.json"}, []string{"/whl/spyre/removals.json"}},
		{"a name in another script", []string{"whl/spyre/é.whl"}, []string{"/whl/spyre/*"}},
		{"a tilde, which some clients escape", []string{"whl/a~b"}, []string{"/whl/a*"}},
		{"a star is not a wildcard of the key's owner", []string{"whl/*"}, []string{"/whl/*"}},
		{"one covers the other", []string{"whl/spyre/torch-2+b", "whl/spyre/torch-2.9.0+a", "whl/spyre/torch-2"},
			[]string{"/whl/spyre/torch-2*"}},
		{"nothing", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := cdn.PathsFor(test.keys...)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if len(got) > 0 {
				if err := cdn.Check("t", got); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestCompact(t *testing.T) {
	many := func(n int, format string) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	for _, test := range []struct {
		name        string
		paths, want []string
	}{
		{"duplicates", []string{"/b", "/a", "/b"}, []string{"/a", "/b"}},
		{"a wildcard swallows", []string{"/a/b", "/a/*", "/a/b*", "/a"}, []string{"/a", "/a/*"}},
		{"as many wildcards as may be", many(15, "/whl/x/torch-%02d*"), many(15, "/whl/x/torch-%02d*")},
		{"one more", many(16, "/whl/x/torch-%02d*"), []string{"/whl/x/*"}},
		{"the deepest give way first", append(many(15, "/whl/x/torch-%02d*"), "/whl/a*", "/top"), []string{"/top", "/whl/a*", "/whl/x/*"}},
		{"of directories that are wildcards", many(16, "/whl/%02d/*"), []string{"/whl/*"}},
		{"at the top there is one left", many(16, "/%02d*"), []string{"/*"}},
		{"as many paths as may be", many(3000, "/whl/x/%04d.json"), many(3000, "/whl/x/%04d.json")},
		{"more", many(3001, "/whl/x/%04d.json"), []string{"/whl/x/*"}},
		{"more, over many lanes", many(3001, "/whl/%04d/index.html"), []string{"/whl/*"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := cdn.Compact(test.paths); !slices.Equal(got, test.want) {
				t.Errorf("got %d: %.200q, want %d: %.200q", len(got), fmt.Sprint(got), len(test.want), fmt.Sprint(test.want))
			}
		})
	}
}

// Whatever comes in, what comes out is within the quotas and covers it.
func FuzzCompact(f *testing.F) {
	f.Add(40, 3, true)
	f.Add(4000, 2, false)
	f.Add(16, 1, true)
	f.Fuzz(func(t *testing.T, n, depth int, wild bool) {
		n, depth = min(max(n, 0), 5000), min(max(depth, 1), 6)
		var paths []string
		for i := range n {
			path := ""
			for d := range depth {
				path += fmt.Sprintf("/%d", (i>>d)%97)
			}
			if wild && i%2 == 0 {
				path += "*"
			}
			paths = append(paths, path)
		}
		got := cdn.Compact(paths)
		wildcards := 0
		for _, path := range got {
			if strings.HasSuffix(path, "*") {
				wildcards++
			}
		}
		if wildcards > cdn.MaxWildcards || len(got) > cdn.MaxPaths {
			t.Fatalf("%d wildcards, %d paths", wildcards, len(got))
		}
		for _, path := range paths {
			if !slices.ContainsFunc(got, func(pattern string) bool { return cdn.Covers(pattern, path) }) {
				t.Fatalf("%s is not covered", path)
			}
		}
	})
}
