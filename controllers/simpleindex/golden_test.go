package simpleindex_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestReports compares what is said about three pages, line by line. The first
// two have the form of the index that came before ours, the third is made up.
func TestReports(t *testing.T) {
	for name, src := range map[string]simpleindex.Source{
		"incumbent.html":      {URL: "https://index.example.com/whl/nightly/cu126/torch/", Project: "torch", ContentType: "text/html"},
		"incumbent-root.html": {URL: "https://index.example.com/whl/nightly/cu126/", ContentType: "text/html"},
		"hostile.json":        {URL: "https://index.example.com/whl/spyre/torch/", Project: "torch", ContentType: "binary/octet-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			src.Body = body
			var report strings.Builder
			for _, f := range judge(src) {
				report.WriteString(f.String() + "\n")
			}
			golden := filepath.Join("testdata", name+".report")
			if *update {
				if err := os.WriteFile(golden, []byte(report.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if report.String() != string(want) {
				t.Errorf("the report differs; look at it, and run with -update if it is right:\n%s", report.String())
			}
		})
	}
}

// TestOurPages judges every page of the golden files of package pages.
func TestOurPages(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "pages", "testdata", "whl_*_index.*"))
	if err != nil || len(pages) < 6 {
		t.Fatalf("%d pages found: %v", len(pages), err)
	}
	for _, path := range pages {
		t.Run(filepath.Base(path), func(t *testing.T) {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			src := ours(filepath.Base(path), body)
			for _, f := range judge(src) {
				// Relative on purpose: the same page serves every public address, and
				// names none of them.
				if f.Rule != "provenance-relative" {
					t.Errorf("%s", f)
				}
			}
		})
	}
}

// ours is the source of a golden page, told from its name: whl_spyre_torch_…
// and whl_nightly_spyre_… .
func ours(name string, body []byte) simpleindex.Source {
	folder, file, _ := strings.Cut(name, "_index.")
	parts := strings.Split(folder, "_")
	at := 2
	if len(parts) > 2 && (parts[1] == "nightly" || parts[1] == "test") {
		at = 3
	}
	src := simpleindex.Source{URL: "https://index.example.com/" + strings.Join(parts, "/") + "/", Body: body, ContentType: "text/html; charset=utf-8"}
	if len(parts) > at {
		src.Project = parts[at]
	}
	if file == "v1_json" {
		src.ContentType = simpleindex.TypeJSON
	}
	return src
}
