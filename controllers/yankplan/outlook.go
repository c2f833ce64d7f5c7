package yankplan

import (
	"cmp"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// outlook is what the page of one project in one channel would say after the
// Yank.
type outlook struct {
	channel v1alpha1.ChannelName
	project string
	mode    v1alpha1.YankMode
	retired bool

	// stored counts the files that are there, matched those of them that the
	// selector matches.
	stored, matched int
	// all counts the files on the page.
	all count
	// versions counts them by version text.
	versions map[string]*count
}

// count sums up files on a page.
type count struct {
	// taken are those that installers choose now and would not afterwards.
	taken int
	// left are those that stay as they are; flagged those that stay marked as
	// yanked, or become so.
	left, flagged int
}

func newOutlook(c *catalog.Catalog, mode v1alpha1.YankMode) *outlook {
	return &outlook{channel: c.Channel, project: c.Project, mode: mode, retired: c.Retired, versions: map[string]*count{}}
}

// add counts one file.
func (o *outlook) add(f *catalog.File, matched bool) {
	if f.State != catalog.StateGone {
		o.stored++
		if matched {
			o.matched++
		}
	}
	listed, flagged, _ := f.OnPage()
	if o.retired || !listed {
		return
	}
	n := o.versions[f.Version]
	if n == nil {
		n = &count{}
		o.versions[f.Version] = n
	}
	for _, n := range []*count{n, &o.all} {
		switch {
		case matched && o.mode != v1alpha1.YankFlag:
			n.taken++
		case matched && !flagged:
			n.taken++
			n.flagged++
		case flagged:
			n.flagged++
		default:
			n.left++
		}
	}
}

// resolution is what a pin to a public version, without a local one, leads to
// after the Yank took some of its files.
type resolution struct {
	// public is the version, local is what it resolves to; empty if to nothing.
	public, local string
	// partly: files of that very version are taken, too.
	partly bool
	// flagged: only files marked as yanked are left.
	flagged bool
}

// resolutions foresees pins to the public versions of all files that are taken,
// from the newest. An installer takes the newest local version (PEP 440), and
// one marked as yanked only if there is no other (PEP 592).
func (o *outlook) resolutions() []resolution {
	type counted struct {
		pep440.Version
		*count
	}
	var all []counted
	for text, n := range o.versions {
		// A version that cannot be read cannot be pinned either.
		if v, err := pep440.Parse(text); err == nil {
			all = append(all, counted{v, n})
		}
	}
	slices.SortFunc(all, func(a, b counted) int {
		// Spellings of one version in a fixed order, for the plan to be stable.
		return cmp.Or(b.Compare(a.Version), strings.Compare(a.String(), b.String()))
	})
	var out []resolution
	for len(all) > 0 {
		public := all[0].WithoutLocal()
		end := slices.IndexFunc(all, func(v counted) bool { return !v.WithoutLocal().Equal(public) })
		if end < 0 {
			end = len(all)
		}
		group := all[:end]
		all = all[end:]
		if !slices.ContainsFunc(group, func(v counted) bool { return v.taken > 0 }) {
			continue
		}
		r := resolution{public: public.String()}
		best := slices.IndexFunc(group, func(v counted) bool { return v.left > 0 })
		if best < 0 {
			best = slices.IndexFunc(group, func(v counted) bool { return v.flagged > 0 })
			r.flagged = best >= 0
		}
		if best >= 0 {
			r.local, r.partly = group[best].String(), group[best].taken > 0
		}
		out = append(out, r)
	}
	return out
}
