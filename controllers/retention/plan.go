package retention

import (
	"slices"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// Plan is what a policy no longer keeps of one project.
type Plan struct {
	// Due are the names of files, in order.
	Due []string
	// Next is when, without any other change, more becomes due; zero for never.
	Next time.Time
}

// Of makes the plan for a catalog at a time.
func Of(c *catalog.Catalog, policy Policy, now time.Time) Plan {
	var plan Plan
	if policy.String() == "" || c.Retired {
		return plan
	}
	versions := versionsOf(c)
	keep := keeper(versions, policy)
	for _, v := range versions {
		if keep(v) {
			continue
		}
		if policy.Days > 0 {
			until := v.uploaded.AddDate(0, 0, policy.Days)
			if now.Before(until) {
				if plan.Next.IsZero() || until.Before(plan.Next) {
					plan.Next = until
				}
				continue
			}
		}
		plan.Due = append(plan.Due, v.files...)
	}
	slices.Sort(plan.Due)
	return plan
}

// version is one version of a project.
type version struct {
	pep440.Version
	// files may become due; those that Yanks hold are not among them.
	files []string
	// uploaded is when the newest file was.
	uploaded time.Time
	// installable is true if a file can be had without asking for this very
	// version.
	installable bool
}

// versionsOf are the versions that have files on the page, the newest first.
func versionsOf(c *catalog.Catalog) []*version {
	byText := map[string]*version{}
	var all []*version
	for i := range c.Files {
		f := &c.Files[i]
		listed, flagged, _ := f.OnPage()
		if !listed {
			continue
		}
		v, ok := byText[f.Version]
		if !ok {
			if parsed, err := pep440.Parse(f.Version); err == nil {
				v = &version{Version: parsed}
				all = append(all, v)
			}
			byText[f.Version] = v
		}
		if v == nil {
			continue
		}
		if f.UploadTime.After(v.uploaded) {
			v.uploaded = f.UploadTime
		}
		if len(f.Tombstones) == 0 {
			v.files = append(v.files, f.Name)
		}
		v.installable = v.installable || !flagged
	}
	slices.SortStableFunc(all, func(a, b *version) int { return b.Compare(a.Version) })
	return merged(all)
}

// merged joins spellings of one version.
func merged(all []*version) []*version {
	var out []*version
	for _, v := range all {
		if n := len(out); n > 0 && out[n-1].Equal(v.Version) {
			last := out[n-1]
			last.files = append(last.files, v.files...)
			last.installable = last.installable || v.installable
			if v.uploaded.After(last.uploaded) {
				last.uploaded = v.uploaded
			}
			continue
		}
		out = append(out, v)
	}
	return out
}

// keeper tells which versions stay whatever their age.
func keeper(versions []*version, policy Policy) func(*version) bool {
	var newest []*version // that are kept, however old
	var series []pep440.Version
	final := false
	for _, v := range versions {
		if !v.installable {
			continue
		}
		if len(newest) < max(1, policy.Versions) || !final && !v.IsPrerelease() {
			newest = append(newest, v)
		}
		if v.IsPrerelease() {
			continue
		}
		final = true
		if n := len(series); n < policy.Series && (n == 0 || !series[n-1].Equal(v.Series())) {
			series = append(series, v.Series())
		}
	}
	return func(v *version) bool {
		if slices.Contains(newest, v) {
			return true
		}
		// With fewer series than may stay, none is too old.
		return policy.Series > 0 && (len(series) < policy.Series || v.Series().Compare(series[len(series)-1]) >= 0)
	}
}
