package operatorconfig

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/access"
)

func TestTheSampleIsValid(t *testing.T) {
	cfg, err := Load("../../config/manager/operator.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Mirrors) != 1 || cfg.Mirrors[0].Region != "auto" || len(cfg.OIDCProviders) != 4 {
		t.Errorf("the sample is read as %+v", cfg)
	}
}

// Every sample lane gets all that it asks for under the sample configuration,
// once that also hands out access keys.
func TestTheSampleLanesHaveRoles(t *testing.T) {
	cfg, err := Load("../../config/manager/operator.yaml")
	if err != nil {
		t.Fatal(err)
	}
	settings := cfg.Access()
	settings.AccessKeysEnabled = true
	files, err := filepath.Glob("../../config/samples/distribution_*_platformlane_*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("found %d sample lanes (%v)", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lane := &v1alpha1.PlatformLane{}
		if err := yaml.UnmarshalStrict(text, lane); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(lane.Spec.Channels) == 0 {
			continue // admitted only
		}
		if _, err := access.Render(lane, settings, nil); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}
