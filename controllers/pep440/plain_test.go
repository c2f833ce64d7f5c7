package pep440

import (
	"reflect"
	"testing"
)

// samePlain holds the quick way against the grammar.
func samePlain(t *testing.T, s string) (plain bool) {
	t.Helper()
	quick, ok := parsePlain(s)
	if !ok {
		return false
	}
	slow, err := parse(s)
	if err != nil || !reflect.DeepEqual(quick, slow) {
		t.Errorf("parsePlain(%q) = %#v, by the grammar %#v, %v", s, quick, slow, err)
	}
	return true
}

func TestPlainVersionsAreReadAsByTheGrammar(t *testing.T) {
	for s, plain := range map[string]bool{
		"1": true, "2.9.0": true, "2.9.0+spyre": true, "2.10.0.dev20260101+spyre.1.007": true, "1.0rc1": true, "1.0a0.post2.dev3": true,
		"1.0b2+cu128": true, "0000.00": true, "20260101123059.1": true,
		"": false, "v1": false, "1!2.0": false, "1.0RC1": false, "1.0-1": false, "1.0+": false, "1.0+a_b": false, "1.0+a..b": false, "1.": false,
		"1.0rc": false, "1.0.dev": false, "1.0.post": false, "1.0.rc1": false, "1.0+é": false, "1.0.dev1rc1": false, "1.0dev1": false,
	} {
		if got := samePlain(t, s); got != plain {
			t.Errorf("parsePlain(%q) is %v, want %v", s, got, plain)
		}
	}
}

func FuzzPlain(f *testing.F) {
	for _, s := range []string{"2.10.0.dev20260101+spyre.1", "1.0rc1.post1", "1.0a01+0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { samePlain(t, s) })
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("2.10.0.dev20260101+spyre"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseByTheGrammar(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse("2.10.0.dev20260101+spyre"); err != nil {
			b.Fatal(err)
		}
	}
}
