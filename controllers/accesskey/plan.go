package accesskey

import (
	"cmp"
	"slices"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// lag is how long IAM may take to list a key that it made: its reads catch up
// with its writes in seconds.
const lag = 2 * time.Minute

// Schedule says how long keys live.
type Schedule struct {
	// Rotation is how old a key gets before a new one replaces it.
	Rotation time.Duration
	// Overlap is how long the replaced key works on; shorter than Rotation.
	Overlap time.Duration
}

// ScheduleOf is a publisher's schedule, with the schema's defaults. What
// admission would have refused is brought within its bounds.
func ScheduleOf(p v1alpha1.AccessKeyPublisher) Schedule {
	s := Schedule{
		Rotation: time.Duration(cmp.Or(max(p.RotationDays, 0), 30)) * 24 * time.Hour,
		Overlap:  time.Duration(cmp.Or(max(p.OverlapHours, 0), 24)) * time.Hour,
	}
	if s.Overlap >= s.Rotation {
		s.Overlap = s.Rotation / 2
	}
	return s
}

// Stored is the key that the Secret holds.
type Stored struct {
	// ID of the key; empty if there is no Secret, or no key in it.
	ID string
	// Created is when the key was made, as the Secret says; zero if it does not.
	Created time.Time
}

// Situation is all that the plan looks at. It has no memory: whatever was done
// before, and wherever it stopped, shows here.
type Situation struct {
	// Keys are the user's, as IAM lists them.
	Keys []Key
	// Stored is what the Secret holds.
	Stored Stored
	// Suspended lanes have keys that do not work, and get no new ones.
	Suspended bool
	Now       time.Time
}

// Action is what a step does.
type Action string

// The actions.
const (
	// Delete the key in IAM.
	Delete Action = "Delete"
	// Activate makes the key work, Deactivate makes it not.
	Activate   Action = "Activate"
	Deactivate Action = "Deactivate"
	// Create a key and write it to the Secret.
	Create Action = "Create"
)

// Step is one thing to do.
type Step struct {
	Do Action
	// KeyID of the key; empty for Create.
	KeyID string
}

// Plan is what to do now, and what is due later.
type Plan struct {
	// Steps in the order in which they are to be done. Doing some of them only,
	// or some twice, is no harm: the next plan begins with what it finds.
	Steps []Step
	// Current is the key that the Secret holds; zero if IAM has no such key.
	Current Key
	// RotatesAt is when a new key is due; zero without a current one.
	RotatesAt time.Time
	// Previous is the key that Current replaced, while it works on; it goes at
	// PreviousExpires.
	Previous        Key
	PreviousExpires time.Time
}

// Next is when there will be something to do; zero if never.
func (p Plan) Next() time.Time {
	if !p.PreviousExpires.IsZero() && p.PreviousExpires.Before(p.RotatesAt) {
		return p.PreviousExpires
	}
	return p.RotatesAt
}

// Decide plans the next steps of a user's keys.
//
// The Secret says which key is in use; the dates of the keys say the rest:
//
//   - A key that is newer than the Secret's was made just before a crash or by a
//     stranger. Nobody who should know its secret does: it goes.
//   - A key that is older than the Secret's was replaced by it, and goes when the
//     overlap is over.
//   - A Secret that is gone, or that holds a key which IAM does not know, asks for
//     a new key now. The newest key works on as the one that was replaced, for
//     somebody may have read it; an older one makes room. A key that does not
//     work has nobody to work on for, and goes: while the lane is suspended all
//     do, and resuming it begins with a new one, even if nobody looked between
//     the end of the Secret and the resumption. That is how a stolen key is got
//     rid of at once.
//   - A key that reaches its age is replaced and not deleted: the key that the
//     Secret holds goes only after another one has taken its place there.
func Decide(in Situation, s Schedule) Plan {
	keys := slices.Clone(in.Keys)
	slices.SortStableFunc(keys, func(a, b Key) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	current, known := find(keys, in.Stored, in.Now)
	if !known {
		return in.withoutCurrent(keys)
	}
	plan := Plan{Current: current, RotatesAt: current.Created.Add(s.Rotation)}
	expires := current.Created.Add(s.Overlap)
	kept := []Key{current}
	for _, k := range slices.Backward(keys) {
		switch {
		case k.ID == current.ID:
		case k.Created.After(current.Created), !in.Now.Before(expires), plan.Previous.ID != "":
			plan.Steps = append(plan.Steps, Step{Delete, k.ID})
		default:
			plan.Previous, plan.PreviousExpires = k, expires
			kept = append(kept, k)
		}
	}
	for _, k := range kept {
		if in.Suspended && k.Active {
			plan.Steps = append(plan.Steps, Step{Deactivate, k.ID})
		} else if !in.Suspended && !k.Active {
			plan.Steps = append(plan.Steps, Step{Activate, k.ID})
		}
	}
	if !in.Suspended && !in.Now.Before(plan.RotatesAt) {
		plan.Steps = append(plan.Steps, Step{Do: Create})
	}
	return plan
}

// withoutCurrent plans for a Secret that holds no key of the user.
func (in Situation) withoutCurrent(keys []Key) Plan {
	var plan Plan
	for i, k := range keys {
		if newest := i == len(keys)-1; in.Suspended || !newest || !k.Active {
			plan.Steps = append(plan.Steps, Step{Delete, k.ID})
		}
	}
	if !in.Suspended {
		plan.Steps = append(plan.Steps, Step{Do: Create})
	}
	return plan
}

// find looks for the key that the Secret holds. One that was stored a moment ago
// counts even if IAM does not list it yet: another would be made in its place.
func find(keys []Key, stored Stored, now time.Time) (Key, bool) {
	if stored.ID == "" {
		return Key{}, false
	}
	if i := slices.IndexFunc(keys, func(k Key) bool { return k.ID == stored.ID }); i >= 0 {
		return keys[i], true
	}
	if age := now.Sub(stored.Created); !stored.Created.IsZero() && age.Abs() < lag {
		return Key{ID: stored.ID, Created: stored.Created, Active: true}, true
	}
	return Key{}, false
}
