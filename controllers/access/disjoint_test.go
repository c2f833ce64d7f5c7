package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

func TestPatternsOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"", "*", true},
		{"", "?", false},
		{"a", "a", true},
		{"a", "b", false},
		{"a", "ab", false},
		{"*", "abc", true},
		{"?", "a", true},
		{"?", "ab", false},
		{"??", "*", true},
		{"a*", "*b", true},
		{"a*b", "a?b", true},
		{"a*b", "c*b", false},
		{"*a", "*b", false},
		{"a*c", "ab*", true},
		{"a*bc", "ab*c", true},
		{"*a*b", "b*a", false},
		{"a**b", "ab", true},
		{"**", "", true},
		{"*?", "", false},
		{"whl/a/*", "whl/a/b/*.whl", true},
		{"whl/a/*", "whl/ab/*", false},
		{"whl/*/x", "whl/a/b/x", true}, // IAM's * crosses slashes.
		{"whl/a/torch-*+a*-*.whl", "whl/a/torch_*+a*-*.whl", false},
		{"whl/a/torch-*+a*-*.whl", "whl/a/*+a*-*.whl.provenance", false},
		{"whl/a/torch-*+a*-*.whl", "whl/a/torch-*+ab*-*.whl", true},
		{"whl/a/torch-*+a*-*.whl", "whl/ab/torch-*+ab*-*.whl", false},
		{"whl/nightly/a/t-*+a*-*.whl", "whl/nightly/*-*.whl", true},
	} {
		for _, p := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := PatternsOverlap(p[0], p[1]); got != c.want {
				t.Errorf("%q and %q: %v", p[0], p[1], got)
			}
		}
	}
}

// Every pair of short patterns, against every text that could be common to them.
func TestPatternsOverlapIsExact(t *testing.T) {
	patterns := words("ab*?", 4)
	texts := words("ab", 8) // The shortest common text is no longer than both patterns.
	matched := map[string][]bool{}
	for _, p := range patterns {
		for _, text := range texts {
			matched[p] = append(matched[p], globMatches(p, text))
		}
	}
	overlaps := 0
	for _, a := range patterns {
		for _, b := range patterns {
			want := false
			for i := range texts {
				want = want || matched[a][i] && matched[b][i]
			}
			if PatternsOverlap(a, b) != want {
				t.Fatalf("%q and %q: %v", a, b, !want)
			}
			if want {
				overlaps++
			}
		}
	}
	if overlaps == 0 || overlaps == len(patterns)*len(patterns) {
		t.Errorf("%d of %d pairs overlap: nothing was tested", overlaps, len(patterns)*len(patterns))
	}
}

// words are all texts over an alphabet up to a length.
func words(alphabet string, length int) []string {
	all, last := []string{""}, []string{""}
	for range length {
		var next []string
		for _, w := range last {
			for _, c := range alphabet {
				next = append(next, w+string(c))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

func FuzzPatternsOverlap(f *testing.F) {
	for _, seed := range [][2]string{{"a*b", "*ab"}, {"?*?", "ab"}, {"*a*b*", "b?a"}, {"aab*ba", "*b*a"}, {"", "*"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		a, b = overSmallAlphabet(a), overSmallAlphabet(b)
		want := false
		// The shortest common text is no longer than what is no * in both.
		for _, text := range words("ab", len(strings.ReplaceAll(a+b, "*", ""))) {
			if globMatches(a, text) && globMatches(b, text) {
				want = true
				break
			}
		}
		if got := PatternsOverlap(a, b); got != want || PatternsOverlap(b, a) != want {
			t.Errorf("%q and %q: %v, want %v", a, b, got, want)
		}
	})
}

// overSmallAlphabet makes a short pattern of what the fuzzer thought of.
func overSmallAlphabet(s string) string {
	var b strings.Builder
	for i := range min(len(s), 5) {
		b.WriteByte("ab*?"[s[i]%4])
	}
	return b.String()
}

func TestOverlap(t *testing.T) {
	named := func(platform string, edit ...func(*v1alpha1.PlatformLaneSpec)) *v1alpha1.PlatformLane {
		l := lane(append(edit, func(s *v1alpha1.PlatformLaneSpec) { s.Platform = platform })...)
		l.Name = platform
		return l
	}
	all := channels("nightly", "test", "release")
	mine := named("spyre", all, packages("torch", "libtorch"))
	for name, c := range map[string]struct {
		other *v1alpha1.PlatformLane
		want  bool
	}{
		"the same platform":                {named("spyre", all, packages("libtorch")), true},
		"the same, but suspended":          {named("spyre", all, suspended), true},
		"the same, without attestations":   {named("spyre", channels("nightly"), packages("libtorch")), true},
		"a longer name":                    {named("spyrex", all), false},
		"a shorter name":                   {named("spyr", all), false},
		"another":                          {named("rbln", all, packages("torch", "libtorch")), false},
		"the same, admitted only":          {named("spyre", channels()), false},
		"the same, refused for its values": {named("spyre", all, packages("*")), false},
		"the name of a channel":            {named("nightly", all), false}, // refused
	} {
		got, found := Overlap(mine, []*v1alpha1.PlatformLane{named("other", all), c.other}, settings())
		if found != c.want || found && (got.Other != c.other || got.Mine == "" || got.Theirs == "") {
			t.Errorf("%s: %+v, %v", name, got, found)
		}
	}
	if _, found := Overlap(named("spyre", channels("nightly")), []*v1alpha1.PlatformLane{named("spyre", channels("release"))}, settings()); found {
		t.Error("different channels of one platform share no key")
	}
}

// A platform that is the beginning of another, or the folder of a channel, is
// where a mistake would be.
func TestNoTwoPlatformsOverlap(t *testing.T) {
	platforms := []string{"a1", "a11", "a1a1", "test1", "tes", "nightly1", "release", "whl", "libtorch1", "torch", "t0"}
	all := func(platform string) *v1alpha1.PlatformLane {
		return lane(channels("nightly", "test", "release"), packages("torch", "libtorch", "a"), func(s *v1alpha1.PlatformLaneSpec) { s.Platform = platform })
	}
	for _, a := range platforms {
		for _, b := range platforms {
			got, found := Overlap(all(a), []*v1alpha1.PlatformLane{all(b)}, settings())
			if found != (a == b) {
				t.Errorf("%s and %s: %v %+v", a, b, found, got)
			}
		}
	}
}

// The cheap look must not miss a pattern.
func TestFoldersHoldAllPatterns(t *testing.T) {
	l := lane(channels("nightly", "test", "release"), packages("torch", "libtorch", "a-b"))
	for _, p := range WritePatterns(l, settings()) {
		key, _ := strings.CutPrefix(head(p), "arn:aws:s3:::pytorch/")
		if !slices.ContainsFunc(foldersOf(l), func(folder string) bool { return strings.HasPrefix(key, folder) }) {
			t.Errorf("%s is in none of %q", p, foldersOf(l))
		}
	}
}

func BenchmarkOverlap(b *testing.B) {
	many := func(platform string) *v1alpha1.PlatformLane {
		return lane(channels("nightly", "test", "release"), packages("torch", "torchvision", "torchaudio", "libtorch"),
			func(s *v1alpha1.PlatformLaneSpec) { s.Platform = platform })
	}
	var others []*v1alpha1.PlatformLane
	for i := range 1000 {
		others = append(others, many(fmt.Sprintf("vendor%d", i)))
	}
	mine, s := many("spyre"), settings()
	for b.Loop() {
		if _, found := Overlap(mine, others, s); found {
			b.Fatal("they share no key")
		}
	}
}
