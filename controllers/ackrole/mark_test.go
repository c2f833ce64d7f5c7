package ackrole

import (
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	stamp := func(offset time.Duration) string { return at.Add(offset).Format(time.RFC3339) }
	for name, c := range map[string]struct {
		m     mark
		stamp string
		after time.Duration
		do    step
		left  time.Duration
		next  mark
	}{
		"created, no report":               {mark{confirming, "", at}, "", time.Hour, wait, 0, mark{}},
		"created, first report":            {mark{confirming, "", at}, stamp(0), 0, believe, 0, mark{}},
		"written, no report at all":        {mark{written, "", at}, "", time.Hour, wait, 0, mark{}},
		"written, old report long ago":     {mark{written, stamp(-time.Hour), at}, stamp(-time.Hour), time.Hour, wait, 0, mark{}},
		"written near a report":            {mark{written, stamp(0), at}, stamp(0), time.Second, wait, time.Second, mark{}},
		"written near a report, silence":   {mark{written, stamp(0), at}, stamp(0), 2 * time.Second, wake, 0, mark{written, stamp(0), at.Add(2 * time.Second)}},
		"confirming, silence":              {mark{confirming, stamp(-time.Second), at}, stamp(-time.Second), 2 * time.Second, wake, 0, mark{confirming, stamp(-time.Second), at.Add(2 * time.Second)}},
		"a clock that is off, too early":   {mark{written, stamp(time.Minute), at}, stamp(time.Minute), 10 * time.Second, wait, 20 * time.Second, mark{}},
		"a clock that is off, silence":     {mark{written, stamp(time.Minute), at}, stamp(time.Minute), 30 * time.Second, wake, 0, mark{written, stamp(time.Minute), at.Add(30 * time.Second)}},
		"written, new report just now":     {mark{written, stamp(-time.Hour), at}, stamp(5 * time.Second), 5 * time.Second, wait, 1200 * time.Millisecond, mark{}},
		"written, new report a while ago":  {mark{written, stamp(-time.Hour), at}, stamp(5 * time.Second), 7 * time.Second, wake, 0, mark{confirming, stamp(5 * time.Second), at.Add(7 * time.Second)}},
		"written, new report from ahead":   {mark{written, stamp(-time.Hour), at}, stamp(time.Hour), 7 * time.Second, wake, 0, mark{confirming, stamp(time.Hour), at.Add(7 * time.Second)}},
		"written, report vanished":         {mark{written, stamp(-time.Hour), at}, "", 7 * time.Second, wake, 0, mark{confirming, "", at.Add(7 * time.Second)}},
		"confirming, the report it began":  {mark{confirming, stamp(5 * time.Second), at}, stamp(5 * time.Second), time.Second, wait, 29 * time.Second, mark{}},
		"confirming, another report":       {mark{confirming, stamp(5 * time.Second), at}, stamp(9 * time.Second), 9 * time.Second, believe, 0, mark{}},
		"confirming, a clock turned back":  {mark{confirming, stamp(5 * time.Second), at}, stamp(-9 * time.Hour), 9 * time.Second, believe, 0, mark{}},
		"confirmed long ago, still stands": {mark{confirming, stamp(5 * time.Second), at}, stamp(9 * time.Second), 9000 * time.Hour, believe, 0, mark{}},
	} {
		do, left, next := c.m.next(c.stamp, at.Add(c.after))
		if do != c.do || left != c.left || next != c.next {
			t.Errorf("%s: %v after %v, %+v; want %v after %v, %+v", name, do, left, next, c.do, c.left, c.next)
		}
	}
}

func TestMarkSurvives(t *testing.T) {
	want := mark{written, "2026-11-23T12:00:00Z", time.Date(2026, 11, 23, 12, 0, 1, 5, time.UTC)}
	raw, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := readMark(map[string]string{markAnnotation: raw}); !ok || got != want {
		t.Errorf("%s was read as %+v, %v", raw, got, ok)
	}
	for _, raw := range []string{"", "{}", "null", `{"phase":"Believed","at":"2026-11-23T12:00:00Z"}`, `{"phase":"Confirming"}`, "[", `{"phase":"Written","at":"soon"}`} {
		if got, ok := readMark(map[string]string{markAnnotation: raw}); ok {
			t.Errorf("%q was read as %+v", raw, got)
		}
	}
}
