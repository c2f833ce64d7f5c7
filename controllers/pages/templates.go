package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
)

//go:embed templates
var templates embed.FS

// style makes pages pleasant to read on a desk and on a phone, in light and in
// dark. Installers skip it.
var style = mustRead("templates/style.css")

// policy is the Content-Security-Policy of every page: no script, nothing from
// anywhere else, and no style but ours. Pages show what people wrote who may not
// publish pages; should escaping ever fail, a browser still runs none of it.
var policy = "default-src 'none'; style-src 'sha256-" + styleHash() + "'; form-action 'self'; base-uri 'none'"

var (
	rootTemplate     = mustParse("templates/root.html")
	archivesTemplate = mustParse("templates/archives.html")
)

func mustRead(name string) string {
	data, err := templates.ReadFile(name)
	if err != nil {
		panic(err) // it is compiled in
	}
	return string(data)
}

func mustParse(name string) *template.Template {
	return template.Must(template.New(name).Parse(mustRead(name)))
}

func styleHash() string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// frame is what every page made from a template has.
type frame struct{ Title string }

// The constants of a page, for its template.

// APIVersion is [APIVersion].
func (frame) APIVersion() string { return APIVersion }

// Policy is the page's Content-Security-Policy.
func (frame) Policy() string { return policy }

// Style is the page's style sheet.
func (frame) Style() template.CSS { return template.CSS(style) }

// execute renders a template, which escapes every value for its place.
func execute(t *template.Template, view any) []byte {
	var b bytes.Buffer
	if err := t.Execute(&b, view); err != nil {
		panic(err) // a template of ours that does not fit its view
	}
	return b.Bytes()
}
