package simpleindex

import (
	"net/url"
	"time"
)

// Format is the serialisation of a page.
type Format string

// The formats.
const (
	HTML Format = "HTML"
	JSON Format = "JSON"
)

// The content types of the simple API (PEP 691). "Latest" is for requests only:
// a server never answers with it.
const (
	TypeJSON       = "application/vnd.pypi.simple.v1+json"
	TypeHTML       = "application/vnd.pypi.simple.v1+html"
	TypeLegacyHTML = "text/html"
)

// Limits bound what is read. Zero values mean the defaults.
type Limits struct {
	// PageBytes is the largest page. Default 128 MiB: a project with 100,000
	// files takes about 45.
	PageBytes int64
	// Links is how many projects or files one page may list. Default 1,000,000.
	Links int
}

func (l Limits) withDefaults() Limits {
	if l.PageBytes <= 0 {
		l.PageBytes = 128 << 20
	}
	if l.Links <= 0 {
		l.Links = 1_000_000
	}
	return l
}

// Source is a page as it was found.
type Source struct {
	// URL is the address that answered, after redirects: links are relative to
	// it. For a page from a bucket it is the address that the public uses.
	URL string
	// Name is how findings call the page; the URL if left empty.
	Name string
	// Project is the normalised name of the project whose page this is; empty
	// for the list of projects.
	Project string
	// ContentType as it was sent. Left empty it is not judged, and the format is
	// told from the body.
	ContentType string
	Body        []byte
}

// Page is what an index says, in either format.
type Page struct {
	// Source is where the page was found, without its body.
	Source Source
	Format Format
	// Root is true for the list of projects.
	Root bool
	// APIVersion as the page says; empty if it does not.
	APIVersion string
	// Name of the project as the page says: JSON only.
	Name string
	// Projects of the list.
	Projects []Project
	// Files of a project. HasFiles is false for JSON without such a list, of
	// which nothing can be told.
	Files    []File
	HasFiles bool
	// Versions of a project: JSON only, from API version 1.1.
	Versions []string
	// Status of the project (PEP 792), "active" if the page says nothing.
	Status, StatusReason string

	// base is the parsed URL of the source.
	base *url.URL
	// hasVersions is true if the page has the key versions.
	hasVersions bool
}

// Project is one entry of the list of projects.
type Project struct {
	// Name as written.
	Name string
	// Href as written; empty in JSON, where the address follows from the name.
	Href string
	// URL of the page.
	URL string
	// Line of the page that the entry is on; 0 if not known.
	Line int
}

// File is one file of a project.
type File struct {
	// Name is the file name: JSON says it, in HTML it is the last part of the
	// address.
	Name string
	// Text of the link: HTML only.
	Text string
	// Href as written, without its fragment.
	Href string
	// URL is the address resolved against the page, without its fragment; empty
	// if Href is no address.
	URL string
	// Hashes by algorithm, as written.
	Hashes map[string]string
	// RequiresPython is empty if the page says nothing.
	RequiresPython string
	// Yanked files are left out by installers unless pinned (PEP 592).
	Yanked     bool
	YankReason string
	// Metadata tells whether METADATA can be fetched at URL + ".metadata" (PEP
	// 658, 714), MetadataHashes what its hashes are.
	Metadata       bool
	MetadataHashes map[string]string
	// Size in bytes; -1 if the page does not say.
	Size int64
	// UploadTime is zero if the page does not say.
	UploadTime time.Time
	// Provenance is the address of the attestations (PEP 740), as written.
	Provenance string
	// Line of the page that the file is on; 0 if not known.
	Line int
}

// SHA256 of the file in lower case; empty if the page does not say.
func (f *File) SHA256() string { return sha256Of(f.Hashes) }

// MetadataSHA256 of the file's METADATA in lower case; empty if not said.
func (f *File) MetadataSHA256() string { return sha256Of(f.MetadataHashes) }
