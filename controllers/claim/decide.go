package claim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// Contender is a lane of this cluster that wants a platform.
type Contender struct {
	Owner
	// Created is when the API server created it.
	Created time.Time
	// Deleting is true once its deletion was asked for. It keeps what it holds
	// until it is gone, and takes nothing new.
	Deleting bool
}

// Basis is why a lane holds a platform.
type Basis string

// The bases of a decision, from the strongest.
const (
	// BasisRecorded: the record in the bucket names the lane.
	BasisRecorded Basis = "Recorded"
	// BasisOldest: nobody is recorded, or who was is gone, and the lane was
	// created before the others, or has the first name of those created at once.
	BasisOldest Basis = "Oldest"
	// BasisNobody: no lane can hold the platform.
	BasisNobody Basis = "Nobody"
)

// Decision is who holds a platform.
type Decision struct {
	// Platform that was decided about.
	Platform string
	// Holder is the lane that holds it; the zero value with BasisNobody.
	Holder Owner
	// Basis says why.
	Basis Basis
	// Stale is true when the record does not name the holder and has to be
	// written, with the precondition that it is still the one that was read.
	Stale bool
}

// Decide says which lane holds a platform: the recorded owner while it still
// contends, else the oldest contender, else the first by namespace and name.
//
// contenders are all lanes of one cluster that name the platform. An owner in
// another cluster cannot be seen from here and holds the platform until its own
// operator gives the record up. record is nil when there is none.
func Decide(platform string, record *Record, contenders []Contender) Decision {
	d := Decision{Platform: platform, Basis: BasisNobody}
	if record != nil && contends(record.Owner, contenders) {
		d.Holder, d.Basis = record.Owner, BasisRecorded
		return d
	}
	var first *Contender
	for i := range contenders {
		c := &contenders[i]
		if !c.Deleting && (first == nil || before(*c, *first) < 0) {
			first = c
		}
	}
	if first != nil {
		d.Holder, d.Basis, d.Stale = first.Owner, BasisOldest, true
	}
	return d
}

// contends says whether a recorded owner still wants the platform, or may still
// want it as far as can be told from this cluster.
func contends(owner Owner, contenders []Contender) bool {
	here := false
	for _, c := range contenders {
		if c.same(owner) {
			return true
		}
		here = here || c.Cluster == owner.Cluster
	}
	return !here
}

func before(a, b Contender) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// HeldBy says whether the lane is the holder.
func (d Decision) HeldBy(lane Owner) bool { return d.Basis != BasisNobody && d.Holder.same(lane) }

// Message tells a lane that is not the holder who is, and what to do.
func (d Decision) Message(lane Owner) string {
	switch {
	case d.Basis == BasisNobody:
		return fmt.Sprintf("nobody holds the platform %s", d.Platform)
	case d.HeldBy(lane):
		return fmt.Sprintf("this lane holds the platform %s", d.Platform)
	case d.Holder.Cluster != lane.Cluster:
		return fmt.Sprintf("the platform %s is held by %s; delete that lane first, or, if its cluster is gone, the object %s in the bucket",
			d.Platform, d.Holder, layout.ClaimKey(d.Platform))
	default:
		return fmt.Sprintf("the platform %s is held by the lane %s/%s; this lane takes over when that one is deleted, or choose another platform",
			d.Platform, d.Holder.Namespace, d.Holder.Name)
	}
}

// Reserved says whether a platform is a name that no lane can have, and why.
func Reserved(platform string) (why string, reserved bool) {
	switch {
	case slices.Contains(ownNames, platform), ownPattern.MatchString(platform):
		return fmt.Sprintf("%s is a name that the index uses itself; choose the vendor's own name", platform), true
	case projectPattern.MatchString(platform):
		return fmt.Sprintf("%s begins like a project of PyTorch's own; choose the vendor's own name", platform), true
	}
	if _, found := slices.BinarySearch(rootProjects, platform); found {
		return fmt.Sprintf("%s is a project of the root index and a lane of that name would shadow its page whl/%s/; choose the vendor's own name", platform, platform), true
	}
	return "", false
}
