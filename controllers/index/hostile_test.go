package index_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// TestHostileWheels uploads each file of the corpus beside a good one. Most of
// them share one name, so each gets a bucket of its own.
func TestHostileWheels(t *testing.T) {
	corpus, err := wheeltest.Hostile("spyre")
	if err != nil {
		t.Fatal(err)
	}
	if len(corpus) < 50 {
		t.Fatalf("the corpus has %d files", len(corpus))
	}
	for _, bad := range corpus {
		t.Run(bad.Title, func(t *testing.T) {
			w := newWorld(t)
			good := w.upload("1.0")
			w.store.Seed(folder+bad.Filename, bad.Data, fake.SeedOptions{NoChecksum: true})
			for range 2 {
				report := w.sync()
				reason := string(bad.Reason)
				if strings.Contains(bad.Filename, "/") {
					reason = "UnexpectedFolder"
				}
				wantRejected(t, report, bad.Filename, reason)
				if report.Files != 1 || report.Pending != 0 {
					t.Errorf("report %+v", report)
				}
				w.wantListed(good, true)
				contents := w.store.Contents()
				for key, body := range contents {
					if strings.Contains(key, "/index.") && strings.Contains(body, "2.9.0") {
						t.Errorf("%s lists it", key)
					}
				}
				if _, ok := contents[folder+bad.Filename+".metadata"]; ok {
					t.Error("it got a METADATA file")
				}
			}
		})
	}
}

func TestKeysThatAreNoWheels(t *testing.T) {
	w := newWorld(t)
	good := w.upload("2.9.0")
	wheel := bytesOf(t, wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre"})
	reasons := map[string]string{
		"notes.txt":                                "FilenameExtension",
		"":                                         "FilenameExtension",
		"sub/" + good:                              "UnexpectedFolder",
		"torch/evil/index.html":                    "UnexpectedFolder",
		"numpy-1.0+spyre-py3-none-any.whl":         "PackageNotAllowed",
		"libtorch-2.9.0+spyre-py3-none-any.whl":    "PackageNotAllowed",
		"torch-2.9.0-py3-none-any.whl":             "LocalVersionMismatch",
		"torch-2.9.0+spyre-py3-none-any.whl.whl":   "FilenameExtension",
		"torch-2.9.0%2Bspyre-py3-none-any.whl":     "FilenameCharacters",
		"<script>-2.9.0+spyre-py3-none-any.whl":    "FilenameCharacters",
		"torch/../../cu128/torch-1-py3-none-a.whl": "UnexpectedFolder",
	}
	for name := range reasons {
		w.store.Seed(folder+name, wheel, fake.SeedOptions{})
	}
	w.lane.Packages = append(w.lane.Packages, "libtorch")
	report := w.sync()
	for name, reason := range reasons {
		wantRejected(t, report, name, reason)
	}
	if report.Files != 1 || len(report.Rejected) != len(reasons) {
		t.Errorf("%d listed, %d rejected", report.Files, len(report.Rejected))
	}
	w.wantListed(good, true)
}

func TestListedFileStaysWhenItsPackageIsNoLongerAllowed(t *testing.T) {
	w := newWorld(t)
	name := w.upload("2.9.0")
	w.sync()
	w.lane.Packages = []string{"torchvision"}
	if _, err := w.store.Delete(t.Context(), folder+name+".metadata"); err != nil {
		t.Fatal(err)
	}
	w.sync()
	w.wantListed(name, true)
	if _, ok := w.store.Contents()[folder+name+".metadata"]; !ok {
		t.Error("the METADATA file was not put back")
	}
}

// TestManyBadFilesAreCountedAndTheFirstNamed, by key.
func TestManyBadFilesAreCountedAndTheFirstNamed(t *testing.T) {
	w := newWorld(t)
	const files = 10*index.MaxRejected + 7
	for i := files; i > 0; i-- {
		w.store.Seed(fmt.Sprintf("%sbad/%05d.whl", folder, i), []byte("x"), fake.SeedOptions{})
	}
	w.store.Seed(folder+"a.txt", []byte("x"), fake.SeedOptions{})
	report := w.settle(w.engine)
	if report.RejectedCount() != files+1 || len(report.Rejected) != index.MaxRejected || cap(report.Rejected) > 2*index.MaxRejected {
		t.Errorf("%d are rejected, %d named, in the space of %d", report.RejectedCount(), len(report.Rejected), cap(report.Rejected))
	}
	for i, r := range report.Rejected[1:] {
		if want := fmt.Sprintf("%sbad/%05d.whl", folder, i+1); r.Key != want {
			t.Fatalf("%d is %s, want %s", i+1, r.Key, want)
		}
	}
}
