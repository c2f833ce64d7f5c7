package operatorconfig

import "testing"

func TestTheSampleIsValid(t *testing.T) {
	cfg, err := Load("../../config/manager/operator.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Mirrors) != 1 || cfg.Mirrors[0].Region != "auto" || len(cfg.OIDCProviders) != 2 {
		t.Errorf("the sample is read as %+v", cfg)
	}
}
