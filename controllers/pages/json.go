package pages

import (
	"strconv"
	"strings"
)

// uploadTime is the one format that PEP 700 allows, with all six digits.
const uploadTime = "2006-01-02T15:04:05.000000Z"

// apiVersionUnsized is the version that a page speaks if the size of a file is
// not known: from 1.1 on every file has one (PEP 700).
const apiVersionUnsized = "1.0"

// appendMeta appends the opening of a page and its meta object. revision 0 is
// left out: the list of projects has none.
func appendMeta(b []byte, version string, revision int64) []byte {
	b = append(b, `{"meta":{"api-version":"`+version+`"`...)
	if revision > 0 {
		b = append(b, `,"_catalog-revision":`...)
		b = strconv.AppendInt(b, revision, 10)
	}
	return append(b, "},\n"...)
}

func (p *project) json() []byte {
	b := make([]byte, 0, p.pageSize(1))
	version := APIVersion
	if p.unsized {
		version = apiVersionUnsized
	}
	b = appendMeta(b, version, p.revision)
	b = append(b, `"name":`...)
	b = appendJSON(b, p.name)
	if p.status != nil {
		b = append(b, ",\n\"project-status\":{\"status\":"...)
		b = appendJSON(b, p.status.Status)
		b = append(b, `,"reason":`...)
		b = appendJSON(b, p.status.Reason)
		b = append(b, '}')
	}
	b = append(b, ",\n\"versions\":["...)
	for i, version := range p.versions {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, version)
	}
	b = append(b, "],\n\"files\":["...)
	for i := range p.files {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
		b = p.files[i].appendObject(b)
	}
	return append(b, "\n]}\n"...)
}

// appendObject appends one file. It has no dist-info-metadata, the older name
// of core-metadata: pip 22.3 to 23.1 fail on that key (PEP 714).
func (e *entry) appendObject(b []byte) []byte {
	b = append(b, `{"filename":`...)
	b = appendJSON(b, e.Name)
	b = append(b, `,"url":`...)
	b = appendJSON(b, e.url)
	b = append(b, `,"hashes":{"sha256":`...)
	b = appendJSON(b, e.SHA256)
	b = append(b, '}')
	if e.Size > 0 || e.Link == nil {
		b = append(b, `,"size":`...)
		b = strconv.AppendInt(b, e.Size, 10)
	}
	if !e.UploadTime.IsZero() {
		b = append(b, `,"upload-time":"`...)
		b = e.UploadTime.UTC().AppendFormat(b, uploadTime)
		b = append(b, '"')
	}
	if e.RequiresPython != "" {
		b = append(b, `,"requires-python":`...)
		b = appendJSON(b, e.RequiresPython)
	}
	if e.MetadataSHA256 != "" {
		b = append(b, `,"core-metadata":{"sha256":`...)
		b = appendJSON(b, e.MetadataSHA256)
		b = append(b, '}')
	}
	if e.yanked {
		b = append(b, `,"yanked":`...)
		b = appendYanked(b, e.reason)
	}
	if e.provenance != "" {
		b = append(b, `,"provenance":`...)
		b = appendJSON(b, e.provenance)
	}
	return append(b, '}')
}

// appendYanked appends the reason, or true if it says nothing: an empty string
// would mean that the file is not yanked (PEP 691).
func appendYanked(b []byte, reason string) []byte {
	if strings.TrimSpace(reason) == "" {
		return append(b, "true"...)
	}
	return appendJSON(b, reason)
}
