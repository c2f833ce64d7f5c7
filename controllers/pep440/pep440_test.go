package pep440

import (
	"strings"
	"testing"
)

func mustParse(t *testing.T, s string) Version {
	t.Helper()
	v, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLocalVersionsAreOrdered(t *testing.T) {
	order := []string{"2.0", "2.0+cpu", "2.0+cu118", "2.0+cu9", "2.0+rocm6.4", "2.0+rocm6.10", "2.0+xpu", "2.0+7"}
	for i, a := range order {
		for j, b := range order {
			if got := mustParse(t, a).Compare(mustParse(t, b)); got != sign(i-j) {
				t.Errorf("(%s).Compare(%s) = %d, want %d", a, b, got, sign(i-j))
			}
		}
	}
}

func TestOneVersionMayHaveSeveralNames(t *testing.T) {
	for _, pair := range [][2]string{{"2.0+cu_128", "2.0+cu.128"}, {"2.0", "2.0.0"}, {"2.0c1", "2.0RC1"}, {"2.0+01", "2.0+1"}} {
		if !mustParse(t, pair[0]).Equal(mustParse(t, pair[1])) {
			t.Errorf("%s and %s should be one version", pair[0], pair[1])
		}
	}
}

func TestVersionParts(t *testing.T) {
	v := mustParse(t, "V2.10.0-DEV_20260101+Spyre_01")
	if got, want := v.String(), "2.10.0.dev20260101+spyre.1"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got, want := v.Public(), "2.10.0.dev20260101"; got != want {
		t.Errorf("Public() = %q, want %q", got, want)
	}
	if got := v.LocalLabels(); len(got) != 2 || got[0] != "spyre" || got[1] != "1" {
		t.Errorf("LocalLabels() = %q", got)
	}
	if got := v.WithoutLocal().String(); got != v.Public() {
		t.Errorf("WithoutLocal() = %q", got)
	}
	if !v.IsPrerelease() || mustParse(t, "1.0.post1").IsPrerelease() || !mustParse(t, "1.0a1").IsPrerelease() {
		t.Error("IsPrerelease is wrong")
	}
	if v.IsZero() || !(Version{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestInputsAreBounded(t *testing.T) {
	long := strings.Repeat("1", MaxLength+1)
	if _, err := Parse(long); err == nil {
		t.Error("an overlong version was parsed")
	}
	if _, err := ParseSpecifiers("==" + long); err == nil {
		t.Error("an overlong specifier was parsed")
	}
	if _, err := ParseRequirement(long); err == nil {
		t.Error("an overlong requirement was parsed")
	}
	_, err := Parse(strings.Repeat("\x1b", MaxLength))
	if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("the message is not safe to print: %.600q", err)
	}
}

func TestParseRequirement(t *testing.T) {
	tests := []struct{ in, project, specifiers, errorPart string }{
		{in: "torch==2.9.0+spyre", project: "torch", specifiers: "==2.9.0+spyre"},
		{in: " Torch_Vision >= 2.9 , <2.10 ", project: "torch-vision", specifiers: ">=2.9,<2.10"},
		{in: "torch (==2.9.*)", project: "torch", specifiers: "==2.9.*"},
		{in: "torch", project: "torch"},
		{in: "torch===2.9.0+SPYRE", project: "torch", specifiers: "===2.9.0+spyre"},
		{in: "torch~=2.9", project: "torch", specifiers: "~=2.9"},
		{in: "torch!=2.9", project: "torch", specifiers: "!=2.9"},
		{in: "", errorPart: "not a project name"},
		{in: "==2.9", errorPart: "not a project name"},
		{in: "-torch==2.9", errorPart: "not a project name"},
		{in: "torch 2.9", errorPart: "not a project name"},
		{in: "\u212aeras==2", errorPart: "not a project name"},
		{in: "torch=2.9", errorPart: "does not begin with"},
		{in: "torch==", errorPart: "not a PEP 440 version"},
		{in: "torch>=2.9+spyre", errorPart: "only with == and !="},
		{in: "torch~=2", errorPart: "at least two numbers"},
		{in: "torch (==2.9", errorPart: "not closed"},
		{in: "torch[x]==2.9", errorPart: "select no files"},
		{in: "torch==2.9; python_version > '3'", errorPart: "select no files"},
		{in: "torch @ https://example.org/torch.whl", errorPart: "select no files"},
	}
	for _, test := range tests {
		got, err := ParseRequirement(test.in)
		switch {
		case test.errorPart != "":
			if err == nil || !strings.Contains(err.Error(), test.errorPart) {
				t.Errorf("ParseRequirement(%q): error %v, want one about %q", test.in, err, test.errorPart)
			}
		case err != nil:
			t.Errorf("ParseRequirement(%q): %v", test.in, err)
		case got.Project != test.project || got.Specifiers.String() != test.specifiers:
			t.Errorf("ParseRequirement(%q) = %s %s, want %s %s", test.in, got.Project, got.Specifiers, test.project, test.specifiers)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range generateVersions()[:200] {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(v.String())
		if err != nil || again.String() != v.String() || !again.Equal(v) {
			t.Errorf("Parse(%q) = %q, which reads back as %q, %v", s, v, again, err)
		}
		if v.WithoutLocal().Compare(v) > 0 {
			t.Errorf("%s is newer than itself with a local version", v.Public())
		}
	})
}

func FuzzSpecifiers(f *testing.F) {
	for _, s := range generateSpecifiers() {
		f.Add(s, "2.9.0+spyre")
	}
	f.Fuzz(func(t *testing.T, set, version string) {
		s, err := ParseSpecifiers(set)
		if err != nil {
			return
		}
		again, err := ParseSpecifiers(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("ParseSpecifiers(%q) = %q, which reads back as %q, %v", set, s, again, err)
		}
		v, err := Parse(version)
		if err != nil {
			return
		}
		if s.Contains(v) != again.Contains(v) {
			t.Errorf("%q and its normalised form %q disagree about %s", set, s, v)
		}
		equal, err := ParseSpecifiers("==" + v.String())
		if err == nil && !equal.Contains(v) {
			t.Errorf("==%s does not contain it", v)
		}
	})
}
