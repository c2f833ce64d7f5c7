package plugin

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Elapsed is a duration for people: 0.4s, 12.0s, 3m05s.
func Elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}

// Printable is a text in one line, without what would move a terminal's cursor:
// messages quote names that others have chosen.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, strings.Join(strings.Fields(s), " "))
}

// Wrap breaks the lines of a text that are longer than a width, in characters,
// between words. What follows stands below the line's own text: deeper than its
// indentation, and behind the mark of a list. A word that is longer stays whole.
func Wrap(text string, width int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body) + 2
		at := 0
		for i, word := range strings.Split(strings.TrimSuffix(body, "\n"), " ") {
			size := utf8.RuneCountInString(word)
			switch {
			case i == 0:
				out.WriteString(strings.Repeat(" ", indent-2))
				at = indent - 2
			case at+1+size > width && at > indent:
				out.WriteString("\n" + strings.Repeat(" ", indent))
				at = indent
			default:
				out.WriteByte(' ')
				at++
			}
			out.WriteString(word)
			at += size
		}
		if strings.HasSuffix(line, "\n") {
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// Width is how many characters a line of a terminal holds; zero if out is none.
func Width(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}
