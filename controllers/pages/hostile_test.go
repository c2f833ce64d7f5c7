package pages_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

// TestHostileText pins how a few dangerous texts are written.
func TestHostileText(t *testing.T) {
	for _, test := range []struct{ reason, html, json string }{
		{`a & b < c > d " e ' f`, `data-yanked="a &amp; b &lt; c &gt; d &#34; e &#39; f"`, `"yanked":"a \u0026 b \u003c c \u003e d \" e ' f"`},
		{`"><script>alert(1)</script>`, `data-yanked="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"`, `"yanked":"\"\u003e\u003cscript\u003ealert(1)\u003c/script\u003e"`},
		{"\x1b[2Jgone\r\nWARNING: forged", `data-yanked=" [2Jgone  WARNING: forged"`, `"yanked":" [2Jgone  WARNING: forged"`},
		{"right \u202eto left", `data-yanked="right  to left"`, `"yanked":"right  to left"`},
		{"bad \xff byte", "data-yanked=\"bad \uFFFD byte\"", "\"yanked\":\"bad \uFFFD byte\""},
		{"größer 火", `data-yanked="größer 火"`, `"yanked":"größer 火"`},
		{`C:\temp`, `data-yanked="C:\temp"`, `"yanked":"C:\\temp"`},
		{"", `data-yanked=""`, `"yanked":true`},
		{"\n", `data-yanked=" "`, `"yanked":true`},
	} {
		c := catalog.New("spyre", v1alpha1.ChannelRelease, "torch")
		c.Put(yank(listed("x.whl", "1"), v1alpha1.YankFlag, test.reason))
		rendered := pages.Project(c, base)
		for i, want := range []string{test.html, test.json} {
			if !strings.Contains(string(rendered[i].Body), want) {
				t.Errorf("reason %q: want %s in\n%s", test.reason, want, rendered[i].Body)
			}
		}
	}
}

// seen is text as pages show it.
func seen(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// FuzzProject renders one file with arbitrary texts everywhere, reads both
// pages back with independent parsers, and expects exactly what went in.
func FuzzProject(f *testing.F) {
	f.Add("torch", "torch-2.9.0+spyre-py3-none-any.whl", "2.9.0+spyre", ">=3.10", "reason", "sha")
	f.Add("torch", "a?b#c%2B d\"'<>&.whl", "2", "<4 & >=3", `"><a href="https://evil.example/">`, `"><b>`)
	f.Add("</title><script>", "--><!--.whl", "</h1>", "\x00", "&amp;", "\u2028")
	f.Add("a:b", "javascript:alert(1)", "&lt;", "\xff", "\r\n", "'")
	f.Fuzz(func(t *testing.T, project, name, version, python, reason, sha string) {
		file := catalog.File{
			Name: name, Version: version, SHA256: sha, MetadataSHA256: sha, RequiresPython: python, Size: 5, UploadTime: noon,
			Provenance: "p", State: catalog.StateListed,
		}
		project = strings.ReplaceAll(project, "/", "_") // a project is one folder
		if project == v1alpha1.LibtorchPackage {
			return // its files lie elsewhere: TestLinksLeadToTheFiles
		}
		c := catalog.New("spyre", v1alpha1.ChannelRelease, project)
		c.Put(yank(file, v1alpha1.YankFlag, reason))
		rendered := pages.Project(c, base)
		for _, page := range rendered {
			if !utf8.Valid(page.Body) {
				t.Fatalf("not UTF-8: %q", page.Body)
			}
		}
		links, files := anchors(t, rendered[0].Body), jsonFiles(t, rendered[1].Body)
		if sha == "" {
			if len(links) != 0 || len(files) != 0 {
				t.Fatal("a file without a hash is listed")
			}
			return
		}
		if len(links) != 1 || len(files) != 1 {
			t.Fatalf("%d links and %d entries for one file", len(links), len(files))
		}
		checkAnchor(t, links[0], file, reason)
		checkObject(t, files[0], file, reason)
	})
}

func checkAnchor(t *testing.T, a anchor, f catalog.File, reason string) {
	t.Helper()
	link, fragment, _ := strings.Cut(a.url, "#")
	checkLink(t, link, f.Name)
	if fragment != "sha256="+seen(f.SHA256) || a.text != seen(f.Name) {
		t.Errorf("link %+v", a)
	}
	for key, want := range map[string]string{
		"data-yanked": seen(reason), "data-core-metadata": "sha256=" + seen(f.SHA256), "data-dist-info-metadata": "sha256=" + seen(f.SHA256),
		"data-requires-python": seen(f.RequiresPython), "data-provenance": provenanceOf(link),
	} {
		got, ok := a.attributes[key]
		if key == "data-requires-python" && f.RequiresPython == "" {
			if ok {
				t.Errorf("%s is there and empty", key)
			}
			continue
		}
		if !ok || got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
}

func checkObject(t *testing.T, o jsonFile, f catalog.File, reason string) {
	t.Helper()
	checkLink(t, o.URL, f.Name)
	if o.Filename != seen(f.Name) || o.Hashes["sha256"] != seen(f.SHA256) || o.CoreMetadata["sha256"] != seen(f.SHA256) || *o.Size != f.Size ||
		*o.UploadTime != "2026-03-01T12:00:00.123456Z" || *o.Provenance != provenanceOf(o.URL) {
		t.Errorf("entry %+v", o)
	}
	if (o.RequiresPython == nil) != (f.RequiresPython == "") || o.RequiresPython != nil && *o.RequiresPython != seen(f.RequiresPython) {
		t.Errorf("requires-python %v", o.RequiresPython)
	}
	want := any(seen(reason))
	if strings.TrimSpace(seen(reason)) == "" {
		want = true
	}
	if o.Yanked != want {
		t.Errorf("yanked %v, want %v", o.Yanked, want)
	}
}

// provenanceOf is the address of the attestations of a file that a page of torch
// links to.
func provenanceOf(link string) string {
	return base + "/whl/spyre/" + strings.TrimPrefix(link, "../") + ".provenance"
}

// checkLink expects a relative path of one folder up and the name, safe in a
// URL, with nothing that S3 would read otherwise.
func checkLink(t *testing.T, link, name string) {
	t.Helper()
	escaped, ok := strings.CutPrefix(link, "../")
	decoded, err := url.PathUnescape(escaped)
	if !ok || err != nil || decoded != name || strings.ContainsAny(link, "+?#:\"'<>& ") {
		t.Errorf("%q is no link to %q", link, name)
	}
}

// FuzzRoot puts arbitrary texts everywhere into the page for people and expects
// exactly the projects for installers.
func FuzzRoot(f *testing.F) {
	f.Add("torch", "torch-xla", "2.9", "Ada", "reason")
	f.Add("https://evil.example/", `"><script>`, `</h1><a href="x">x</a>`, "</style><script>alert(1)</script>", "-->")
	f.Add("a", "b", "\x1b[2J", "who\u202e\x00", "why\x1b\u202e\r\n\xff")
	f.Add("libtorch", "{{.}}", "\u202e", "javascript:alert(1)", "<form action=//evil>")
	f.Fuzz(func(t *testing.T, a, b, release, who, why string) {
		l := listing(v1alpha1.ChannelRelease, a, b, a)
		l.Profile.LatestSupportedRelease = release
		l.Profile.Packages = []string{a, b}
		l.Profile.Maintainers = []v1alpha1.Maintainer{{Name: who, Email: who, GitHub: who}}
		l.Removals = []pages.Removal{{File: a, Mode: v1alpha1.YankFlag, Reason: why, Time: noon, Advisory: &pages.RemovalAdvisory{ID: why, URL: who}}}
		rendered := pages.Root(l)
		if !utf8.Valid(rendered[0].Body) || !utf8.Valid(rendered[1].Body) {
			t.Fatal("not UTF-8")
		}
		checkAccessible(t, rendered[0].Body)
		var got []string
		for _, link := range anchors(t, rendered[0].Body) {
			name, err := url.PathUnescape(strings.TrimSuffix(link.url, "/"))
			if err != nil || link.text != seen(name) || strings.ContainsAny(link.url, "+?#:\"'<>& ") {
				t.Errorf("link %+v", link)
			}
			got = append(got, name)
		}
		want := []string{a, b}
		slices.Sort(want)
		want = slices.DeleteFunc(slices.Compact(want), func(name string) bool { return name == v1alpha1.LibtorchPackage })
		if !slices.Equal(got, want) {
			t.Errorf("projects %q, want %q", got, want)
		}
	})
}

// FuzzArchives does the same for the page of C++ archives.
func FuzzArchives(f *testing.F) {
	f.Add("libtorch-2.9.0+spyre.zip", "2.9.0+spyre", "reason", "sha")
	f.Add(`a?b#c%2B d"'<>&.zip`, "</dd>", `"><script>alert(1)</script>`, `"><b>`)
	f.Add("javascript:alert(1)", "{{.}}", "\xff", "\r\n")
	f.Add("name\x1b\u202e", "version\x1b\u202e", "reason\x1b\u202e", "sha\x1b\u202e")
	f.Fuzz(func(t *testing.T, name, version, reason, sha string) {
		c := catalog.New("spyre", v1alpha1.ChannelRelease, v1alpha1.LibtorchPackage)
		file := catalog.File{Name: name, Version: version, SHA256: sha, Size: 5, UploadTime: noon, Provenance: "p", State: catalog.StateListed}
		c.Put(yank(file, v1alpha1.YankFlag, reason))
		rendered := pages.Project(c, base)
		checkAccessible(t, rendered[0].Body)
		links, files := anchors(t, rendered[0].Body), jsonFiles(t, rendered[1].Body)
		if sha == "" {
			if len(links) != 0 || len(files) != 0 {
				t.Fatal("an archive without a hash is listed")
			}
			return
		}
		if len(links) != 1 || len(files) != 1 {
			t.Fatalf("%d links and %d entries for one archive", len(links), len(files))
		}
		link, fragment, _ := strings.Cut(links[0].url, "#")
		decodedName, err1 := url.PathUnescape(link)
		decodedSHA, err2 := url.PathUnescape(strings.TrimPrefix(fragment, "sha256="))
		if err1 != nil || err2 != nil || decodedName != name || decodedSHA != seen(sha) || strings.ContainsAny(link, "+?#:\"'<>& ") {
			t.Errorf("link %+v", links[0])
		}
		if links[0].text != seen(name) || links[0].attributes["data-yanked"] != seen(reason) || files[0].Filename != seen(name) || files[0].URL != link {
			t.Errorf("link %+v, entry %+v", links[0], files[0])
		}
	})
}
