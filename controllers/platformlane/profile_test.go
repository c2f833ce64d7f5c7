package platformlane

import (
	"reflect"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

func TestPagesTellWhatTheManifestSays(t *testing.T) {
	maintainers := []v1alpha1.Maintainer{{Name: "Ada", Email: "ada@example.org", GitHub: "ada"}}
	lane := &v1alpha1.PlatformLane{Spec: v1alpha1.PlatformLaneSpec{
		Packages: []string{"torch", "libtorch"}, LatestSupportedRelease: "2.9", Maintainers: maintainers,
		Channels: []v1alpha1.Channel{{Name: v1alpha1.ChannelNightly}, {Name: v1alpha1.ChannelRelease}},
	}}
	want := pages.Profile{
		Packages: []string{"torch", "libtorch"}, LatestSupportedRelease: "2.9", Maintainers: maintainers,
		Channels: []v1alpha1.ChannelName{v1alpha1.ChannelNightly, v1alpha1.ChannelRelease},
	}
	if got := profileOf(lane); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
