package pep440

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// packagingVersion is the release of packaging that this package agrees with.
const packagingVersion = "26.3"

// TestAgreesWithPackaging asks packaging about every generated version and
// specifier set, and about every pair of the two, and expects our answers to
// be the same without exception.
func TestAgreesWithPackaging(t *testing.T) {
	versions, specifiers := generateVersions(), generateSpecifiers()
	want := askPackaging(t, versions, specifiers)

	type ranked struct {
		Version
		rank int
	}
	var valid []ranked
	for i, text := range versions {
		v, err := Parse(text)
		switch normalized := want.Normalized[i]; {
		case normalized == nil && err == nil:
			t.Errorf("Parse(%q) = %q, packaging refuses it", text, v)
		case normalized != nil && err != nil:
			t.Errorf("Parse(%q): %v, packaging reads %q", text, err, *normalized)
		case normalized != nil && v.String() != *normalized:
			t.Errorf("Parse(%q) = %q, packaging reads %q", text, v, *normalized)
		}
		if want.Normalized[i] != nil {
			valid = append(valid, ranked{v, *want.Ranks[i]})
		}
	}
	if len(valid) < 1000 || len(valid) == len(versions) {
		t.Fatalf("%d of %d generated versions are valid: the generator is broken", len(valid), len(versions))
	}
	for _, a := range valid {
		for _, b := range valid {
			if got, want := a.Compare(b.Version), sign(a.rank-b.rank); got != want {
				t.Errorf("(%s).Compare(%s) = %d, packaging says %d", a, b, got, want)
			}
		}
	}
	for i, text := range specifiers {
		s, err := ParseSpecifiers(text)
		if valid := err == nil; valid != want.Valid[i] {
			t.Errorf("ParseSpecifiers(%q): error %v, packaging says valid=%v", text, err, want.Valid[i])
		}
		if !want.Valid[i] {
			continue
		}
		for j, v := range valid {
			if got, want := s.Contains(v.Version), want.Contains[i][j] == '1'; got != want {
				t.Errorf("(%s).Contains(%s) = %v, packaging says %v", text, v, got, want)
			}
		}
	}
	t.Logf("compared %d versions (%d valid) and %d specifier sets", len(versions), len(valid), len(specifiers))
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

type answers struct {
	Normalized []*string
	Ranks      []*int
	Valid      []bool
	Contains   []string
}

// askPackaging runs the oracle in a virtual environment of its own.
func askPackaging(t *testing.T, versions, specifiers []string) answers {
	t.Helper()
	venv := filepath.Join(t.TempDir(), "venv")
	python := filepath.Join(venv, "bin", "python")
	run(t, nil, "python3", "-m", "venv", venv)
	run(t, nil, python, "-m", "pip", "install", "--isolated", "--disable-pip-version-check",
		"--quiet", "packaging=="+packagingVersion)
	asked, err := json.Marshal(map[string][]string{"versions": versions, "specifiers": specifiers})
	if err != nil {
		t.Fatal(err)
	}
	var got answers
	if err := json.Unmarshal(run(t, asked, python, filepath.Join("testdata", "oracle.py")), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// run starts a command with an environment that holds nothing but what finds
// the programs: variables that steer pip or Python must not reach the oracle.
func run(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\nThe test needs python3 with venv, and pip must reach its package index.",
			name, strings.Join(args, " "), err, stderr.String())
	}
	return out
}

func generateVersions() []string {
	texts := []string{
		"", " ", "1", "v1", "V1.0", "vv1", " 1.0\t", "\n1.0", "1 .0", "1..0", "1.", ".1", "1.0+", "1.0-", "1.0+.a",
		"1.0+a..b", "1.0+a b", "1.0+é", "1.0po\u017ft1", "1.0.dev\u0661", "\u212a1", "1!", "!1", "1!!1", "1!2!3",
		"0", "0.0", "0.dev0", "00001", "2.0", "2.0+cpu", "2.0+cu118", "2.0+cu9", "2.0+rocm6.4", "2.0+rocm6.10",
		"2.0+xpu", "2.0+7", "1.0+cu_128", "1.0+cu.128", "1.0+CU-128", "2.9.0+spyre", "2.9.0+spyre.1", "2.9.0+spyrex",
		"2.9.0", "2.9", "2.9.0.0", "2.9.1", "2.9.0rc1+spyre", "2.10.0.dev20260101+spyre", "2.9.0.post1+spyre",
		"99999999999999999999999.1", "1.0.dev99999999999999999999999", "1.0+99999999999999999999999",
		"1.0+00000000000000000000001", "1.0-1", "1.0-01", "1.0--1", "1.0-post", "1.0.post-1", "1.0-r4", "1.0rev5",
		"1.0c1", "1.0pre", "1.0_preview_3", "1.0.a.1.post.2.dev.3", "1.0a.post", "1.0-1.dev", "1.0a-1", "1.0dev1.post1",
	}
	random := rand.New(rand.NewPCG(440, 1))
	pick := func(options ...string) string { return options[random.IntN(len(options))] }
	for range 1500 {
		texts = append(texts, pick("", "", "", "v", "1!", "2!")+
			pick("0", "1", "2", "1.0", "2.0", "2.9", "2.9.0", "2.10", "02.9", "1.0.0.1")+
			pick("", "", "", "a", "b1", "rc1", "-alpha.2", "_beta_0", ".c2", "PREVIEW3")+
			pick("", "", "", ".post0", "-1", "post2", "-r3", ".rev")+
			pick("", "", "", ".dev0", "dev", "-DEV2", "_dev_1")+
			pick("", "", "+cpu", "+cu118", "+spyre", "+spyre.1", "+SPYRE-01", "+1", "+10.a", "+a1_2", "+0"))
	}
	for range 100 { // damaged ones
		text := []byte(texts[100+random.IntN(len(texts)-100)])
		text[random.IntN(len(text))] = "+-._!v*a0 ~"[random.IntN(11)]
		texts = append(texts, string(text))
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

func generateSpecifiers() []string {
	texts := []string{
		"", ",", " , ", "1.0", "=1.0", "==", "===1.0", "=== 2.9.0+SPYRE", "===1.0;x", "===foobar", "== 2.9.*", "==2.9.*.*",
		"==2.*.0", "==*", "==2.9*", "==2.9.0+spyre.*", "==2.9a1.*", "==2.9.dev1.*", "==2.9.post1.*", ">=2.9.*", "~=2",
		"~=2.9", "~=2.9.0", "~=2.9a1", "~=1!2.9.0", "~=2.9.0+spyre", "~=2.9.post1", ">=2.9+spyre", "<2.9+spyre",
		"<=2.9+spyre", ">2.9+spyre", "!=2.9.0+spyre", "==2.9.0+spyre", "==2.9.0+spyre,==2.9.0", ">=2.9,<2.10", ">=2.9,,<3",
		">= 2.9 , < 3", ">=2.9 <3", "=>2.9", "><2.9", "<>2.9", "==2.9.0 +spyre", "~ =2.9", ">v2.0", "<0", "<0.dev0", "<0.dev1",
		"==1!2.*", "!=2.9.*", "!=2.*", "==0.*", "==2.9.0.0.*", ">2.0.dev1", ">2.0.post1", ">2.0a1", ">2.0a1.post1", ">2.0.post1.dev1",
		"==1.0po\u017ft1", "==1.0\u00e9", "==2.9.0+", "==1.0-1", ">1.0-1", "==v1.0.*", "==1.0-*", "==1.0.*+a",
	}
	random := rand.New(rand.NewPCG(440, 2))
	pick := func(options ...string) string { return options[random.IntN(len(options))] }
	one := func() string {
		release := pick("0", "1", "2", "1.0", "2.0", "2.9", "2.9.0", "2.10", "1!2.0", "1.0.0.1")
		suffix := pick("", "", "", "a", "b1", "rc1", ".post0", "-1", ".post2", "rc1.post1", "a.dev0", ".dev1", ".post2.dev1")
		switch op := pick("==", "!=", "~=", ">=", "<=", ">", "<"); op {
		case "==", "!=":
			return op + release + pick(".*", suffix, suffix+"+spyre", suffix+"+SPYRE_1", suffix+"+cu118", suffix+"+01")
		default:
			return op + release + suffix
		}
	}
	for range 700 {
		texts = append(texts, one())
	}
	for range 200 {
		texts = append(texts, fmt.Sprintf("%s, %s", one(), one()))
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
