package pages

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// Removal is one entry of the public feed: one file that one Yank took back.
type Removal struct {
	File    string               `json:"file"`
	Channel v1alpha1.ChannelName `json:"channel"`
	Project string               `json:"project"`
	// SHA256 of the bytes, in lower-case hexadecimal; empty if never known.
	SHA256    string            `json:"sha256,omitempty"`
	SizeBytes int64             `json:"sizeBytes"`
	Mode      v1alpha1.YankMode `json:"mode"`
	Reason    string            `json:"reason"`
	Advisory  *RemovalAdvisory  `json:"advisory,omitempty"`
	// Time when the file was taken back, in UTC.
	Time time.Time `json:"time"`
}

// RemovalAdvisory is the public notice that a removal belongs to.
type RemovalAdvisory struct {
	ID  string `json:"id"`
	URL string `json:"url,omitempty"`
}

// RemovalsOf reads the removals out of the catalogs' tombstones: one for each
// Yank on a file, and another one where other bytes have since been stored under
// the name, for those are taken back as well. Who asked is not public.
func RemovalsOf(catalogs []*catalog.Catalog) []Removal {
	var out []Removal
	for _, c := range catalogs {
		for i := range c.Files {
			f := &c.Files[i]
			for _, t := range f.Tombstones {
				r := Removal{
					File: f.Name, Channel: c.Channel, Project: c.Project, SHA256: t.SHA256, SizeBytes: t.Size,
					Mode: t.Mode, Reason: t.Reason, Time: t.Time.UTC(),
				}
				if t.AdvisoryID != "" {
					r.Advisory = &RemovalAdvisory{ID: t.AdvisoryID, URL: t.AdvisoryURL}
				}
				if t.SHA256 != "" || f.SHA256 == "" {
					out = append(out, r)
				}
				if f.SHA256 != "" && f.SHA256 != t.SHA256 {
					r.SHA256, r.SizeBytes = f.SHA256, f.Size
					out = append(out, r)
				}
			}
		}
	}
	return out
}

// Removals renders the feed of what a lane took back, ordered by channel,
// project, file and time; one entry a line, so that people can compare it.
func Removals(platform string, entries []Removal) Page {
	entries = slices.SortedFunc(slices.Values(entries), compareRemovals)
	b := append([]byte(nil), `{"format":1,"platform":`...)
	b = appendJSON(b, platform)
	b = append(b, ",\n\"removals\":["...)
	for i, entry := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		entry.Reason = clean(entry.Reason)
		entry.Time = entry.Time.UTC().Truncate(time.Second)
		line, err := json.Marshal(entry)
		if err != nil {
			panic(err) // only a year beyond 9999 has no JSON form, and no catalog can hold one
		}
		b = append(b, '\n')
		b = append(b, line...)
	}
	b = append(b, "\n]}\n"...)
	return Page{Key: layout.RemovalsKey(platform), Body: b, ContentType: ContentTypeFeed, CacheControl: CacheControlPage}
}

func compareRemovals(a, b Removal) int {
	return cmp.Or(
		strings.Compare(string(a.Channel), string(b.Channel)),
		strings.Compare(a.Project, b.Project),
		strings.Compare(a.File, b.File),
		a.Time.Compare(b.Time),
		strings.Compare(string(a.Mode), string(b.Mode)),
		strings.Compare(a.SHA256, b.SHA256),
		strings.Compare(a.Reason, b.Reason),
		compareAdvisories(a.Advisory, b.Advisory),
	)
}

func compareAdvisories(a, b *RemovalAdvisory) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.URL, b.URL))
}
