package accesskey

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	monthly = Schedule{Rotation: 30 * day, Overlap: day}
)

const day = 24 * time.Hour

// key is one that was made some time ago.
func key(id string, age time.Duration) Key { return Key{ID: id, Created: noon.Add(-age), Active: true} }

func inactive(k Key) Key {
	k.Active = false
	return k
}

func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		keys      []Key
		stored    Stored
		suspended bool
		steps     []Step
		previous  string
		next      time.Duration // from now; zero for never
	}{
		"nothing yet":                         {nil, Stored{}, false, []Step{{Do: Create}}, "", 0},
		"young":                               {[]Key{key("a", day)}, Stored{ID: "a"}, false, nil, "", 29 * day},
		"a moment before its age":             {[]Key{key("a", 30*day-time.Second)}, Stored{ID: "a"}, false, nil, "", time.Second},
		"at its age":                          {[]Key{key("a", 30*day)}, Stored{ID: "a"}, false, []Step{{Do: Create}}, "", 0},
		"long past its age":                   {[]Key{key("a", 300*day)}, Stored{ID: "a"}, false, []Step{{Do: Create}}, "", -270 * day},
		"replaced an hour ago":                {[]Key{key("a", 31*day), key("b", time.Hour)}, Stored{ID: "b"}, false, nil, "a", 23 * time.Hour},
		"a moment before the overlap ends":    {[]Key{key("a", 31*day), key("b", day-time.Second)}, Stored{ID: "b"}, false, nil, "a", time.Second},
		"the overlap is over":                 {[]Key{key("a", 31*day), key("b", day)}, Stored{ID: "b"}, false, []Step{{Delete, "a"}}, "", 29 * day},
		"overlap and age at once":             {[]Key{key("a", 90*day), key("b", 30*day)}, Stored{ID: "b"}, false, []Step{{Delete, "a"}, {Do: Create}}, "", 0},
		"crashed before the Secret":           {[]Key{key("a", 30*day), key("b", time.Minute)}, Stored{ID: "a"}, false, []Step{{Delete, "b"}, {Do: Create}}, "", 0},
		"a stranger's key":                    {[]Key{key("a", 3*day), key("x", time.Minute)}, Stored{ID: "a"}, false, []Step{{Delete, "x"}}, "", 27 * day},
		"a stranger's key beside a young":     {[]Key{key("a", 2*time.Hour), key("x", time.Hour)}, Stored{ID: "a"}, false, []Step{{Delete, "x"}}, "", 30*day - 2*time.Hour},
		"made in the same second":             {[]Key{key("a", time.Hour), key("b", time.Hour)}, Stored{ID: "b"}, false, nil, "a", 23 * time.Hour},
		"the Secret is gone":                  {[]Key{key("a", day)}, Stored{}, false, []Step{{Do: Create}}, "", 0},
		"the Secret is gone, two keys":        {[]Key{key("b", time.Hour), key("a", 2*day)}, Stored{}, false, []Step{{Delete, "a"}, {Do: Create}}, "", 0},
		"a key that IAM does not know":        {[]Key{key("a", day)}, Stored{ID: "z", Created: noon.Add(-time.Hour)}, false, []Step{{Do: Create}}, "", 0},
		"deleted by hand":                     {nil, Stored{ID: "a"}, false, []Step{{Do: Create}}, "", 0},
		"not listed yet":                      {[]Key{key("a", 30*day)}, Stored{ID: "b", Created: noon.Add(-time.Second)}, false, nil, "a", day - time.Second},
		"not listed for too long":             {nil, Stored{ID: "b", Created: noon.Add(-lag)}, false, []Step{{Do: Create}}, "", 0},
		"stored by a clock ahead":             {nil, Stored{ID: "b", Created: noon.Add(lag)}, false, []Step{{Do: Create}}, "", 0},
		"suspended":                           {[]Key{key("a", day)}, Stored{ID: "a"}, true, []Step{{Deactivate, "a"}}, "", 29 * day},
		"suspended, done":                     {[]Key{inactive(key("a", day))}, Stored{ID: "a"}, true, nil, "", 29 * day},
		"suspended past its age":              {[]Key{inactive(key("a", 40*day))}, Stored{ID: "a"}, true, nil, "", -10 * day},
		"suspended in the overlap":            {[]Key{key("a", 31*day), key("b", time.Hour)}, Stored{ID: "b"}, true, []Step{{Deactivate, "b"}, {Deactivate, "a"}}, "a", 23 * time.Hour},
		"suspended with a stranger's key":     {[]Key{key("a", day), key("x", time.Hour)}, Stored{ID: "a"}, true, []Step{{Delete, "x"}, {Deactivate, "a"}}, "", 29 * day},
		"suspended, nothing yet":              {nil, Stored{}, true, nil, "", 0},
		"suspended, the Secret is gone":       {[]Key{inactive(key("a", day)), key("b", time.Hour)}, Stored{}, true, []Step{{Delete, "a"}, {Delete, "b"}}, "", 0},
		"resumed":                             {[]Key{inactive(key("a", day))}, Stored{ID: "a"}, false, []Step{{Activate, "a"}}, "", 29 * day},
		"resumed in the overlap":              {[]Key{inactive(key("a", 31*day)), inactive(key("b", time.Hour))}, Stored{ID: "b"}, false, []Step{{Activate, "b"}, {Activate, "a"}}, "a", 23 * time.Hour},
		"resumed past its age":                {[]Key{inactive(key("a", 40*day))}, Stored{ID: "a"}, false, []Step{{Activate, "a"}, {Do: Create}}, "", -10 * day},
		"resumed after the overlap":           {[]Key{inactive(key("a", 40*day)), inactive(key("b", 2*day))}, Stored{ID: "b"}, false, []Step{{Delete, "a"}, {Activate, "b"}}, "", 28 * day},
		"resumed, the Secret is gone":         {[]Key{inactive(key("a", day))}, Stored{}, false, []Step{{Delete, "a"}, {Do: Create}}, "", 0},
		"resumed without the Secret's key":    {nil, Stored{}, false, []Step{{Do: Create}}, "", 0},
		"more keys than IAM lets one have":    {[]Key{key("a", 9*day), key("b", 8*day), key("c", time.Hour)}, Stored{ID: "c"}, false, []Step{{Delete, "a"}}, "b", 23 * time.Hour},
		"more keys and none in the Secret":    {[]Key{key("a", 9*day), key("b", 8*day), key("c", time.Hour)}, Stored{}, false, []Step{{Delete, "a"}, {Delete, "b"}, {Do: Create}}, "", 0},
		"suspended with a key not yet listed": {nil, Stored{ID: "b", Created: noon.Add(-time.Second)}, true, []Step{{Deactivate, "b"}}, "", 30*day - time.Second},
	} {
		plan := Decide(Situation{Keys: c.keys, Stored: c.stored, Suspended: c.suspended, Now: noon}, monthly)
		if !slices.Equal(plan.Steps, c.steps) || plan.Previous.ID != c.previous {
			t.Errorf("%s: %v, previous %q; want %v, %q", name, plan.Steps, plan.Previous.ID, c.steps, c.previous)
		}
		next := time.Duration(0)
		if !plan.Next().IsZero() {
			next = plan.Next().Sub(noon)
		}
		if next != c.next {
			t.Errorf("%s: next after %v, want %v", name, next, c.next)
		}
	}
}

func TestScheduleOf(t *testing.T) {
	for _, c := range []struct {
		rotationDays, overlapHours int32
		want                       Schedule
	}{
		{0, 0, monthly},
		{7, 48, Schedule{7 * day, 2 * day}},
		{1, 0, Schedule{day, day / 2}},
		{1, 168, Schedule{day, day / 2}},
		{-1, -1, monthly},
	} {
		if got := ScheduleOf(v1alpha1.AccessKeyPublisher{RotationDays: c.rotationDays, OverlapHours: c.overlapHours}); got != c.want {
			t.Errorf("%d days, %d hours: %+v, want %+v", c.rotationDays, c.overlapHours, got, c.want)
		}
	}
}

// account is an IAM user and its Secret, for a simulation.
type account struct {
	t      *testing.T
	now    time.Time
	made   int
	keys   []Key
	stored Stored
	// since is when a key left the Secret because another took its place, until
	// the overlap that this begins is cut short by a request for another key.
	since map[string]time.Time
}

// do carries out one step, or half of one: a crash may come before the Secret is
// written.
func (a *account) do(s Step, crash bool) {
	at := slices.IndexFunc(a.keys, func(k Key) bool { return k.ID == s.KeyID })
	switch s.Do {
	case Create:
		if len(a.keys) >= MaxKeys {
			a.t.Fatalf("a third key: %v", a.keys)
		}
		a.made++
		fresh := Key{ID: fmt.Sprint("k", a.made), Created: a.now, Active: true}
		a.keys = append(a.keys, fresh)
		if !crash {
			if a.stored.ID != "" {
				a.since[a.stored.ID] = a.now
			}
			a.stored = Stored{ID: fresh.ID, Created: fresh.Created}
		}
	case Delete:
		if s.KeyID == a.stored.ID {
			a.t.Fatalf("the key in the Secret is deleted: %v", a.keys)
		}
		if from, replaced := a.since[s.KeyID]; replaced && a.now.Sub(from) < monthly.Overlap {
			a.t.Fatalf("%s is deleted %v after it was replaced", s.KeyID, a.now.Sub(from))
		}
		a.keys = slices.Delete(a.keys, at, at+1)
	default:
		a.keys[at].Active = s.Do == Activate
	}
}

// pass plans and carries out, or crashes after some of the steps.
func (a *account) pass(suspended bool, crash int) (done bool) {
	for i, s := range Decide(Situation{a.keys, a.stored, suspended, a.now}, monthly).Steps {
		if i == crash {
			if s.Do == Create {
				a.do(s, true)
			}
			return false
		}
		a.do(s, false)
	}
	return true
}

// TestEveryHistoryEndsWell runs through random histories: time passes, the
// operator crashes at any step, Secrets and keys are deleted, lanes suspended and
// resumed. There are never three keys, the key in the Secret is never deleted, a
// replaced key never goes before the overlap is over; and whenever the operator
// gets through, one working key is in the Secret, none is too old, none too many.
func TestEveryHistoryEndsWell(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		a := &account{t: t, now: noon, since: map[string]time.Time{}}
		suspended := false
		for range 60 {
			a.now = a.now.Add(time.Duration(r.Int64N(int64(3*day))).Truncate(time.Second) + time.Second)
			switch r.IntN(12) {
			case 0: // A request for a new key ends the overlaps.
				a.stored, a.since = Stored{}, map[string]time.Time{}
			case 1:
				if len(a.keys) > 0 {
					a.keys = slices.Delete(a.keys, 0, 1)
					a.since = map[string]time.Time{}
				}
			case 2:
				suspended = !suspended
			case 3:
				a.stored.ID, a.since = "unknown", map[string]time.Time{}
			}
			if r.IntN(3) == 0 {
				a.pass(suspended, r.IntN(3))
				continue
			}
			for range 3 {
				a.pass(suspended, -1)
			}
			a.settled(suspended)
		}
	}
}

func (a *account) settled(suspended bool) {
	a.t.Helper()
	plan := Decide(Situation{a.keys, a.stored, suspended, a.now}, monthly)
	if len(plan.Steps) > 0 {
		a.t.Fatalf("three passes leave %v to do with %v", plan.Steps, a.keys)
	}
	if !suspended && (plan.Current.ID == "" || plan.Current.ID != a.stored.ID) {
		a.t.Fatalf("the Secret holds %v, IAM %v", a.stored, a.keys)
	}
	for _, k := range a.keys {
		if k.Active == suspended {
			a.t.Fatalf("suspended %t, and %+v", suspended, k)
		}
		if !suspended && k.ID == plan.Current.ID && a.now.Sub(k.Created) >= monthly.Rotation {
			a.t.Fatalf("%+v is %v old", k, a.now.Sub(k.Created))
		}
		if k.ID != plan.Current.ID && a.now.Sub(plan.Current.Created) >= monthly.Overlap {
			a.t.Fatalf("%+v outlives the overlap", k)
		}
	}
}
