package yankplan

import (
	"path"
	"regexp"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
)

const (
	nightly = v1alpha1.ChannelNightly
	release = v1alpha1.ChannelRelease
)

var hashA, hashB = strings.Repeat("a", 64), strings.Repeat("b", 64)

func compile(t *testing.T, sel v1alpha1.YankSelector) *Selector {
	t.Helper()
	s, err := Compile(sel)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCompileRefuses(t *testing.T) {
	torch := func(change func(*v1alpha1.YankSelector)) v1alpha1.YankSelector {
		sel := v1alpha1.YankSelector{Package: "torch"}
		change(&sel)
		return sel
	}
	for name, test := range map[string]struct {
		sel  v1alpha1.YankSelector
		want []string
	}{
		"nothing":              {v1alpha1.YankSelector{}, []string{"set package, sha256 or both"}},
		"only versions":        {v1alpha1.YankSelector{Versions: "==2.9"}, []string{"set package, sha256 or both"}},
		"a spelling":           {v1alpha1.YankSelector{Package: "Torch_XLA"}, []string{"selector.package", `write "torch-xla"`}},
		"no name":              {v1alpha1.YankSelector{Package: "torch/../x"}, []string{"selector.package", "not a project name"}},
		"the Kelvin sign":      {v1alpha1.YankSelector{Package: "\u212aeras"}, []string{"selector.package", "not a project name"}},
		"a bare version":       {torch(func(s *v1alpha1.YankSelector) { s.Versions = "2.9" }), []string{"selector.versions", "does not begin with"}},
		"no version":           {torch(func(s *v1alpha1.YankSelector) { s.Versions = "==x" }), []string{"selector.versions", "not a PEP 440 version"}},
		"a local version in >": {torch(func(s *v1alpha1.YankSelector) { s.Versions = ">2.9+a" }), []string{"selector.versions", "only with == and !="}},
		"commas alone":         {torch(func(s *v1alpha1.YankSelector) { s.Versions = " , " }), []string{"selector.versions", "holds no specifier"}},
		"a channel":            {torch(func(s *v1alpha1.YankSelector) { s.Channels = []v1alpha1.ChannelName{"nightly", "beta"} }), []string{"selector.channels[1]", `"beta"`}},
		"an empty glob":        {torch(func(s *v1alpha1.YankSelector) { s.Files = []string{"*", ""} }), []string{"selector.files[1]"}},
		"a folder":             {torch(func(s *v1alpha1.YankSelector) { s.Files = []string{"whl/*"} }), []string{"selector.files[0]", "without folders"}},
		"a bracket":            {torch(func(s *v1alpha1.YankSelector) { s.Files = []string{"[a]*"} }), []string{"selector.files[0]"}},
		"a long glob":          {torch(func(s *v1alpha1.YankSelector) { s.Files = []string{strings.Repeat("a", 256)} }), []string{"selector.files[0]", "255"}},
		"a short hash":         {v1alpha1.YankSelector{SHA256: []string{hashA, "ab"}}, []string{"selector.sha256[1]", `"ab"`}},
		"a hash in capitals":   {v1alpha1.YankSelector{SHA256: []string{strings.ToUpper(hashA)}}, []string{"selector.sha256[0]"}},
		"all at once": {
			v1alpha1.YankSelector{Package: "T", Versions: "2", Channels: []v1alpha1.ChannelName{"x"}, Files: []string{"/"}, SHA256: []string{"z"}},
			[]string{"selector.package", "selector.versions", "selector.channels[0]", "selector.files[0]", "selector.sha256[0]"},
		},
	} {
		s, err := Compile(test.sel)
		if err == nil || s != nil {
			t.Errorf("%s: compiled", name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want something about %q", name, err, want)
			}
		}
	}
}

func TestMatches(t *testing.T) {
	file := catalog.File{Name: "torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl", Version: "2.9.0+spyre", SHA256: hashA, State: catalog.StateListed}
	for name, test := range map[string]struct {
		sel  v1alpha1.YankSelector
		want bool
	}{
		"the package":             {v1alpha1.YankSelector{Package: "torch"}, true},
		"another package":         {v1alpha1.YankSelector{Package: "torchvision"}, false},
		"the hash alone":          {v1alpha1.YankSelector{SHA256: []string{hashB, hashA}}, true},
		"another hash":            {v1alpha1.YankSelector{SHA256: []string{hashB}}, false},
		"a hash and its package":  {v1alpha1.YankSelector{Package: "torch", SHA256: []string{hashA}}, true},
		"a hash, another package": {v1alpha1.YankSelector{Package: "torchvision", SHA256: []string{hashA}}, false},
		"a package, another hash": {v1alpha1.YankSelector{Package: "torch", SHA256: []string{hashB}}, false},
		"the channel":             {v1alpha1.YankSelector{Package: "torch", Channels: []v1alpha1.ChannelName{nightly, release}}, true},
		"another channel":         {v1alpha1.YankSelector{Package: "torch", Channels: []v1alpha1.ChannelName{nightly}}, false},
		"the version":             {v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.0+spyre"}, true},
		"the public version":      {v1alpha1.YankSelector{Package: "torch", Versions: "==2.9"}, true},
		"another local version":   {v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.0+gaudi"}, false},
		"a range":                 {v1alpha1.YankSelector{Package: "torch", Versions: ">=2.9,<2.9.2"}, true},
		"another range":           {v1alpha1.YankSelector{Package: "torch", Versions: ">=2.9.1"}, false},
		"a glob":                  {v1alpha1.YankSelector{Package: "torch", Files: []string{"no", "*-cp31?-*.whl"}}, true},
		"another glob":            {v1alpha1.YankSelector{Package: "torch", Files: []string{"*-cp31?-*.zip"}}, false},
		"everything at once":      {v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.*", Channels: []v1alpha1.ChannelName{release}, Files: []string{"*"}, SHA256: []string{hashA}}, true},
	} {
		s := compile(t, test.sel)
		for _, state := range []catalog.State{catalog.StateListed, catalog.StateRejected, catalog.StateOverwritten, catalog.StateGone} {
			f := file
			f.State = state
			if got := s.Matches("torch", release, &f); got != test.want {
				t.Errorf("%s: Matches = %v for a file that is %s", name, got, state)
			}
		}
		if test.want && !s.MayMatch("torch", release) {
			t.Errorf("%s: MayMatch rules out what matches", name)
		}
	}
}

func TestMayMatch(t *testing.T) {
	s := compile(t, v1alpha1.YankSelector{Package: "torch", Channels: []v1alpha1.ChannelName{nightly}})
	if !s.MayMatch("torch", nightly) || s.MayMatch("torch", release) || s.MayMatch("torchvision", nightly) {
		t.Error("MayMatch does not look at package and channel")
	}
	if s = compile(t, v1alpha1.YankSelector{SHA256: []string{hashA}}); !s.MayMatch("anything", release) {
		t.Error("a hash may be anywhere")
	}
}

func TestMatchesRecordedBytes(t *testing.T) {
	s := compile(t, v1alpha1.YankSelector{SHA256: []string{hashB}})
	f := catalog.File{Name: "x.whl", SHA256: hashA, State: catalog.StateGone, Tombstones: []catalog.Tombstone{{UID: "1"}, {UID: "2", SHA256: hashB}}}
	if !s.Matches("torch", release, &f) {
		t.Error("the hash that a tombstone recorded does not match")
	}
	if f.Tombstones = f.Tombstones[:1]; s.Matches("torch", release, &f) {
		t.Error("an unknown hash matches")
	}
	f.SHA256 = ""
	if s.Matches("torch", release, &f) {
		t.Error("no hash matches a hash")
	}
}

func TestUnreadableVersionsMatchNoVersions(t *testing.T) {
	for _, version := range []string{"", "nonsense"} {
		f := catalog.File{Name: "x.whl", Version: version}
		if s := compile(t, v1alpha1.YankSelector{Package: "torch", Versions: "!=1"}); s.Matches("torch", release, &f) {
			t.Errorf("version %q matches", version)
		}
		if s := compile(t, v1alpha1.YankSelector{Package: "torch"}); !s.Matches("torch", release, &f) {
			t.Errorf("version %q keeps a file from matching without versions", version)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"?", "", false}, {"?", "a", true}, {"?", "ab", false},
		{"a*", "abc", true}, {"*c", "abc", true}, {"a*c", "abc", true}, {"a*b", "abc", false}, {"*b*", "abc", true}, {"a**c", "ac", true},
		{"*ab", "aab", true}, {"*?", "", false}, {"*?", "a", true}, {"?*", "a", true}, {"a?c*e", "abcde", true}, {"*a*b*c", "xaybzc", true},
		{"torch-2.9.0+spyre-*.whl", "torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl", true},
		{"torch-2.9.0+spyre-*.whl", "torch-2x9x0+spyre-a.whl", false},
		{"torch", "Torch", false}, {"torch", "torch.whl", false},
		{"[ab]", "a", false}, {"[ab]", "[ab]", true}, {`\*`, "*", false}, {`\*`, `\x`, true}, {"a/*", "a/b", true},
	} {
		if got := matchGlob(test.pattern, test.name); got != test.want {
			t.Errorf("matchGlob(%q, %q) = %v", test.pattern, test.name, got)
		}
	}
}

func TestGlobTakesBoundedTime(t *testing.T) {
	// Backtracking over every star would take longer than the universe.
	if matchGlob(strings.Repeat("*a", 127)+"b", strings.Repeat("a", 255)) {
		t.Error("matched")
	}
}

// FuzzGlob compares the matcher with a regular expression made of the pattern,
// and where nothing else is special with path.Match.
func FuzzGlob(f *testing.F) {
	f.Add("torch-*+spyre-cp3??-*.whl", "torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl")
	f.Add("*a*a*b", "aaaaab")
	f.Add("[a]?", "[a]b")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || len(name) > 100 || strings.ContainsFunc(pattern+name, func(r rune) bool { return r > 0x7e }) {
			return
		}
		re := regexp.QuoteMeta(pattern)
		re = strings.ReplaceAll(strings.ReplaceAll(re, `\*`, `.*`), `\?`, `.`)
		want := regexp.MustCompile(`(?s)^(?:` + re + `)$`).MatchString(name)
		// A backslash in front of a star reads otherwise once quoted.
		if strings.Contains(pattern, `\`) {
			return
		}
		if got := matchGlob(pattern, name); got != want {
			t.Errorf("matchGlob(%q, %q) = %v", pattern, name, got)
		}
		if !strings.ContainsAny(pattern+name, `[]\/`) {
			if other, err := path.Match(pattern, name); err != nil || other != want {
				t.Errorf("path.Match(%q, %q) = %v, %v", pattern, name, other, err)
			}
		}
	})
}

// FuzzCompile expects of every selector that compiles that it stays within what
// it names.
func FuzzCompile(f *testing.F) {
	f.Add("torch", ">=2.9,<2.10", "nightly", "torch-*.whl", hashA, "torch-2.9.0+spyre-py3-none-any.whl", "2.9.0+spyre")
	f.Add("", "", "", "", hashA, "x", "")
	f.Add("torch", "===x", "beta", "[", "z", "x", "1")
	f.Fuzz(func(t *testing.T, pkg, versions, channel, glob, hash, name, version string) {
		sel := v1alpha1.YankSelector{Package: pkg, Versions: versions}
		if channel != "" {
			sel.Channels = []v1alpha1.ChannelName{v1alpha1.ChannelName(channel)}
		}
		if glob != "" {
			sel.Files = []string{glob}
		}
		if hash != "" {
			sel.SHA256 = []string{hash}
		}
		s, err := Compile(sel)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "selector") {
				t.Errorf("the error names no field: %v", err)
			}
			return
		}
		if pkg == "" && hash == "" {
			t.Fatalf("a selector without bounds compiled: %+v", sel)
		}
		file := catalog.File{Name: name, Version: version, SHA256: hash, State: catalog.StateListed}
		for _, project := range []string{pkg, "some-other-project"} {
			for _, at := range []v1alpha1.ChannelName{nightly, release} {
				if !s.Matches(project, at, &file) {
					continue
				}
				if pkg != "" && project != pkg || channel != "" && string(at) != channel || !s.MayMatch(project, at) {
					t.Errorf("%+v matches %s in %s", sel, project, at)
				}
			}
		}
		file.SHA256 = hashB
		if hash != "" && hash != hashB && s.Matches(pkg, release, &file) {
			t.Errorf("%+v matches other bytes", sel)
		}
	})
}
