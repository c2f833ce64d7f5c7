package pages

import (
	"strconv"

	"github.com/pytorch/platform-lane-operator/controllers/layout"
)

// style makes a page pleasant to read on a desk and on a phone. Installers skip
// it.
const style = `<style>
body{font:16px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#262626;background:#fff;overflow-wrap:anywhere}
h1{font-size:1.4rem}a{color:#b8321a}
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#1b1b1b}a{color:#ff8a70}}
</style>
`

// appendHead appends everything up to the heading. revision 0 is left out: the
// list of projects has none.
func appendHead(b []byte, title string, revision int64) []byte {
	b = append(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"+
		"<meta name=\"pypi:repository-version\" content=\""+APIVersion+"\">\n"...)
	if revision > 0 {
		b = append(b, `<meta name="_catalog-revision" content="`...)
		b = strconv.AppendInt(b, revision, 10)
		b = append(b, "\">\n"...)
	}
	b = append(b, "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>"...)
	b = appendHTML(b, title)
	b = append(b, "</title>\n"+style+"</head>\n<body>\n<h1>"...)
	b = appendHTML(b, title)
	return append(b, "</h1>\n"...)
}

const tail = "</body>\n</html>\n"

// About how many bytes a page takes, and each file on it: enough for most pages
// to be written without growing their buffer.
const (
	pageBytes = 2048
	fileBytes = 640
)

func (p *project) html() []byte {
	b := make([]byte, 0, pageBytes+fileBytes*len(p.files))
	b = appendHead(b, p.title, p.revision)
	if len(p.files) == 0 {
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
	if e.Provenance != "" {
		b = appendAttribute(b, "data-provenance", "", e.url+layout.ProvenanceSuffix)
	}
	b = append(b, '>')
	b = appendHTML(b, e.Name)
	return append(b, "</a><br>\n"...)
}

func appendAttribute(b []byte, name, prefix, value string) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, `="`...)
	b = append(b, prefix...)
	b = appendHTML(b, value)
	return append(b, '"')
}
