package crawl

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

// MaxFindings bounds the findings of a report. The counts have all.
const MaxFindings = 10_000

// Report is what a crawl found.
type Report struct {
	// Index is the address that was checked.
	Index string `json:"index"`
	// Pages that were read, HTML and JSON apart; Projects that have one; Files
	// that are listed.
	Pages    int `json:"pages"`
	Projects int `json:"projects"`
	Files    int `json:"files"`
	// Unvisited projects were left out because there are too many.
	Unvisited int `json:"unvisited,omitempty"`
	// Errors and Warnings count all findings, those too that are not listed.
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	// Omitted findings are counted and not listed.
	Omitted int `json:"omitted,omitempty"`
	// Findings by page and line.
	Findings []simpleindex.Finding `json:"findings"`
}

// Clean is true if nothing at all was found.
func (r *Report) Clean() bool { return r.Errors+r.Warnings == 0 }

func (r *Report) add(found []simpleindex.Finding) {
	errs, warnings := simpleindex.Count(found)
	r.Errors += errs
	r.Warnings += warnings
	room := max(0, MaxFindings-len(r.Findings))
	if len(found) > room {
		r.Omitted += len(found) - room
		found = found[:room]
	}
	r.Findings = append(r.Findings, found...)
}

func (r *Report) finish() *Report {
	slices.SortStableFunc(r.Findings, func(a, b simpleindex.Finding) int {
		return cmp.Or(cmp.Compare(a.Page, b.Page), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.File, b.File))
	})
	if r.Findings == nil {
		r.Findings = []simpleindex.Finding{}
	}
	return r
}

// WriteText writes the report for people: findings page by page, then what was
// read and how many there are.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	page := ""
	for i, f := range r.Findings {
		if i == 0 || f.Page != page {
			page = f.Page
			errs, warnings := r.on(i)
			fmt.Fprintf(&b, "%s  %s, %s\n", page, plural(errs, "error"), plural(warnings, "warning"))
		}
		at := ""
		if f.Line > 0 {
			at = fmt.Sprintf("line %d: ", f.Line)
		}
		fmt.Fprintf(&b, "  %-7s %s  [%s, %s]\n", f.Severity, at+f.Message, f.Rule, f.Spec)
		if f.Repeats > 0 {
			fmt.Fprintf(&b, "          and %d more of these on this page\n", f.Repeats)
		}
	}
	if len(r.Findings) > 0 {
		b.WriteByte('\n')
	}
	if r.Omitted > 0 {
		fmt.Fprintf(&b, "%d more findings are counted and not shown.\n", r.Omitted)
	}
	if r.Unvisited > 0 {
		fmt.Fprintf(&b, "%s were not visited; name those that matter with --project.\n", plural(r.Unvisited, "project"))
	}
	fmt.Fprintf(&b, "%s: %s in %s, %s: %s, %s\n", r.Index, plural(r.Files, "file"), plural(r.Projects, "project"), plural(r.Pages, "page"),
		plural(r.Errors, "error"), plural(r.Warnings, "warning"))
	_, err := w.Write(b.Bytes())
	return err
}

// on counts the findings of the page that begins at a place of the list.
func (r *Report) on(from int) (errs, warnings int) {
	to := from
	for to < len(r.Findings) && r.Findings[to].Page == r.Findings[from].Page {
		to++
	}
	return simpleindex.Count(r.Findings[from:to])
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
