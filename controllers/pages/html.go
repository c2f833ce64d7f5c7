package pages

import "strconv"

// appendHead appends everything up to the heading.
func (p *project) appendHead(b []byte) []byte {
	b = append(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"...)
	b = append(b, `<meta http-equiv="Content-Security-Policy" content="`...)
	b = appendHTML(b, policy)
	b = append(b, "\">\n<meta name=\"pypi:repository-version\" content=\""+APIVersion+"\">\n"...)
	if p.revision > 0 {
		b = append(b, `<meta name="_catalog-revision" content="`...)
		b = strconv.AppendInt(b, p.revision, 10)
		b = append(b, "\">\n"...)
	}
	if p.status != nil {
		b = appendMetaTag(b, "pypi:project-status", p.status.Status)
		b = appendMetaTag(b, "pypi:project-status-reason", p.status.Reason)
	}
	b = append(b, "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>"...)
	b = appendHTML(b, p.title)
	b = append(b, "</title>\n<style>"...)
	b = append(b, style...)
	b = append(b, "</style>\n</head>\n<body>\n<h1>"...)
	b = appendHTML(b, p.title)
	return append(b, "</h1>\n"...)
}

func appendMetaTag(b []byte, name, content string) []byte {
	b = append(b, "<meta"...)
	b = appendAttribute(b, "name", "", name)
	b = appendAttribute(b, "content", "", content)
	return append(b, ">\n"...)
}

const tail = "</body>\n</html>\n"

// About how many bytes a page takes, and each file on it beside the file's own
// texts: enough for most pages to be written without growing their buffer, and
// not much more.
const (
	pageBytes = 4096
	fileBytes = 192
)

// pageSize is about how long a page is that has each hash of a file's metadata
// that many times.
func (p *project) pageSize(metadataHashes int) int {
	n := pageBytes
	for i := range p.files {
		e := &p.files[i]
		n += fileBytes + len(e.url) + len(e.Name) + len(e.SHA256) + metadataHashes*len(e.MetadataSHA256) + 2*len(e.reason) + len(e.provenance)
	}
	return n
}

func (p *project) html() []byte {
	b := make([]byte, 0, p.pageSize(2))
	b = p.appendHead(b)
	switch {
	case p.status != nil:
		b = append(b, "<p>"...)
		b = appendHTML(b, p.status.Reason)
		b = append(b, "</p>\n"...)
	case len(p.files) == 0:
		b = append(b, "<p>No files are listed.</p>\n"...)
	}
	for i := range p.files {
		b = p.files[i].appendAnchor(b)
	}
	return append(b, tail...)
}

// appendAnchor appends the link of one file. Every link is a child of body
// itself: some clients look nowhere else.
func (e *entry) appendAnchor(b []byte) []byte {
	b = append(b, `<a href="`...)
	b = appendHTML(b, e.url)
	b = append(b, "#sha256="...)
	b = appendHTML(b, e.SHA256)
	b = append(b, '"')
	if e.RequiresPython != "" {
		b = appendAttribute(b, "data-requires-python", "", e.RequiresPython)
	}
	if e.MetadataSHA256 != "" {
		b = appendAttribute(b, "data-core-metadata", "sha256=", e.MetadataSHA256)
		b = appendAttribute(b, "data-dist-info-metadata", "sha256=", e.MetadataSHA256)
	}
	if e.yanked {
		// Always with a value: pip takes no notice of a bare attribute.
		b = appendAttribute(b, "data-yanked", "", e.reason)
	}
	if e.provenance != "" {
		b = appendAttribute(b, "data-provenance", "", e.provenance)
	}
	b = append(b, '>')
	b = appendHTML(b, e.Name)
	b = append(b, "</a>"...)
	if e.yanked {
		// What the attribute tells installers, for people.
		b = append(b, ` <strong class="warn">withdrawn`...)
		if e.reason != "" {
			b = append(b, ": "...)
			b = appendHTML(b, e.reason)
		}
		b = append(b, "</strong>"...)
	}
	return append(b, "<br>\n"...)
}

func appendAttribute(b []byte, name, prefix, value string) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, `="`...)
	b = append(b, prefix...)
	b = appendHTML(b, value)
	return append(b, '"')
}
