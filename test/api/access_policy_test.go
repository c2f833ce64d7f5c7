package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// lanes are the lanes of a namespace as several users see them.
type lanes struct {
	t         *testing.T
	namespace string
	users     map[string]dynamic.ResourceInterface
}

// lanesWithPolicies waits until the policies on access are in force.
func lanesWithPolicies(t *testing.T) *lanes {
	t.Helper()
	install(t)
	l := &lanes{t: t, namespace: newNamespace(t), users: map[string]dynamic.ResourceInterface{}}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	probe := manifest(t, leastLane, "access: Suspended")
	probe.SetNamespace(l.namespace)
	probe.SetAnnotations(map[string]string{v1alpha1.AccessReasonAnnotation: "two\nlines"})
	for {
		_, err := resource(t, probe).Create(ctx, probe, strictDryRun)
		if err != nil && strings.Contains(err.Error(), "is one line of at most 512 characters") {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("the policy is not in force: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	probe.SetAnnotations(nil)
	for {
		created, err := resource(t, probe).Create(ctx, probe, strictDryRun)
		if err == nil && created.GetAnnotations()[v1alpha1.AccessChangedByAnnotation] != "" {
			return l
		}
		if ctx.Err() != nil {
			t.Fatalf("who creates a suspended lane is not stamped: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (l *lanes) as(user string) dynamic.ResourceInterface {
	l.t.Helper()
	if l.users[user] == nil {
		config, err := server.AddUser(user, "system:masters")
		if err != nil {
			l.t.Fatal(err)
		}
		c, err := dynamic.NewForConfig(config)
		if err != nil {
			l.t.Fatal(err)
		}
		l.users[user] = c.Resource(v1alpha1.GroupVersion.WithResource("platformlanes")).Namespace(l.namespace)
	}
	return l.users[user]
}

// record is what the annotations say.
type record struct{ by, reason string }

func recordOf(annotations map[string]string) record {
	return record{annotations[v1alpha1.AccessChangedByAnnotation], annotations[v1alpha1.AccessReasonAnnotation]}
}

// change is a merge patch of access and annotations; null removes one, and
// without any they are left alone.
func change(access v1alpha1.Access, annotations map[string]any) string {
	patch := map[string]any{}
	if annotations != nil {
		patch["metadata"] = map[string]any{"annotations": annotations}
	}
	if access != "" {
		patch["spec"] = map[string]any{"access": access}
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// says is what a request that gives a reason sets.
func says(reason string) map[string]any {
	return map[string]any{v1alpha1.AccessReasonAnnotation: reason}
}

// saysAnew is says for a reason that may read like the one before.
func saysAnew(reason string) map[string]any {
	return map[string]any{v1alpha1.AccessReasonAnnotation: reason, v1alpha1.AccessChangedByAnnotation: nil}
}

// TestAccessRecord follows one lane through changes by several people.
func TestAccessRecord(t *testing.T) {
	l := lanesWithPolicies(t)
	lane := manifest(t, leastLane, "")
	lane.SetNamespace(l.namespace)
	created, err := l.as("alice@example.com").Create(t.Context(), lane, strict)
	if err != nil {
		t.Fatal(err)
	}
	if got := recordOf(created.GetAnnotations()); got != (record{}) {
		t.Errorf("a lane that nobody suspended says %+v", got)
	}
	const active, suspended = v1alpha1.AccessActive, v1alpha1.AccessSuspended
	for _, step := range []struct {
		why, user, patch string
		want             record
	}{
		{"suspended with a reason", "alice@example.com", change(suspended, says("CI is broken")), record{"alice@example.com", "CI is broken"}},
		{"a change of something else", "bob@example.com", `{"spec":{"latestSupportedRelease":"2.9"},"metadata":{"annotations":{"team":"x"}}}`, record{"alice@example.com", "CI is broken"}},
		{"the same again", "bob@example.com", change(suspended, says("CI is broken")), record{"alice@example.com", "CI is broken"}},
		{"a better reason", "bob@example.com", change("", says("token leaked")), record{"bob@example.com", "token leaked"}},
		{"resumed without a word: the reason was for the suspension", "carol@example.com", change(active, nil), record{"carol@example.com", ""}},
		{"suspended without a word", "alice@example.com", change(suspended, nil), record{"alice@example.com", ""}},
		{"resumed with a reason", "bob@example.com", change(active, says("rotated")), record{"bob@example.com", "rotated"}},
		{"the same reason for something else, said to be meant", "bob@example.com", change(suspended, saysAnew("rotated")), record{"bob@example.com", "rotated"}},
		{"the same, by another", "carol@example.com", change(active, saysAnew("rotated")), record{"carol@example.com", "rotated"}},
		{"the same reason, not said to be meant", "alice@example.com", change(suspended, says("rotated")), record{"alice@example.com", ""}},
		{"forged on the way", "alice@example.com", change(active, map[string]any{v1alpha1.AccessReasonAnnotation: "r", v1alpha1.AccessChangedByAnnotation: "bob@example.com"}), record{"alice@example.com", "r"}},
		{"the reason removed", "bob@example.com", change("", map[string]any{v1alpha1.AccessReasonAnnotation: nil}), record{"bob@example.com", ""}},
		{"all annotations removed with the change", "carol@example.com", `{"spec":{"access":"Suspended"},"metadata":{"annotations":null}}`, record{"carol@example.com", ""}},
	} {
		stored, err := l.as(step.user).Patch(t.Context(), lane.GetName(), types.MergePatchType, []byte(step.patch), metav1.PatchOptions{})
		if err != nil {
			t.Fatalf("%s: %v", step.why, err)
		}
		if got := recordOf(stored.GetAnnotations()); got != step.want {
			t.Errorf("%s: the lane says %+v, want %+v", step.why, got, step.want)
		}
		if step.why == "a change of something else" && stored.GetAnnotations()["team"] != "x" {
			t.Errorf("other annotations are lost: %v", stored.GetAnnotations())
		}
	}
}

// TestAccessRecordCannotBeForged: without a change there is nothing to sign.
func TestAccessRecordCannotBeForged(t *testing.T) {
	l := lanesWithPolicies(t)
	lane := manifest(t, leastLane, "access: Suspended")
	lane.SetNamespace(l.namespace)
	lane.SetAnnotations(map[string]string{v1alpha1.AccessReasonAnnotation: "not yet", v1alpha1.AccessChangedByAnnotation: "bob@example.com"})
	created, err := l.as("alice@example.com").Create(t.Context(), lane, strict)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := recordOf(created.GetAnnotations()), (record{"alice@example.com", "not yet"}); got != want {
		t.Errorf("a lane that is created suspended says %+v, want %+v", got, want)
	}
	for why, test := range map[string]struct{ patch, says string }{
		"changed":     {change("", map[string]any{v1alpha1.AccessChangedByAnnotation: "bob@example.com"}), "cannot be changed or removed"},
		"removed":     {change("", map[string]any{v1alpha1.AccessChangedByAnnotation: nil}), "cannot be changed or removed"},
		"empty":       {change("", says(" ")), "is one line of at most 512 characters"},
		"two lines":   {change("Active", says("a\nb")), "is one line of at most 512 characters"},
		"upside down": {change("Active", says("a\u202eb")), "is one line of at most 512 characters"},
		"too long":    {change("Active", says(strings.Repeat("é", 513))), "is one line of at most 512 characters"},
	} {
		_, err := l.as("carol@example.com").Patch(t.Context(), lane.GetName(), types.MergePatchType, []byte(test.patch), metav1.PatchOptions{})
		if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want a refusal that says %q", why, err, test.says)
		}
	}
	longest := strings.Repeat("é", 512)
	stored, err := l.as("carol@example.com").Patch(t.Context(), lane.GetName(), types.MergePatchType, []byte(change("Active", says(longest))), metav1.PatchOptions{})
	if err != nil || recordOf(stored.GetAnnotations()).reason != longest {
		t.Errorf("a reason of 512 characters: %v", err)
	}
	// Status is the operator's to write and nobody's to sign.
	if err := unstructuredStatus(stored.Object, 7); err != nil {
		t.Fatal(err)
	}
	stored.SetAnnotations(map[string]string{v1alpha1.AccessChangedByAnnotation: "bob@example.com"})
	after, err := l.as("carol@example.com").UpdateStatus(t.Context(), stored, metav1.UpdateOptions{})
	if err != nil || recordOf(after.GetAnnotations()).by != "carol@example.com" {
		t.Errorf("a write of the status: %v, %v", after.GetAnnotations(), err)
	}
}

func unstructuredStatus(object map[string]any, files int64) error {
	status, ok := object["status"].(map[string]any)
	if !ok {
		return fmt.Errorf("no status in %v", object)
	}
	status["filesCount"] = files
	return nil
}
