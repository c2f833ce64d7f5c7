package catalog

import "time"

// Upstream says that a project is published by another index and only linked to
// from the lane's pages. The zero value stands for a project of the lane itself.
type Upstream struct {
	// IndexURL of the index that the links come from.
	IndexURL string `json:"indexURL"`
	// Changed is when the links last changed.
	Changed time.Time `json:"changed,omitzero"`
	// ShrunkSince is since when the upstream lists suspiciously less than this
	// catalog, which keeps what it has meanwhile.
	ShrunkSince time.Time `json:"shrunkSince,omitzero"`
	// Dropped is true once the lane does not depend on the project any more. It
	// then has no page at all: the name is not the lane's, and installers shall
	// find it elsewhere.
	Dropped bool `json:"dropped,omitempty"`
}

// Link is where a file lies that another index publishes. It is never changed
// once it is in a catalog, only replaced.
type Link struct {
	// URL of the file, absolute.
	URL string `json:"url"`
	// Yanked is true if the index that publishes the file has yanked it (PEP
	// 592), YankReason says why.
	Yanked     bool   `json:"yanked,omitempty"`
	YankReason string `json:"yankReason,omitempty"`
}

// URL is where a file of another index lies; empty for one of the lane's own.
func (f *File) URL() string {
	if f.Link == nil {
		return ""
	}
	return f.Link.URL
}

// Linked is true for a project that another index publishes.
func (c *Catalog) Linked() bool { return c.Upstream.IndexURL != "" && !c.Upstream.Dropped }

// HasPages tells whether the project has pages. Retired projects keep an empty
// one, dropped links have none.
func (c *Catalog) HasPages() bool { return !c.Upstream.Dropped }
