package pages_test

import (
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

func TestInstallCommands(t *testing.T) {
	for _, c := range []struct {
		packages []string
		channel  v1alpha1.ChannelName
		pip, uv  string
	}{
		{[]string{"torch"}, v1alpha1.ChannelRelease, "pip install torch --extra-index-url https://x/", "uv pip install torch --index https://x/"},
		{[]string{"libtorch", "torch-xla", "torch"}, v1alpha1.ChannelTest, "pip install --pre torch-xla --extra-index-url https://x/", "uv pip install --prerelease allow torch-xla --index https://x/"},
		{[]string{"torch"}, v1alpha1.ChannelNightly, "pip install --pre torch --extra-index-url https://x/", "uv pip install --prerelease allow torch --index https://x/"},
		{[]string{"libtorch"}, v1alpha1.ChannelRelease, "", ""},
		{nil, v1alpha1.ChannelRelease, "", ""},
	} {
		if got := pages.PipCommand(c.packages, c.channel, "https://x/"); got != c.pip {
			t.Errorf("PipCommand(%q, %s) = %q, want %q", c.packages, c.channel, got, c.pip)
		}
		if got := pages.UVCommand(c.packages, c.channel, "https://x/"); got != c.uv {
			t.Errorf("UVCommand(%q, %s) = %q, want %q", c.packages, c.channel, got, c.uv)
		}
	}
}
