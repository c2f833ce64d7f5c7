package wheel_test

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

func corpus(f *testing.F) []wheeltest.HostileWheel {
	f.Helper()
	all, err := wheeltest.Hostile("spyre")
	if err != nil {
		f.Fatal(err)
	}
	return all
}

func FuzzParseFilename(f *testing.F) {
	for name := range publishedNames(f) {
		f.Add(name)
	}
	for _, h := range corpus(f) {
		f.Add(h.Filename)
	}
	f.Add("libtorch-shared-with-deps-2.9.0+spyre.zip")
	f.Fuzz(func(t *testing.T, name string) {
		if parsed, err := wheel.ParseFilename(name); err == nil {
			if strings.ContainsAny(name, "/\\%<>&\"' \x00") || !strings.HasSuffix(name, ".whl") || len(name) > wheel.MaxFilename {
				t.Errorf("%q passed", name)
			}
			if len(parsed.Tags()) == 0 || len(parsed.Tags()) > 256 || parsed.String() != name {
				t.Errorf("%q: %+v", name, parsed)
			}
		}
		if parsed, err := wheel.CheckListing(name, 1, rules); err == nil {
			if parsed.Project != "torch" && parsed.Project != "torch-xla" || !strings.Contains(name, "+spyre") {
				t.Errorf("%q is not the lane's", name)
			}
		}
		if parsed, err := wheel.ParseLibtorchFilename(name); err == nil {
			if !strings.HasPrefix(name, "libtorch-") || parsed.Latest != parsed.Version.IsZero() {
				t.Errorf("%q: %+v", name, parsed)
			}
		}
	})
}

func FuzzMetadata(f *testing.F) {
	good := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.10"}
	f.Add(string(good.MetadataBytes()))
	f.Add(strings.ReplaceAll(string(good.MetadataBytes()), "\n", "\r\n"))
	f.Add("Metadata-Version: 2.4\nname:TORCH\nLicense: a\n  b\n\tc\nVersion: 2.9+spyre")
	f.Fuzz(func(t *testing.T, metadata string) {
		w := good
		w.Metadata = []byte(metadata)
		data, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		verdict, _, err := judge(w.Filename(), data)
		if err != nil {
			return
		}
		if string(verdict.Metadata) != metadata {
			t.Errorf("METADATA was changed to %q", verdict.Metadata)
		}
		if _, err := pep440.ParseSpecifiers(verdict.RequiresPython); err != nil || strings.ContainsAny(verdict.RequiresPython, "\r\n") {
			t.Errorf("Requires-Python %q: %v", verdict.RequiresPython, err)
		}
	})
}

// FuzzJudge changes archives. One that passes must read the same with the
// standard library.
func FuzzJudge(f *testing.F) {
	good := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.10"}
	data, err := good.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, h := range corpus(f) {
		if len(h.Data) < 8<<10 {
			f.Add(h.Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		verdict, s, err := judge(good.Filename(), data)
		if s.reads > 20 {
			t.Errorf("%d reads", s.reads)
		}
		if err != nil {
			return
		}
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatalf("passed, but does not open: %v", err)
		}
		file, err := archive.Open(good.DistInfo() + "/METADATA")
		if err != nil {
			t.Fatalf("passed, but has no METADATA: %v", err)
		}
		want, err := io.ReadAll(file)
		if err != nil || !bytes.Equal(want, verdict.Metadata) {
			t.Errorf("METADATA reads %q (%v) and was judged as %q", want, err, verdict.Metadata)
		}
	})
}
