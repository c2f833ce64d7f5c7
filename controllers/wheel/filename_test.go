package wheel_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

func TestParseFilename(t *testing.T) {
	tests := []struct{ name, project, version, build, tags string }{
		{"torch-2.9.0+spyre-cp312-cp312-manylinux_2_28_x86_64.whl", "torch", "2.9.0+spyre", "", "cp312-cp312-manylinux_2_28_x86_64"},
		{"torch_xla-2.9.0+spyre-py3-none-any.whl", "torch-xla", "2.9.0+spyre", "", "py3-none-any"},
		{"Torch.XLA-2.9-py3-none-any.whl", "torch-xla", "2.9", "", "py3-none-any"},
		{"torch-1!2.9-py3-none-any.whl", "torch", "1!2.9", "", "py3-none-any"},
		{"torch-2.9-1_a-py3-none-any.whl", "torch", "2.9", "1_a", "py3-none-any"},
		{"TorchCodec-0.3.0.dev20250308+cu128-cp313-cp313t-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", "torchcodec", "0.3.0.dev20250308+cu128", "",
			"cp313-cp313t-manylinux_2_17_x86_64 cp313-cp313t-manylinux2014_x86_64"},
		{"torch-2.9-cp39.CP310-abi3-any.whl", "torch", "2.9", "", "cp39-abi3-any cp310-abi3-any"},
	}
	for _, test := range tests {
		f, err := wheel.ParseFilename(test.name)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if f.String() != test.name || f.Project != test.project || f.Version.String() != test.version || f.Build != test.build ||
			!slices.Equal(f.Tags(), strings.Fields(test.tags)) {
			t.Errorf("%s: %+v %q", test.name, f, f.Tags())
		}
	}
}

func TestCheckListingAllowsAnySpellingOfTheProject(t *testing.T) {
	for _, name := range []string{"Torch_XLA-2.9.0+spyre-py3-none-any.whl", "torch.xla-2.9.0+spyre.1-py3-none-any.whl"} {
		if _, err := wheel.CheckListing(name, 1, rules); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseLibtorchFilename(t *testing.T) {
	tests := []struct{ name, variant, version, local string }{
		{"libtorch-cxx11-abi-shared-with-deps-2.9.0+spyre.zip", "cxx11-abi-shared-with-deps", "2.9.0+spyre", "spyre"},
		{"libtorch-win-shared-with-deps-debug-2.10.0.dev20251001+cu126.zip", "win-shared-with-deps-debug", "2.10.0.dev20251001+cu126", "cu126"},
		{"libtorch-macos-arm64-2.9.0.zip", "macos-arm64", "2.9.0", ""},
		{"libtorch-macos-x86_64-2.2.2.zip", "macos-x86_64", "2.2.2", ""},
		{"libtorch-2.9.0+spyre.zip", "", "2.9.0+spyre", "spyre"},
		{"libtorch-shared-with-deps-latest.zip", "shared-with-deps", "", ""},
	}
	for _, test := range tests {
		f, err := wheel.ParseLibtorchFilename(test.name)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if f.String() != test.name || f.Variant != test.variant || f.Latest != (test.version == "") || f.Latest != f.Version.IsZero() ||
			(!f.Latest && f.Version.String() != test.version) || f.Version.Local() != test.local {
			t.Errorf("%s: %+v", test.name, f)
		}
	}
}

func TestCheckArchive(t *testing.T) {
	lane := wheel.Rules{Platform: "spyre", Packages: []string{"torch", "libtorch"}, MaxBytes: 10}
	if _, err := wheel.CheckArchive("libtorch-shared-with-deps-2.9.0+spyre.zip", 10, lane); err != nil {
		t.Error(err)
	}
	wheelsOnly := wheel.Rules{Platform: "spyre", Packages: []string{"torch"}}
	tests := []struct {
		name  string
		rules wheel.Rules
		size  int64
		want  wheel.Reason
	}{
		{"libtorch-shared-with-deps-2.9.0+spyre.zip", wheelsOnly, 1, wheel.ReasonPackageNotAllowed},
		{"libtorch-shared-with-deps-2.9.0+spyre.zip", lane, 11, wheel.ReasonFileTooLarge},
		{"libtorch-shared-with-deps-2.9.0.zip", lane, 1, wheel.ReasonLocalVersion},
		{"libtorch-shared-with-deps-2.9.0+spyrex.zip", lane, 1, wheel.ReasonLocalVersion},
		{"libtorch-shared-with-deps-latest.zip", lane, 1, wheel.ReasonFilenameVersion},
		{"libtorch-shared-with-deps-newest.zip", lane, 1, wheel.ReasonFilenameVersion},
		{"libtorch-shared-with-deps-2.09.0+spyre.zip", lane, 1, wheel.ReasonFilenameNotNormalized},
		{"libtorch-shared-with-deps-2.9.0%2Bspyre.zip", lane, 1, wheel.ReasonFilenameCharacters},
		{"libtorch-shared-with-deps-2.9.0+spyre.zip.zip", lane, 1, wheel.ReasonFilenameExtension},
		{"libtorch-shared-with-deps-2.9.0+spyre.whl", lane, 1, wheel.ReasonFilenameExtension},
		{"libtorch-Shared-2.9.0+spyre.zip", lane, 1, wheel.ReasonFilenameParts},
		{"libtorch--2.9.0+spyre.zip", lane, 1, wheel.ReasonFilenameParts},
		{"libtorchx-2.9.0+spyre.zip", lane, 1, wheel.ReasonFilenameParts},
		{"libtorch.zip", lane, 1, wheel.ReasonFilenameParts},
	}
	for _, test := range tests {
		_, err := wheel.CheckArchive(test.name, test.size, test.rules)
		var rejection *wheel.Rejection
		if !errors.As(err, &rejection) || rejection.Reason != test.want {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
}

func TestRulesWithoutPlatformAllowNothing(t *testing.T) {
	for _, name := range []string{"torch-2.9.0-py3-none-any.whl", "torch-2.9.0+spyre-py3-none-any.whl"} {
		if _, err := wheel.CheckListing(name, 1, wheel.Rules{Packages: []string{"torch"}}); err == nil {
			t.Errorf("%s passed", name)
		}
	}
}
