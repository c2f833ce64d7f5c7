package simpleindex

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	// Error breaks a MUST, or makes an installer fail or take the wrong file.
	Error Severity = "error"
	// Warning breaks a SHOULD, or hurts with some server or client.
	Warning Severity = "warning"
)

// Rule is one thing that an index has to get right.
type Rule struct {
	// ID is stable and fit for a search: lower-case words joined by hyphens.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Spec is where the rule comes from: a PEP, or what was seen to break.
	Spec string `json:"spec"`
	// Summary says in one line what has to be so.
	Summary string `json:"summary"`
}

// Finding is one breach of a rule.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Spec     string   `json:"spec"`
	// Page is the address or key of the page.
	Page string `json:"page"`
	// Line on the page, from 1; 0 where the page as a whole is meant.
	Line int `json:"line,omitempty"`
	// File or project that the finding is about; empty for the page itself.
	File string `json:"file,omitempty"`
	// Message says what is wrong and what to do about it.
	Message string `json:"message"`
	// Repeats counts further findings of this rule on this page that are left
	// out of the list.
	Repeats int `json:"repeats,omitempty"`
}

// MaxPerRule is how many findings of one rule are listed for one page; the last
// of them counts the rest.
const MaxPerRule = 20

// String is the finding in one line.
func (f Finding) String() string {
	at := f.Page
	if f.Line > 0 {
		at += ":" + strconv.Itoa(f.Line)
	}
	return fmt.Sprintf("%s: %s %s: %s (%s)", at, f.Severity, f.Rule, f.Message, f.Spec)
}

// Findings collects what is wrong with one page. The zero value, with a page,
// is ready to use.
type Findings struct {
	// Page is the address or key that the findings are about.
	Page string

	list []Finding
	// last is the place of the last listed finding of each rule, counts how many
	// are listed.
	last, counts map[string]int
}

// Add notes a breach of the rule with that id, which must be one of [Rules]. The
// arguments are formatted as by fmt.Sprintf; quote what comes from the page with
// [Quote].
func (f *Findings) Add(id string, line int, file, format string, args ...any) {
	rule, ok := ruleByID[id]
	if !ok {
		panic("simpleindex: no rule " + id) // a defect of this program, not of a page
	}
	if f.counts == nil {
		f.last, f.counts = map[string]int{}, map[string]int{}
	}
	if f.counts[id] == MaxPerRule {
		f.list[f.last[id]].Repeats++
		return
	}
	f.counts[id]++
	f.last[id] = len(f.list)
	f.list = append(f.list, Finding{
		Rule: id, Severity: rule.Severity, Spec: rule.Spec, Page: f.Page, Line: line,
		File: printable(file), Message: fmt.Sprintf(format, args...),
	})
}

// List is what was found, by line and then in the order found.
func (f *Findings) List() []Finding {
	slices.SortStableFunc(f.list, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	f.last, f.counts = nil, nil // Places have changed: a later Add starts to count anew.
	return f.list
}

// Count is how many errors and warnings there are, repeats included.
func Count(findings []Finding) (errors, warnings int) {
	for _, f := range findings {
		if f.Severity == Error {
			errors += 1 + f.Repeats
		} else {
			warnings += 1 + f.Repeats
		}
	}
	return errors, warnings
}

// maxQuoted bounds what a message quotes, in bytes.
const maxQuoted = 120

// Quote shows text from a page in a message: escaped, and not all of it.
func Quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// printable is text as it may stand in a finding: as it is if it is short
// printable ASCII, else quoted.
func printable(s string) string {
	if len(s) > 2*maxQuoted {
		return Quote(s)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return Quote(s)
		}
	}
	return s
}
