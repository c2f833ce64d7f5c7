// Package story is the operator's main job, told in steps against the real local
// stack: lanes, publishing, what is refused, a quarantine, a hard deletion,
// suspension, deletion. `make demo` tells it to a person; the suite in test/e2e
// runs the same steps as tests.
package story

import "context"

// Chapter is a part of the story whose steps build on each other.
type Chapter struct {
	Title string
	Steps []Step
}

// Step is one thing that must hold.
type Step struct {
	// Says is a sentence for somebody who never saw the project.
	Says string
	// Run does it and returns what is worth showing, or why it does not hold.
	Run func(ctx context.Context) (shown string, err error)
}

// Chapters are the whole story, in order.
func (w *World) Chapters() []Chapter {
	return []Chapter{w.lanes(), w.publishing(), w.refusals(), w.quarantine(), w.hardDeletion(), w.suspension(), w.deletion()}
}
