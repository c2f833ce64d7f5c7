package layout

import (
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		channel         v1alpha1.ChannelName
		wheel, libtorch string
	}{
		{v1alpha1.ChannelRelease, "whl/spyre/", "libtorch/spyre/"},
		{v1alpha1.ChannelNightly, "whl/nightly/spyre/", "libtorch/nightly/spyre/"},
		{v1alpha1.ChannelTest, "whl/test/spyre/", "libtorch/test/spyre/"},
	} {
		if got := WheelPrefix("spyre", c.channel); got != c.wheel {
			t.Errorf("WheelPrefix(%s) = %q, want %q", c.channel, got, c.wheel)
		}
		if got := LibtorchPrefix("spyre", c.channel); got != c.libtorch {
			t.Errorf("LibtorchPrefix(%s) = %q, want %q", c.channel, got, c.libtorch)
		}
		for _, prefix := range []string{c.wheel, c.libtorch} {
			platform, channel, rest, ok := LaneOf(prefix + "torch/index.html")
			if !ok || platform != "spyre" || channel != c.channel || rest != "torch/index.html" {
				t.Errorf("LaneOf(%q…) = %q %q %q %v", prefix, platform, channel, rest, ok)
			}
		}
	}
}

func TestLaneOfRefusesForeignKeys(t *testing.T) {
	for _, key := range []string{"", "whl", "whl/", "whl//x", "whl/file.whl", "whl/nightly/", "whl/nightly//x", "_lanes/spyre/claim.json", "other/spyre/x", "libtorch/nightly/x"} {
		if platform, channel, rest, ok := LaneOf(key); ok {
			t.Errorf("LaneOf(%q) = %q %q %q, want none", key, platform, channel, rest)
		}
	}
}

func TestEscapeKey(t *testing.T) {
	for in, want := range map[string]string{
		"whl/spyre/torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl": "whl/spyre/torch-2.9.0%2Bspyre-cp312-cp312-linux_x86_64.whl",
		"a b/c?d#e%f": "a%20b/c%3Fd%23e%25f",
		`<"'>&~`:      "%3C%22%27%3E%26~",
	} {
		if got := EscapeKey(in); got != want {
			t.Errorf("EscapeKey(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPages(t *testing.T) {
	for _, c := range []struct {
		channel                 v1alpha1.ChannelName
		root, project, archives string
	}{
		{v1alpha1.ChannelRelease, "whl/spyre/", "whl/spyre/torch/", "libtorch/spyre/"},
		{v1alpha1.ChannelNightly, "whl/nightly/spyre/", "whl/nightly/spyre/torch/", "libtorch/nightly/spyre/"},
	} {
		for folder, keys := range map[string]func() (string, string){
			c.root:     func() (string, string) { return RootPages("spyre", c.channel) },
			c.project:  func() (string, string) { return ProjectPages("spyre", c.channel, "torch") },
			c.archives: func() (string, string) { return ProjectPages("spyre", c.channel, v1alpha1.LibtorchPackage) },
		} {
			if html, json := keys(); html != folder+"index.html" || json != folder+"index.v1_json" {
				t.Errorf("%s %s: %s and %s", c.channel, folder, html, json)
			}
		}
	}
}
