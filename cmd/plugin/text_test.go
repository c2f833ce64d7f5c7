package plugin

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestWrap(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"short\n", "short\n"},
		{"one two three four\n", "one two\n  three\n  four\n"},
		{"  - one two three\nnext", "  - one two\n    three\nnext"},
		{"averyverylongword and more", "averyverylongword\n  and more"},
		{"a averyverylongword", "a averyverylongword"},
		{"\n\n", "\n\n"},
	} {
		if got := Wrap(test.text, 11); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("  - a b\n", 3)
	f.Fuzz(func(t *testing.T, text string, width int) {
		if got := Wrap(text, width); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(text), " ") {
			t.Errorf("%q lost or gained words: %q", text, got)
		}
	})
}

func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0.0s", 59 * time.Second: "59.0s", 185 * time.Second: "3m05s"} {
		if got := Elapsed(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	if got := Printable("a\x1b[2J\n b\u202e"); got != "a\uFFFD[2J b\uFFFD" {
		t.Errorf("printable: %q", got)
	}
	if Width(&bytes.Buffer{}) != 0 || IsTerminal(&bytes.Buffer{}) {
		t.Error("a buffer is no terminal")
	}
}
