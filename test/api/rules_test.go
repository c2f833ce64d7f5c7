package api

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A badManifest differs from the least valid one in spec alone, and the API
// server must refuse it with this message at this field.
type badManifest struct {
	name  string
	spec  string // JSON merge patch for spec, as YAML between braces
	field string
	says  string
}

type goodManifest struct{ name, spec string }

func TestGoodLanes(t *testing.T) { accepted(t, leastLane, goodLanes) }
func TestGoodYanks(t *testing.T) { accepted(t, leastYank, goodYanks) }
func TestBadLanes(t *testing.T)  { refused(t, leastLane, badLanes) }
func TestBadYanks(t *testing.T)  { refused(t, leastYank, badYanks) }

func accepted(t *testing.T, base string, table []goodManifest) {
	t.Helper()
	for _, good := range table {
		t.Run(good.name, func(t *testing.T) {
			object := manifest(t, base, good.spec)
			if _, err := resource(t, object).Create(t.Context(), object, strictDryRun); err != nil {
				t.Errorf("%s\nis refused: %v", good.spec, err)
			}
		})
	}
}

func refused(t *testing.T, base string, table []badManifest) {
	t.Helper()
	for _, bad := range table {
		t.Run(bad.name, func(t *testing.T) {
			object := manifest(t, base, bad.spec)
			_, err := resource(t, object).Create(t.Context(), object, strictDryRun)
			expectCause(t, err, bad.field, bad.says)
		})
	}
}

// expectCause asserts that the API server answered Invalid and that one of the
// causes says this at this field.
func expectCause(t *testing.T, err error, field, says string) {
	t.Helper()
	if !apierrors.IsInvalid(err) {
		t.Fatalf("got %v; want a refusal of %s that says %q", err, field, says)
	}
	for _, cause := range causes(err) {
		if cause.Field == field && strings.HasSuffix(cause.Message, says) {
			return
		}
	}
	t.Errorf("got %v;\nwant a refusal of %s that says %q", err, field, says)
}

func causes(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	return status.Status().Details.Causes
}

// TestUnknownFieldsAreRefused: a misspelt field must not be dropped in silence.
func TestUnknownFieldsAreRefused(t *testing.T) {
	for _, test := range []struct{ base, spec, says string }{
		{leastLane, "acess: Suspended", `unknown field "spec.acess"`},
		{leastLane, "channels: [{name: nightly, retentionDay: 3}]", `unknown field "spec.channels[0].retentionDay"`},
		{leastYank, "dryRun: true", `unknown field "spec.dryRun"`},
		{leastYank, "selector: {version: '==1'}", `unknown field "spec.selector.version"`},
	} {
		object := manifest(t, test.base, test.spec)
		_, err := resource(t, object).Create(t.Context(), object, strictDryRun)
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want a refusal that says %s", test.spec, err, test.says)
		}
	}
}
