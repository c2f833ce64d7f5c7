package follow

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// yank is an observed Yank of generation 2 with these conditions.
func yank(conditions ...metav1.Condition) *v1alpha1.Yank {
	y := &v1alpha1.Yank{}
	y.Generation = 2
	y.Spec.Mode = v1alpha1.YankQuarantine
	y.Spec.Execution = v1alpha1.ExecutionExecute
	y.Status.ObservedGeneration = ptr.To[int64](2)
	y.Status.Conditions = conditions
	return y
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message}
}

var (
	accepted = condition(v1alpha1.AcceptedCondition, metav1.ConditionTrue, v1alpha1.ReasonResolved, "")
	verified = condition(v1alpha1.VerifiedCondition, metav1.ConditionTrue, v1alpha1.ReasonProbed, "")
	ready    = condition(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.ReasonReady, "")
	stalled  = condition(v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ReasonObjectLocked, "locked")
	nothing  = condition(v1alpha1.AcceptedCondition, metav1.ConditionTrue, v1alpha1.ReasonNothingMatched, "")
)

func refusedBecause(reason string) metav1.Condition {
	return condition(v1alpha1.AcceptedCondition, metav1.ConditionFalse, reason, "")
}

func with(y *v1alpha1.Yank, change func(*v1alpha1.Yank)) *v1alpha1.Yank {
	change(y)
	return y
}

func TestJudge(t *testing.T) {
	unready := condition(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "")
	calm := condition(v1alpha1.StalledCondition, metav1.ConditionFalse, "", "")
	plan := func(y *v1alpha1.Yank) { y.Spec.Execution = v1alpha1.ExecutionPlanOnly }
	for name, test := range map[string]struct {
		yank *v1alpha1.Yank
		want Outcome
	}{
		"no status":                {with(yank(), func(y *v1alpha1.Yank) { y.Status = v1alpha1.YankStatus{} }), Pending},
		"never observed":           {with(yank(), func(y *v1alpha1.Yank) { y.Status.ObservedGeneration = ptr.To[int64](-1) }), Pending},
		"no conditions":            {yank(), Pending},
		"accepted":                 {yank(accepted, unready, calm), Pending},
		"verified, not ready":      {yank(accepted, verified, unready), Pending},
		"ready, not verified":      {yank(accepted, ready), Pending},
		"ready, not accepted":      {yank(verified, ready), Pending},
		"all there":                {yank(accepted, verified, ready), Verified},
		"all there, earlier spec":  {with(yank(accepted, verified, ready), func(y *v1alpha1.Yank) { y.Generation = 3 }), Pending},
		"stalled, earlier spec":    {with(yank(accepted, stalled), func(y *v1alpha1.Yank) { y.Generation = 3 }), Pending},
		"planned":                  {with(yank(accepted, ready), plan), Planned},
		"planning":                 {with(yank(accepted, unready), plan), Pending},
		"plan of nothing":          {with(yank(nothing, ready), plan), NothingMatched},
		"nothing":                  {yank(nothing, unready), NothingMatched},
		"stalled":                  {yank(accepted, stalled, unready), Stalled},
		"stalled before accepted":  {yank(stalled), Stalled},
		"no lane":                  {yank(refusedBecause(v1alpha1.ReasonLaneNotFound)), Stalled},
		"bad selector":             {yank(refusedBecause(v1alpha1.ReasonInvalidSelector)), Stalled},
		"lane not claimed yet":     {yank(refusedBecause(v1alpha1.ReasonLaneNotClaimed)), Pending},
		"catalog out of reach":     {yank(refusedBecause(v1alpha1.ReasonCatalogUnavailable)), Pending},
		"deleted, though all done": {with(yank(accepted, verified, ready), func(y *v1alpha1.Yank) { y.DeletionTimestamp = ptr.To(metav1.Now()) }), Deleted},
	} {
		if got := Judge(test.yank); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

func TestObstacle(t *testing.T) {
	purging := condition(v1alpha1.CachesPurgedCondition, metav1.ConditionUnknown, v1alpha1.ReasonPurging, "")
	for name, test := range map[string]struct {
		yank *v1alpha1.Yank
		want string
	}{
		"nothing known":     {yank(), ""},
		"nothing in sight":  {yank(accepted), ""},
		"the first one":     {yank(condition(v1alpha1.ReadyCondition, metav1.ConditionFalse, "", ""), purging, accepted), v1alpha1.CachesPurgedCondition},
		"stalled before it": {yank(purging, stalled), v1alpha1.StalledCondition},
		"of another mode":   {yank(condition(v1alpha1.DeletedCondition, metav1.ConditionFalse, "", ""), purging), v1alpha1.CachesPurgedCondition},
	} {
		got := ""
		if c := Obstacle(test.yank); c != nil {
			got = c.Type
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestProgress(t *testing.T) {
	var out, warn bytes.Buffer
	now := time.Unix(0, 0)
	p := NewProgress(&out, &warn, func() time.Time { return now })
	y := yank(accepted, condition(v1alpha1.AccessBlockedCondition, metav1.ConditionUnknown, v1alpha1.ReasonPending, "later"))
	p.see(with(y.DeepCopy(), func(y *v1alpha1.Yank) { y.Generation = 3 })) // an earlier spec: nothing to say
	now = now.Add(400 * time.Millisecond)
	p.see(y)
	p.see(y) // no change: no line
	now = now.Add(12 * time.Second)
	meta.SetStatusCondition(&y.Status.Conditions, condition(v1alpha1.AccessBlockedCondition, metav1.ConditionFalse, v1alpha1.ReasonBytesFailed, "a\x1b[31m\nb\u202ec"))
	y.Status.Warnings = []string{"one", "two"}
	p.see(y)
	now = now.Add(3 * time.Minute)
	y.Status.Conditions = append(y.Status.Conditions, stalled)
	p.see(y)

	want := "   0.4s  done     Accepted       Resolved\n" +
		"  12.4s  not yet  AccessBlocked  BytesFailed: a\uFFFD[31m b\uFFFDc\n" +
		"  3m12s  stalled  Stalled        ObjectLocked: locked\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	wantWarnings := "warning: one\nwarning: two\n"
	if diff := cmp.Diff(wantWarnings, warn.String()); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestWriteResult(t *testing.T) {
	for mode, want := range map[v1alpha1.YankMode]string{
		v1alpha1.YankFlag:         "1 file flagged and verified at the public URLs.\n",
		v1alpha1.YankIndexRemoval: "1 file taken off the index and verified at the public URLs.\n",
		v1alpha1.YankQuarantine:   "1 file quarantined and verified at the public URLs.\n",
		v1alpha1.YankHardDelete:   "1 file destroyed and verified at the public URLs.\n",
	} {
		y := yank()
		y.Spec.Mode = mode
		y.Status.Artifacts = []v1alpha1.YankedArtifact{{Key: "k"}}
		var out bytes.Buffer
		WriteResult(&out, y)
		if out.String() != want {
			t.Errorf("%s: %q, want %q", mode, out.String(), want)
		}
	}
}
