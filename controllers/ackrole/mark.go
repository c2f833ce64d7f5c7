package ackrole

import (
	"encoding/json"
	"time"
)

// markAnnotation is where a Role keeps its mark.
const markAnnotation = "distribution.pytorch.org/role-write"

type phase string

const (
	written    phase = "Written"
	confirming phase = "Confirming"
)

// mark is what was known when a Role was last written; see the package comment.
type mark struct {
	Phase phase `json:"phase"`
	// Stamp is the report that was there already; empty for none.
	Stamp string `json:"stamp,omitempty"`
	// At is when it was written, by the operator's clock.
	At time.Time `json:"at"`
}

func (m mark) encode() (string, error) {
	raw, err := json.Marshal(m)
	return string(raw), err
}

// readMark is false for a mark that is missing or was tampered with.
func readMark(annotations map[string]string) (mark, bool) {
	var m mark
	err := json.Unmarshal([]byte(annotations[markAnnotation]), &m)
	return m, err == nil && (m.Phase == written || m.Phase == confirming) && !m.At.IsZero()
}

// step is what to do about a Role whose fields are as they should be.
type step int

const (
	believe step = iota // the report speaks of what was applied
	wait                // for ACK, or for the end of a second
	wake                // write again with the mark that comes with it
)

const (
	// resolution of ACK's reports.
	resolution = time.Second
	// margin is how long after the end of a report's second the next round
	// starts, for clocks that differ a little.
	margin = 200 * time.Millisecond
	// A report that falls into the same second as the one before cannot be told
	// from it, so ACK is woken again after a silence: a short one if the write and
	// the report before it were close by the clocks, a long one if they were only
	// as close as clocks may be apart. AWS refuses requests of a machine whose
	// clock is off by more; beyond that the silence is ACK's own.
	near, nearSilence   = 1500 * time.Millisecond, 2 * time.Second
	apart, apartSilence = 5 * time.Minute, 30 * time.Second
)

// next decides about a Role by its mark and ACK's latest report. The duration is
// when to ask again, zero to wait for a report. The mark is for wake.
func (m mark) next(stamp string, now time.Time) (step, time.Duration, mark) {
	if stamp == m.Stamp {
		silence, hidden := m.silence()
		if !hidden {
			return wait, 0, mark{}
		}
		if left := silence - now.Sub(m.At); left > 0 {
			return wait, left, mark{}
		}
		return wake, 0, mark{Phase: m.Phase, Stamp: stamp, At: now}
	}
	if m.Phase == confirming {
		return believe, 0, mark{}
	}
	if seen, err := time.Parse(time.RFC3339, stamp); err == nil {
		left := seen.Add(resolution + margin).Sub(now)
		if left > 0 && left <= resolution+margin {
			return wait, left, mark{}
		}
	}
	return wake, 0, mark{Phase: confirming, Stamp: stamp, At: now}
}

// silence is how long to wait for a report that may be hidden, and whether it may
// be.
func (m mark) silence() (time.Duration, bool) {
	seen, err := time.Parse(time.RFC3339, m.Stamp)
	if err != nil {
		return 0, false
	}
	switch distance := m.At.Sub(seen).Abs(); {
	case distance <= near:
		return nearSilence, true
	case distance <= apart:
		return apartSilence, true
	default:
		return 0, false
	}
}
