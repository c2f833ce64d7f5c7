package main

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// history is a small one in the form of the recorded files, with all that a line
// may hold: several folders, odd names, rows and keys.
func history(t *testing.T) (baseline, trace string) {
	t.Helper()
	var table, days strings.Builder
	for i := range 40 {
		fmt.Fprintf(&table, "whl/nightly/cu126/torch-2.9.0.dev202510%02d+cu126-cp312-cp312-manylinux_2_28_x86_64.whl\t%064x\t\t>=3.10\n", i%28+1, i)
		fmt.Fprintf(&table, "whl/cpu/torchvision-0.%d.0-cp312-cp312-win_amd64.whl\t%064x\t%064x\t\n", i, i, i)
	}
	table.WriteString("whl/Jinja2-3.1.2-py3-none-any.whl\tab\t\t\nwhl/jinja2-3.1.2-py3-none-any.whl\tab\t\t\nwhl/notawheel.txt\t\t\t\nelsewhere/x-1-py3-none-any.whl\t\t\t\n")
	days.WriteString(`{"day":"2025-10-02","added":[["whl/nightly/cu126/torch-2.9.0.dev20251031+cu126-cp312-cp312-manylinux_2_28_x86_64.whl","aa","bb",">=3.11,<4"],["whl/rocm6.4/triton-3.1.0-cp312-cp312-linux_x86_64.whl","cc","",""]],"removed":["whl/cpu/torchvision-0.7.0-cp312-cp312-win_amd64.whl"],"overwritten":[]}
{"day":"2025-10-03","added":[],"removed":[],"overwritten":["whl/cpu/torchvision-0.8.0-cp312-cp312-win_amd64.whl"]}
{"day":"2025-10-04","added":[["whl/cpu/torchvision-0.7.0-cp312-cp312-win_amd64.whl","dd","",""]],"removed":[["whl/cpu/torchvision-0.8.0-cp312-cp312-win_amd64.whl","","",""]],"overwritten":[]}
{"day":"2025-10-05","added":[],"removed":[],"overwritten":[]}
`)
	dir := t.TempDir()
	baseline, trace = filepath.Join(dir, "baseline.tsv"), filepath.Join(dir, "trace.jsonl.gz")
	if err := os.WriteFile(baseline, []byte(table.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(trace)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(days.String())); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return baseline, trace
}

func TestReplay(t *testing.T) {
	baseline, trace := history(t)
	r := newReplay(3, t.Logf)
	if err := r.load(t.Context(), baseline, trace, 0); err != nil {
		t.Fatal(err)
	}
	if err := r.checkRebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := r.result()
	if len(out.Days) != 4 || out.Sum.Added != 3 || out.Sum.Removed != 2 || out.Sum.Overwritten != 1 {
		t.Errorf("%+v", out.Sum)
	}
	if out.Skipped["no valid wheel name"] != 1 || out.Skipped["not below whl/"] != 1 || out.Skipped["named twice"] == 0 {
		t.Errorf("skipped %v", out.Skipped)
	}
	// A day without a change costs listings alone, and writes nothing.
	if quiet := out.Days[3]; quiet.Total != quiet.Requests["ListObjectsV2"] || quiet.PagesWritten != 0 || quiet.Invalidations != 0 || quiet.BytesWritten != 0 {
		t.Errorf("a day without changes: %+v", quiet)
	}
	if out.Days[0].Incumbent <= 2*len(r.files) {
		t.Errorf("the incumbent's requests: %d", out.Days[0].Incumbent)
	}
}

// The checks find what they are there for.
func TestChecks(t *testing.T) {
	baseline, trace := history(t)
	broken := func() *replay {
		r := newReplay(1, t.Logf)
		if err := r.load(t.Context(), baseline, trace, 1); err != nil {
			t.Fatal(err)
		}
		return r
	}
	page, _ := layout.ProjectPages("cpu", "release", "torchvision")
	for what, spoil := range map[string]func(*replay){
		"a page that lost its files": func(r *replay) { r.store.Seed(page, []byte("<!DOCTYPE html>"), fake.SeedOptions{}) },
		"a file that is on record and not stored": func(r *replay) {
			for key := range r.files {
				r.files[key+"x"] = r.files[key]
				r.files[key+"x"].name += "x"
				return
			}
		},
		"a file that is listed and not on record": func(r *replay) {
			for key := range r.files {
				delete(r.files, key)
				return
			}
		},
	} {
		r := broken()
		spoil(r)
		if err := r.checkPages(t.Context(), r.store); err == nil {
			t.Errorf("%s was not found", what)
		}
	}
	r := broken()
	other := "whl/cpu/index.html"
	r.store.Seed(other, []byte("tampered"), fake.SeedOptions{})
	if err := r.check(t.Context()); err == nil {
		t.Error("a list of projects that is not what an engine makes was not found")
	}
	r = broken()
	r.store.Seed(other, []byte("tampered"), fake.SeedOptions{})
	if err := r.checkRebuild(t.Context()); err == nil {
		t.Error("a page that an index built from nothing does not have was not found")
	}
}
