package api

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pytorch/platform-lane-operator/controllers/claim"
)

// TestReservedNamesAreRefused: admission and the controller refuse the same
// platforms. A name that only the controller refuses would leave its author with
// a lane that never becomes ready.
func TestReservedNamesAreRefused(t *testing.T) {
	begun := []string{"cu", "cu1", "cu118", "cu13x", "rocm", "rocm6", "rocmx", "torch", "torchx", "torch2"}
	for _, platform := range slices.Concat(claim.ReservedNames(), begun) {
		if _, reserved := claim.Reserved(platform); !reserved {
			t.Errorf("the controller takes %s", platform)
		}
		if says := refusal(t, platform); says != saysReserved && says != saysShadows {
			t.Errorf("%s: the API server says %q", platform, says)
		}
	}
	for _, platform := range []string{"spyre", "cuda", "cux", "roc", "tor", "tests", "nightlyx", "numpyx", "releases", "zipper"} {
		if why, reserved := claim.Reserved(platform); reserved {
			t.Errorf("the controller refuses %s: %s", platform, why)
		}
		if says := refusal(t, platform); says != "" {
			t.Errorf("%s: the API server says %q", platform, says)
		}
	}
}

// refusal is what the API server says of a platform; empty if it takes it.
func refusal(t *testing.T, platform string) string {
	t.Helper()
	object := manifest(t, leastLane, fmt.Sprintf("platform: %q", platform))
	_, err := resource(t, object).Create(t.Context(), object, strictDryRun)
	if err == nil {
		return ""
	}
	if !apierrors.IsInvalid(err) {
		t.Fatal(err)
	}
	for _, cause := range causes(err) {
		for _, says := range []string{saysReserved, saysShadows} {
			if cause.Field == "spec.platform" && strings.HasSuffix(cause.Message, says) {
				return says
			}
		}
	}
	return err.Error()
}

var listed = regexp.MustCompile(`'([a-z][a-z0-9]+)'`)

// TestSchemaReservesNoOtherName: no list in the schema holds a name that the
// controller would take.
func TestSchemaReservesNoOtherName(t *testing.T) {
	var names []string
	for kind, schema := range schemas(t) {
		for path, node := range nodes("", schema) {
			if kind != "PlatformLane" || path != ".spec.platform" {
				continue
			}
			for _, rule := range node.XValidations {
				if _, list, found := strings.Cut(rule.Rule, "self in ["); found {
					list, _, _ = strings.Cut(list, "]")
					for _, m := range listed.FindAllStringSubmatch(list, -1) {
						names = append(names, m[1])
					}
				}
			}
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, claim.ReservedNames()) {
		t.Errorf("the schema reserves\n%q\nthe controller\n%q", names, claim.ReservedNames())
	}
}
