package apiserver

import (
	"testing"

	"k8s.io/client-go/discovery"
)

func TestServesTheInstalledKinds(t *testing.T) {
	own, err := OwnCRDs()
	if err != nil {
		t.Fatal(err)
	}
	role, err := ACKRoleCRD(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(ForTest(t, own, role))
	if err != nil {
		t.Fatal(err)
	}
	for group, kinds := range map[string][]string{
		"distribution.pytorch.org/v1alpha1": {"PlatformLane", "Yank"},
		"iam.services.k8s.aws/v1alpha1":     {"Role"},
	} {
		list, err := client.ServerResourcesForGroupVersion(group)
		if err != nil {
			t.Fatal(err)
		}
		served := map[string]bool{}
		for _, r := range list.APIResources {
			served[r.Kind] = true
		}
		for _, kind := range kinds {
			if !served[kind] {
				t.Errorf("%s does not serve %s", group, kind)
			}
		}
	}
}

func TestMissingCRDsAreAnError(t *testing.T) {
	server, err := Start(t.Context(), t.TempDir()+"/absent")
	if err == nil {
		_ = server.Stop()
		t.Fatal("an API server started although its CRDs are missing")
	}
}
