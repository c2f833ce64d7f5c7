package pages

import (
	"encoding/json"
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes text fit to be shown: what is not UTF-8 becomes U+FFFD (pip
// rejects a whole page over one bad byte), and what does not print becomes a
// blank (installers write reasons to terminals, where control and
// bidirectional characters could forge lines).
func clean(s string) string {
	if isPlain(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

// isPlain is true for printable ASCII.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// appendHTML appends text for an element or a quoted attribute.
func appendHTML(b []byte, s string) []byte {
	return append(b, html.EscapeString(clean(s))...)
}

// appendJSON appends a JSON string. Like encoding/json it escapes < > and &, so
// that a browser that guesses HTML finds no tag.
func appendJSON(b []byte, s string) []byte {
	s = clean(s)
	if isPlain(s) && !strings.ContainsAny(s, `"\<>&`) {
		b = append(b, '"')
		b = append(b, s...)
		return append(b, '"')
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return append(b, quoted...)
}
