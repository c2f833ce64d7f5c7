package reconcilekit

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

func at(generation int64) (Conditions, *[]metav1.Condition) {
	list := &[]metav1.Condition{}
	return Conditions{List: list, Generation: generation}, list
}

func get(list *[]metav1.Condition, kind string) string {
	c := meta.FindStatusCondition(*list, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + "/" + c.Reason
}

func TestReadySumsUpTheOwnedConditionsInTheirOrder(t *testing.T) {
	for _, c := range []struct {
		why                         string
		set                         func(Conditions)
		ready, stalled, reconciling string
	}{
		{"all true", func(c Conditions) { c.True("A", "Good", ""); c.True("B", "Good", "") }, "True/Fine", "", ""},
		{"the first that is not true counts", func(c Conditions) { c.False("A", "Later", ""); c.False("B", "Hopeless", "") }, "False/Later", "", "True/Progressing"},
		{"what nobody but a person can mend", func(c Conditions) { c.True("A", "Good", ""); c.False("B", "Hopeless", "") }, "False/Hopeless", "True/Hopeless", ""},
		{"a hopeless reason of what is only unknown", func(c Conditions) { c.Unknown("A", "Hopeless", ""); c.True("B", "Good", "") }, "Unknown/Hopeless", "", "True/Progressing"},
		{"one that was forgotten", func(c Conditions) { c.True("A", "Good", "") }, "Unknown/Pending", "", "True/Progressing"},
		{"one of an earlier generation", func(c Conditions) {
			c.True("A", "Good", "")
			Conditions{List: c.List, Generation: c.Generation - 1}.True("B", "Good", "")
		}, "Unknown/Good", "", "True/Progressing"},
	} {
		conds, list := at(3)
		c.set(conds)
		conds.Summarise([]string{"A", "B"}, []string{"Hopeless"}, "Fine", "all is well")
		if got := get(list, v1alpha1.ReadyCondition); got != c.ready {
			t.Errorf("%s: Ready %s, want %s", c.why, got, c.ready)
		}
		if got := get(list, v1alpha1.StalledCondition); got != c.stalled {
			t.Errorf("%s: Stalled %q, want %q", c.why, got, c.stalled)
		}
		if got := get(list, v1alpha1.ReconcilingCondition); got != c.reconciling {
			t.Errorf("%s: Reconciling %q, want %q", c.why, got, c.reconciling)
		}
	}
}

func TestStalledAndReconcilingGoWhenAllIsWell(t *testing.T) {
	conds, list := at(1)
	conds.False("A", "Hopeless", "")
	conds.Summarise([]string{"A"}, []string{"Hopeless"}, "Fine", "")
	conds.True("A", "Good", "")
	conds.Summarise([]string{"A"}, []string{"Hopeless"}, "Fine", "")
	if got := get(list, v1alpha1.StalledCondition) + get(list, v1alpha1.ReconcilingCondition); got != "" {
		t.Errorf("left: %s", got)
	}
}

func TestEveryOwnedConditionIsThereFromTheStart(t *testing.T) {
	conds, list := at(1)
	conds.True("A", "Good", "")
	conds.Start("A", "B")
	if get(list, "A") != "True/Good" || get(list, "B") != "Unknown/Pending" {
		t.Errorf("A %s, B %s", get(list, "A"), get(list, "B"))
	}
}

func TestSayingTheSameChangesNothing(t *testing.T) {
	conds, list := at(1)
	conds.False("A", "Bad", "so")
	(*list)[0].LastTransitionTime = metav1.NewTime(time.Unix(1, 0))
	conds.False("A", "Bad", "so")
	conds.False("A", "Worse", "so")
	if got := (*list)[0]; got.LastTransitionTime.Unix() != 1 || got.Reason != "Worse" || got.ObservedGeneration != 1 {
		t.Errorf("%+v", got)
	}
}

func TestMessagesAreBoundedAndValid(t *testing.T) {
	conds, list := at(1)
	for _, message := range []string{strings.Repeat("é", maxMessage), "bad \xff\xfe bytes", strings.Repeat("\xff", 2*maxMessage)} {
		conds.False("A", "Bad", message)
		if got := (*list)[0].Message; len(got) > maxMessage || !utf8.ValidString(got) || got == "" {
			t.Errorf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
	}
	if got := Cut("short", 5); got != "short" {
		t.Errorf("%q", got)
	}
	if got := Cut("abcdéfgh", 8); got != "abcd…" {
		t.Errorf("%q", got)
	}
}

func FuzzCut(f *testing.F) {
	f.Add("abcdéfgh", 8)
	f.Fuzz(func(t *testing.T, text string, most int) {
		if most < 3 || most > 1<<16 {
			return
		}
		if got := Cut(text, most); len(got) > most || !utf8.ValidString(got) {
			t.Errorf("Cut(%q, %d) = %q", text, most, got)
		}
	})
}
