package simpleindex_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/simpleindex"
)

const (
	hash      = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	otherHash = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	torch     = "torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl"
	torchHref = "torch-2.9.0%2Bspyre-cp312-cp312-linux_x86_64.whl"
	pageURL   = "https://index.example.com/whl/spyre/torch/"
)

// link is a link to the wheel of these tests, with attributes.
func link(attributes string) string {
	return `<a href="../` + torchHref + `#sha256=` + hash + `" ` + attributes + `>` + torch + `</a>`
}

// to is a link to any file.
func to(href, text string) string { return `<a href="` + href + `">` + text + `</a>` }

const head = `<meta charset="utf-8"><meta name="pypi:repository-version" content="1.4">`

func document(inHead, inBody string) string {
	return "<!DOCTYPE html>\n<html><head>" + inHead + "</head>\n<body>\n" + inBody + "\n</body></html>\n"
}

// htmlPage is the page of torch, otherwise in order.
func htmlPage(inBody string) simpleindex.Source {
	return simpleindex.Source{URL: pageURL, Project: "torch", Body: []byte(document(head, inBody))}
}

func htmlHead(inHead string) simpleindex.Source {
	return simpleindex.Source{URL: pageURL, Project: "torch", Body: []byte(document(inHead, ""))}
}

func htmlRoot(inBody string) simpleindex.Source {
	return simpleindex.Source{URL: "https://index.example.com/whl/spyre/", Body: []byte(document(head, inBody))}
}

func raw(body string) simpleindex.Source {
	return simpleindex.Source{URL: pageURL, Project: "torch", Body: []byte(body)}
}

func sent(contentType, body string) simpleindex.Source {
	return simpleindex.Source{URL: pageURL, Project: "torch", ContentType: contentType, Body: []byte(body)}
}

// file is the JSON of the wheel with further keys.
func file(more string) string {
	return `{"filename":"` + torch + `","url":"../` + torchHref + `","hashes":{"sha256":"` + hash + `"},"size":1` + more + `}`
}

// jsonPage is the page of torch with these files.
func jsonPage(files ...string) simpleindex.Source {
	return jsonKeys(`"name":"torch","versions":["2.9.0+spyre"],"files":[` + strings.Join(files, ",\n") + `]`)
}

func jsonKeys(keys string) simpleindex.Source {
	return raw(`{"meta":{"api-version":"1.4"},` + "\n" + keys + `}`)
}

func jsonRoot(projects string) simpleindex.Source {
	return simpleindex.Source{URL: "https://index.example.com/whl/spyre/", Body: []byte(`{"meta":{"api-version":"1.4"},"projects":[` + projects + `]}`)}
}

// ruleCases break each rule once, and keep to it once. What only a crawl can
// find is tested there.
var ruleCases = []struct {
	rule          string
	breaks, holds simpleindex.Source
}{
	{"content-type", sent("binary/octet-stream", document(head, "")), sent("text/html; charset=utf-8", document(head, ""))},
	{"content-type", sent("application/vnd.pypi.simple.latest+json", `{}`), sent(simpleindex.TypeJSON, `{}`)},
	{"content-type", sent(simpleindex.TypeJSON, document(head, "")), sent(simpleindex.TypeHTML, document(head, ""))},
	{"charset", htmlHead(`<meta name="pypi:repository-version" content="1.0">`), htmlHead(`<meta http-equiv="Content-Type" content="text/html; charset=utf-8">`)},
	{"charset", sent("text/html; charset=latin-1", document(head, "")), sent("text/html;charset=UTF-8", document("", ""))},
	{"charset", htmlHead(`<meta charset="utf-16">`), htmlHead(head)},
	{"not-an-index", raw("hello"), htmlPage("")},
	{"utf8", raw(document(head, "\xff")), raw(document(head, "ü"))},
	{"doctype", raw("<html><head>" + head + "</head></html>"), htmlPage("")},
	{"html-base", htmlHead(head + `<base href="https://elsewhere.example.com/">`), htmlHead(head)},
	{"volatile", htmlPage("<!--TIMESTAMP 1690000000-->"), htmlPage("<!-- wheels of torch -->")},
	{"api-version-missing", htmlHead(`<meta charset="utf-8">`), htmlHead(head)},
	{"api-version", htmlHead(`<meta name="pypi:repository-version" content="2.0">`), htmlHead(`<meta name="pypi:repository-version" content="1.0">`)},
	{"api-version", raw(`{"meta":{"api-version":"one"}}`), jsonPage()},
	{"api-version-newer", raw(`{"meta":{"api-version":"1.5"}}`), jsonPage()},
	{"json-syntax", raw(`{"meta":{"api-version":"1.4"},"files":[`), jsonPage(file(""))},
	{"json-syntax", raw(`{"meta":{"api-version":"1.4"}} more`), jsonPage()},
	{"json-duplicate-key", jsonPage(file(`,"size":2`)), jsonPage(file(""))},
	{"json-required-key", jsonKeys(`"name":"torch","files":[]`), jsonPage()},
	{"json-required-key", jsonPage(`{"filename":"` + torch + `","url":"../` + torchHref + `","hashes":{}}`), jsonPage(file(""))},
	{"json-required-key", jsonPage(`{"filename":"` + torch + `","size":1,"hashes":{}}`), raw(`{"meta":{"api-version":"1.0"},"name":"torch","files":[{"filename":"` + torch + `","url":"../` + torchHref + `","hashes":{}}]}`)},
	{"json-type", jsonKeys(`"name":7,"versions":[],"files":[]`), jsonPage()},
	{"json-type", jsonKeys(`"name":"torch","versions":{},"files":[]`), jsonPage()},
	{"json-type", jsonPage(file(`,"yanked":1`)), jsonPage(file(`,"yanked":true`))},
	{"json-type", jsonPage(`7`), jsonPage(file(`,"requires-python":null`))},
	{"json-unknown-key", jsonPage(file(`,"colour":"red"`)), jsonPage(file(`,"_colour":"red"`))},
	{"rejected-extension", jsonKeys(`"name":"torch","versions":[],"files":[],"alternate-locations":[]`), jsonPage()},
	{"rejected-extension", htmlHead(head + `<meta name="pypi:tracks" content="https://pypi.example.com/simple/torch/">`), htmlHead(head)},
	{"status", htmlHead(head + `<meta name="pypi:project-status" content="sleeping">`), htmlHead(head + `<meta name="pypi:project-status" content="archived">`)},
	{"status", jsonKeys(`"name":"torch","versions":[],"files":[],"project-status":{"status":"gone"}`), jsonKeys(`"name":"torch","versions":[],"files":[],"project-status":{"status":"deprecated","reason":"r"}`)},
	{"status-quarantined", jsonKeys(`"name":"torch","versions":["2.9.0+spyre"],"files":[` + file("") + `],"project-status":{"status":"quarantined"}`), jsonKeys(`"name":"torch","versions":[],"files":[],"project-status":{"status":"quarantined"}`)},

	{"anchor-place", htmlPage("<ul><li>" + link("") + "</li></ul>"), htmlPage("<p>torch</p>" + link("") + "<br>")},
	{"anchor-href", htmlPage("<a name=top>top</a>"), htmlPage(link(""))},
	{"markup", htmlPage(to("../x.whl", "torch<img src=x>")), htmlPage(link(""))},
	{"markup", htmlPage(to("../<b>.whl", "x")), htmlPage(link(`data-yanked="a &lt; b"`))},
	{"control-character", htmlPage(link("data-yanked=\"a\u202eb\"")), htmlPage(link(`data-yanked="ünsafe"`))},
	{"control-character", jsonPage(file(`,"yanked":"a\u0007"`)), jsonPage(file(`,"yanked":"a"`))},
	{"href", htmlPage(to("ftp://files.example.com/"+torchHref, torch)), htmlPage(to("//files.example.com/"+torchHref, torch))},
	{"href", htmlPage(to("https://me:secret@files.example.com/"+torchHref, torch)), htmlPage(link(""))},
	{"href", htmlPage(to("%zz.whl", torch)), htmlPage(link(""))},
	{"href-plus", htmlPage(to("../"+torch, torch)), htmlPage(link(""))},
	{"href-characters", htmlPage(to("../a b.whl", "a b.whl")), htmlPage(link(""))},
	{"href-insecure", htmlPage(to("http://files.example.com/"+torchHref, torch)), htmlPage(to("https://files.example.com/"+torchHref, torch))},

	{"name", htmlRoot(to("tor%E2%84%AAh/", "tor\u212ah")), htmlRoot(to("torch/", "torch"))},
	{"name-normalized", htmlRoot(to("Torch_Vision/", "Torch_Vision")), htmlRoot(to("torch-vision/", "Torch_Vision"))},
	{"name-normalized", jsonKeys(`"name":"Torch","versions":[],"files":[]`), jsonPage()},
	{"name-text", htmlRoot(to("torch/", "vision")), htmlRoot(to("torch/", "torch"))},
	{"name-text", htmlPage(to("../"+torchHref, "download")), htmlPage(link(""))},
	{"name-duplicate", jsonRoot(`{"name":"a"},{"name":"A"}`), jsonRoot(`{"name":"a"},{"name":"b"}`)},
	{"name-mismatch", jsonKeys(`"name":"vision","versions":[],"files":[]`), jsonPage()},
	{"trailing-slash", htmlRoot(to("torch", "torch")), htmlRoot(to("torch/", "torch"))},

	{"file-name-link", jsonPage(strings.Replace(file(""), torchHref, "download", 1)), jsonPage(file(""))},
	{"file-name", htmlPage(to("../torch-2.9.0.whl", "torch-2.9.0.whl")), htmlPage(link(""))},
	{"file-name", htmlPage(to("../torch.tar.gz", "torch.tar.gz")), htmlPage(to("../torch-2.9.0.tar.gz", "torch-2.9.0.tar.gz"))},
	{"file-name", htmlPage(to("../", "up")), htmlPage(link(""))},
	{"file-name-normal", htmlPage(to("../torch-2.9.0.RC1-py3-none-any.whl", "torch-2.9.0.RC1-py3-none-any.whl")), htmlPage(to("../torch-2.9.0rc1-py3-none-any.whl", "torch-2.9.0rc1-py3-none-any.whl"))},
	{"file-type", htmlPage(to("../torch-2.9.0-py3.12.egg", "torch-2.9.0-py3.12.egg")), htmlPage(link(""))},
	{"file-foreign", htmlPage(to("../vision-1-py3-none-any.whl", "vision-1-py3-none-any.whl")), htmlPage(link(""))},
	{"file-duplicate", htmlPage(link("") + link("")), htmlPage(link(""))},
	{"hash-missing", htmlPage(to("../"+torchHref, torch)), htmlPage(link(""))},
	{"hash-weak", htmlPage(to("../"+torchHref+"#md5="+hash[:32], torch)), htmlPage(link(""))},
	{"hash-form", htmlPage(to("../"+torchHref+"#sha256="+hash[:63], torch)), htmlPage(link(""))},
	{"hash-form", htmlPage(link(`data-core-metadata="sha256=x"`)), htmlPage(link(`data-core-metadata="sha256=` + hash + `"`))},
	{"hash-case", htmlPage(to("../"+torchHref+"#sha256="+strings.ToUpper(hash), torch)), htmlPage(link(""))},
	{"hash-algorithm", htmlPage(to("../"+torchHref+"#crc32=00000000", torch)), htmlPage(link(""))},
	{"requires-python", htmlPage(link(`data-requires-python="3.8 or so"`)), htmlPage(link(`data-requires-python="&gt;=3.8,&lt;4"`))},
	{"requires-python-escaping", htmlPage(link(`data-requires-python=">=3.8"`)), htmlPage(link(`data-requires-python="&gt;=3.8"`))},
	{"requires-python-escaping", htmlPage(link(`data-requires-python="&amp;gt;=3.8"`)), jsonPage(file(`,"requires-python":">=3.8"`))},
	{"yanked-bare", htmlPage(link(`data-yanked`)), htmlPage(link(`data-yanked=""`))},
	{"yanked-empty", jsonPage(file(`,"yanked":""`)), jsonPage(file(`,"yanked":"broken"`))},
	{"core-metadata", htmlPage(link(`data-core-metadata="yes"`)), htmlPage(link(`data-core-metadata="true"`))},
	{"core-metadata", jsonPage(file(`,"core-metadata":"yes"`)), jsonPage(file(`,"core-metadata":{"sha256":"` + hash + `"}`))},
	{"core-metadata-old", htmlPage(link(`data-dist-info-metadata="true"`)), htmlPage(link(`data-core-metadata="true" data-dist-info-metadata="true"`))},
	{"core-metadata-old", jsonPage(file(`,"dist-info-metadata":true`)), jsonPage(file(`,"core-metadata":true`))},
	{"core-metadata-disagree", htmlPage(link(`data-core-metadata="true" data-dist-info-metadata="sha256=` + hash + `"`)), htmlPage(link(`data-core-metadata="true" data-dist-info-metadata="true"`))},
	{"core-metadata-disagree", jsonPage(file(`,"core-metadata":true,"dist-info-metadata":false`)), jsonPage(file(`,"core-metadata":true,"dist-info-metadata":true`))},
	{"gpg-sig", htmlPage(link(`data-gpg-sig="maybe"`)), htmlPage(link(`data-gpg-sig="true"`))},
	{"provenance", jsonPage(file(`,"provenance":"ftp://x/"`)), jsonPage(file(`,"provenance":null`))},
	{"provenance-relative", htmlPage(link(`data-provenance="../x.provenance"`)), htmlPage(link(`data-provenance="https://index.example.com/x.provenance"`))},
	{"size", jsonPage(strings.Replace(file(""), `"size":1`, `"size":1.5`, 1)), jsonPage(file(""))},
	{"size", jsonPage(strings.Replace(file(""), `"size":1`, `"size":-1`, 1)), jsonPage(strings.Replace(file(""), `"size":1`, `"size":0`, 1))},
	{"upload-time", jsonPage(file(`,"upload-time":"2026-01-02 03:04:05"`)), jsonPage(file(`,"upload-time":"2026-01-02T03:04:05.123456Z"`))},
	{"upload-time", jsonPage(file(`,"upload-time":"2026-01-02T03:04:05+01:00"`)), jsonPage(file(`,"upload-time":"2026-01-02T03:04:05Z"`))},
	{"versions-incomplete", jsonKeys(`"name":"torch","versions":[],"files":[` + file("") + `]`), jsonPage(file(""))},
	{"versions-incomplete", jsonKeys(`"name":"torch","versions":["2.9"],"files":[` + file("") + `]`), jsonKeys(`"name":"torch","versions":["2.9+spyre"],"files":[` + file("") + `]`)},
	{"versions-form", jsonKeys(`"name":"torch","versions":["1","1"],"files":[]`), jsonKeys(`"name":"torch","versions":["1","2"],"files":[]`)},
	{"versions-form", jsonKeys(`"name":"torch","versions":["new"],"files":[]`), jsonPage()},
}

// elsewhere are the rules that other tests cover: bounds, pairs, headers, and
// what a crawl finds.
var elsewhere = []string{
	"page-too-large", "links-too-many", "formats-disagree", "project-without-page", "page-not-listed", "cache-page", "cache-immutable",
	"page-unreachable", "redirect-permanent", "vary-accept", "negotiation",
	"file-unreachable", "file-unlisted", "file-size", "file-hash", "metadata-unreachable", "metadata-hash",
}

func TestRules(t *testing.T) {
	tried := map[string]bool{}
	for i, c := range ruleCases {
		tried[c.rule] = true
		t.Run(fmt.Sprintf("%s/%d", c.rule, i), func(t *testing.T) {
			if found := judge(c.breaks); !has(found, c.rule) {
				t.Errorf("is not found; found %v in\n%s", found, c.breaks.Body)
			}
			if found := judge(c.holds); has(found, c.rule) {
				t.Errorf("is found where it holds: %v in\n%s", found, c.holds.Body)
			}
		})
	}
	for _, rule := range simpleindex.Rules() {
		if !tried[rule.ID] && !slices.Contains(elsewhere, rule.ID) {
			t.Errorf("no case breaks %s", rule.ID)
		}
		if rule.Summary == "" || rule.Spec == "" {
			t.Errorf("%s says not what it is about", rule.ID)
		}
	}
}

func judge(src simpleindex.Source) []simpleindex.Finding {
	_, found := simpleindex.Judge(src, simpleindex.Limits{})
	return found.List()
}

func has(found []simpleindex.Finding, rule string) bool {
	return slices.ContainsFunc(found, func(f simpleindex.Finding) bool { return f.Rule == rule })
}

func TestLimits(t *testing.T) {
	for _, src := range []simpleindex.Source{htmlPage(link("") + link("")), jsonPage(file(""), file("")), jsonRoot(`{"name":"a"},{"name":"b"}`)} {
		if page, found := simpleindex.Judge(src, simpleindex.Limits{Links: 1}); !has(found.List(), "links-too-many") || len(page.Files)+len(page.Projects) != 1 {
			t.Errorf("too many links: %v", found.List())
		}
		if _, found := simpleindex.Judge(src, simpleindex.Limits{Links: 2}); has(found.List(), "links-too-many") {
			t.Errorf("as many links as allowed: %v", found.List())
		}
		size := int64(len(src.Body))
		if page, found := simpleindex.Judge(src, simpleindex.Limits{PageBytes: size - 1}); page != nil || !has(found.List(), "page-too-large") {
			t.Errorf("too large: %v", found.List())
		}
		if _, found := simpleindex.Judge(src, simpleindex.Limits{PageBytes: size}); has(found.List(), "page-too-large") {
			t.Errorf("as large as allowed: %v", found.List())
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	found := judge(htmlPage(strings.Repeat(to("../x.egg", "x.egg"), 100)))
	listed, total := 0, 0
	for _, f := range found {
		if f.Rule == "file-type" {
			listed++
			total += 1 + f.Repeats
		}
	}
	if listed != simpleindex.MaxPerRule || total != 100 {
		t.Errorf("%d listed, %d in all", listed, total)
	}
	if errs, warnings := simpleindex.Count(found); errs != 99 || warnings != 200 {
		t.Errorf("counted %d errors, %d warnings: %v", errs, warnings, found)
	}
}

func TestCompareFormats(t *testing.T) {
	full := link(`data-requires-python="&gt;=3.8" data-core-metadata="sha256=` + hash + `"`)
	same := file(`,"requires-python":">=3.8","core-metadata":{"sha256":"` + hash + `"}`)
	for _, c := range []struct {
		what, html, json string
		want             int
	}{
		{"the same", full, same, 0},
		{"only in HTML", full, "", 1},
		{"only in JSON", "", same, 1},
		{"another hash", strings.Replace(full, hash, otherHash, 1), same, 1},
		{"another address", strings.Replace(full, "../", "", 1), same, 1},
		{"yanked", full + "", strings.Replace(same, `"size"`, `"yanked":true,"size"`, 1), 1},
		{"another metadata", full, strings.Replace(same, `{"sha256":"`+hash+`"}}`, `true}`, 1), 1},
		{"another python", strings.Replace(full, "3.8", "3.9", 1), same, 1},
		{"provenance", full, strings.Replace(same, `"size"`, `"provenance":"p","size"`, 1), 1},
	} {
		html, _ := simpleindex.Read(htmlPage(c.html), simpleindex.Limits{})
		json, _ := simpleindex.Read(jsonPage(strings.Fields(c.json)...), simpleindex.Limits{})
		f := &simpleindex.Findings{Page: pageURL}
		simpleindex.CompareFormats(html, json, f)
		if got := len(f.List()); got != c.want {
			t.Errorf("%s: %d findings, want %d: %v", c.what, got, c.want, f.List())
		}
	}
	f := &simpleindex.Findings{}
	html, _ := simpleindex.Read(htmlRoot(to("a/", "a")+to("b/", "b")), simpleindex.Limits{})
	json, _ := simpleindex.Read(jsonRoot(`{"name":"B"},{"name":"c"}`), simpleindex.Limits{})
	simpleindex.CompareFormats(html, json, f)
	if len(f.List()) != 2 {
		t.Errorf("lists of projects: %v", f.List())
	}
	f = &simpleindex.Findings{}
	html, _ = simpleindex.Read(htmlHead(head+`<meta name="pypi:project-status" content="archived">`), simpleindex.Limits{})
	json, _ = simpleindex.Read(jsonPage(), simpleindex.Limits{})
	simpleindex.CompareFormats(html, json, f)
	if len(f.List()) != 1 {
		t.Errorf("status: %v", f.List())
	}
}

func TestCompareProjects(t *testing.T) {
	f := &simpleindex.Findings{}
	simpleindex.CompareProjects([]string{"a", "b"}, []string{"b", "c"}, f)
	if got := f.List(); len(got) != 2 || got[0].Rule != "project-without-page" || got[0].File != "a" || got[1].Rule != "page-not-listed" || got[1].File != "c" {
		t.Errorf("%v", got)
	}
}

func TestHeaders(t *testing.T) {
	for control, want := range map[string]bool{
		"public, max-age=0, s-maxage=86400, must-revalidate": false, "max-age=600": false, "": false, "max-age=601": true, "max-age=0, immutable": true,
	} {
		f := &simpleindex.Findings{}
		simpleindex.CheckPageHeaders(http.Header{"Cache-Control": {control}}, f)
		if has(f.List(), "cache-page") != want {
			t.Errorf("page, %q: %v", control, f.List())
		}
	}
	for control, want := range map[string]bool{"public, max-age=300, s-maxage=31536000, must-revalidate": false, "max-age=1, Immutable": true} {
		f := &simpleindex.Findings{}
		simpleindex.CheckFileHeaders(torch, 1, http.Header{"Cache-Control": {control}}, f)
		if has(f.List(), "cache-immutable") != want {
			t.Errorf("file, %q: %v", control, f.List())
		}
	}
}
