package yankplan

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
)

// lane makes a catalog of "version tag [state or mode]" lines.
func lane(project string, channel v1alpha1.ChannelName, lines ...string) *catalog.Catalog {
	c := catalog.New("spyre", channel, project)
	for _, line := range lines {
		words := strings.Fields(line)
		f := catalog.File{
			Name: fmt.Sprintf("%s-%s-%s.whl", project, words[0], words[1]), Version: words[0], State: catalog.StateListed,
			SHA256: "sha-" + words[0] + words[1],
		}
		for _, word := range words[2:] {
			if mode := v1alpha1.YankMode(word); mode.Rank() > 0 {
				f.Bury(catalog.Tombstone{UID: "u", Mode: mode})
			} else {
				f.State = catalog.State(word)
			}
		}
		c.Put(f)
	}
	return c
}

func TestResolveWarns(t *testing.T) {
	torch := func(versions string) v1alpha1.YankSelector {
		return v1alpha1.YankSelector{Package: "torch", Versions: versions}
	}
	for name, test := range map[string]struct {
		sel       v1alpha1.YankSelector
		mode      v1alpha1.YankMode
		catalogs  []*catalog.Catalog
		elsewhere map[string][]string
		artifacts int
		want      []string
	}{
		"nothing": {
			sel: torch("==3"), catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312")},
			want: []string{"No file matches now; once the Yank is executed it takes back whatever matches later."},
		},
		"no catalogs": {
			sel:  torch(""),
			want: []string{"No file matches now; once the Yank is executed it takes back whatever matches later."},
		},
		"the newest, with an older one left": {
			sel: torch("==2.9.1"), artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312", "2.9.1+spyre cp312")},
			want:     []string{"Afterwards torch==2.9.1 resolves to nothing in release; installers that use several indexes may take it from another one."},
		},
		"several versions, all lost": {
			sel: torch(">=2.9.1"), artifacts: 3,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312", "2.9.1+spyre cp312", "2.9.2+spyre cp312", "2.10+spyre cp312")},
			want:     []string{"Afterwards torch==2.10 (like 2 other public versions) resolves to nothing in release; installers that use several indexes may take it from another one."},
		},
		"another local version takes over": {
			sel: torch("==2.9.0+spyre.2"), artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312", "2.9.0+spyre.1 cp312", "2.9.0+spyre.2 cp312")},
			want:     []string{"Afterwards torch==2.9.0 resolves in release to 2.9.0+spyre.1."},
		},
		"local versions are ordered as numbers": {
			sel: torch("==2.9.0+spyre.11"), artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre.9 cp312", "2.9.0+spyre.10 cp312", "2.9.0+spyre.11 cp312")},
			want:     []string{"Afterwards torch==2.9.0 resolves in release to 2.9.0+spyre.10."},
		},
		"only some files of a version": {
			sel: v1alpha1.YankSelector{Package: "torch", Files: []string{"*cp312*"}}, artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp311", "2.9.0+spyre cp312")},
			want:     []string{"Afterwards torch==2.9.0 resolves in release to 2.9.0+spyre still, to the files of it that are left."},
		},
		"a flagged one is left": {
			sel: torch("==2.9.0+spyre.1"), artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.8+spyre cp312", "2.9.0+spyre.1 cp312", "2.9.0+spyre cp312 Flag")},
			want:     []string{"Afterwards torch==2.9.0 resolves in release only to files marked as yanked, of version 2.9.0+spyre."},
		},
		"an unflagged one is preferred": {
			sel: torch("==2.9.0+spyre.3"), artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre.1 cp312", "2.9.0+spyre.2 cp312 Flag", "2.9.0+spyre.3 cp312")},
			want:     []string{"Afterwards torch==2.9.0 resolves in release to 2.9.0+spyre.1."},
		},
		"what is off the page cannot take over": {
			sel: torch("==2.9.0+spyre.3"), artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.8+spyre cp312", "2.9.0+spyre.1 cp312 Quarantine", "2.9.0+spyre.2 cp312 Rejected", "2.9.0+spyre.3 cp312")},
			want:     []string{"Afterwards torch==2.9.0 resolves to nothing in release; installers that use several indexes may take it from another one."},
		},
		"flagging": {
			sel: torch("==2.9.1+spyre"), mode: v1alpha1.YankFlag, artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312", "2.9.1+spyre cp312")},
			want:     []string{"Afterwards torch==2.9.1 resolves in release only to files marked as yanked, of version 2.9.1+spyre."},
		},
		"flagging again": {
			sel: torch("==2.9.1+spyre"), mode: v1alpha1.YankFlag, artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312", "2.9.1+spyre cp312 Flag")},
		},
		"flagging with another local version": {
			sel: torch("==2.9.1+spyre.1"), mode: v1alpha1.YankFlag, artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.1+spyre cp312", "2.9.1+spyre.1 cp312")},
			want:     []string{"Afterwards torch==2.9.1 resolves in release to 2.9.1+spyre."},
		},
		"everything, in two channels": {
			sel: torch(""), artifacts: 3,
			catalogs: []*catalog.Catalog{
				lane("torch", release, "2.9.0+spyre cp312"), lane("torch", nightly, "2.10.dev1+spyre cp312", "2.10.dev2+spyre cp312"),
				lane("torchvision", release, "1+spyre cp312"),
			},
			want: []string{
				"The selector matches everything: all 3 files of torch in nightly and release.",
				"torch would be left without files in nightly; its page stays, empty.",
				"torch would be left without files in release; its page stays, empty.",
			},
		},
		"everything, flagged": {
			sel: torch(""), mode: v1alpha1.YankFlag, artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312")},
			want: []string{
				"The selector matches everything: all 1 file of torch in release.",
				"All files of torch in release would be marked as yanked; installers pass them over unless a version is pinned exactly.",
				"Afterwards torch==2.9.0 resolves in release only to files marked as yanked, of version 2.9.0+spyre.",
			},
		},
		"everything that is listed": {
			sel: torch("==2.9.0"), artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312", "2.9.1+spyre cp312 Rejected", "2.9.2+spyre cp312 IndexRemoval")},
			want:     []string{"torch would be left without files in release; its page stays, empty."},
		},
		"only flagged ones are left": {
			sel: torch("==2.9.0"), artifacts: 1,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312", "2.9.1+spyre cp312 Flag")},
			want: []string{
				"Only files marked as yanked would be left of torch in release; installers pass them over unless a version is pinned exactly.",
				"Afterwards torch==2.9.0 resolves to nothing in release; installers that use several indexes may take it from another one.",
			},
		},
		"nothing that is listed": {
			sel: torch("==2.9.1"), artifacts: 3,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.0+spyre cp312", "2.9.1+spyre cp310 Overwritten", "2.9.1+spyre cp311 Gone", "2.9.1+spyre cp312 Rejected")},
		},
		"held elsewhere": {
			sel: torch("==2.9.1+spyre"), artifacts: 2,
			catalogs: []*catalog.Catalog{lane("torch", release, "2.9.1+spyre cp311", "2.9.1+spyre cp312", "2.9.1+spyre.1 cp312 Rejected", "2.9.0+spyre cp312")},
			elsewhere: map[string][]string{
				"sha-2.9.1+spyrecp311": {"rebellions", "gaudi", "gaudi"}, "sha-2.9.1+spyrecp312": {"gaudi"}, "sha-2.9.0+spyrecp312": {"innocent"}, "": {"nobody"},
			},
			want: []string{
				`Lane gaudi holds the same bytes as "torch-2.9.1+spyre-cp311.whl" and of 1 more file; this Yank does not reach them, so they need one of their own.`,
				`Lane rebellions holds the same bytes as "torch-2.9.1+spyre-cp311.whl"; this Yank does not reach them, so they need one of their own.`,
				"Afterwards torch==2.9.1 resolves to nothing in release; installers that use several indexes may take it from another one.",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			mode := test.mode
			if mode == "" {
				mode = v1alpha1.YankQuarantine
			}
			plan := Resolve(compile(t, test.sel), mode, test.catalogs, test.elsewhere)
			if len(plan.Artifacts) != test.artifacts {
				t.Errorf("%d artifacts, want %d: %+v", len(plan.Artifacts), test.artifacts, plan.Artifacts)
			}
			if !slices.Equal(plan.Warnings, test.want) {
				t.Errorf("warnings\n%s\nwant\n%s", strings.Join(plan.Warnings, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestRetiredLanesHaveNoPages(t *testing.T) {
	c := lane("torch", release, "2.9.0+spyre cp312", "2.9.1+spyre cp312")
	c.Retired = true
	plan := Resolve(compile(t, v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.0"}), v1alpha1.YankHardDelete, []*catalog.Catalog{c}, nil)
	if len(plan.Artifacts) != 1 || len(plan.Warnings) != 0 {
		t.Errorf("%+v", plan)
	}
}

func TestHashesOfTombstonesAreLookedForElsewhere(t *testing.T) {
	c := lane("torch", release, "2.9.0+spyre cp312 Quarantine")
	c.Files[0].SHA256, c.Files[0].State = "", catalog.StateGone
	plan := Resolve(compile(t, v1alpha1.YankSelector{Package: "torch"}), v1alpha1.YankHardDelete, []*catalog.Catalog{c},
		map[string][]string{c.Files[0].Tombstones[0].SHA256: {"gaudi"}})
	if len(plan.Warnings) != 1 || !strings.HasPrefix(plan.Warnings[0], "Lane gaudi holds") {
		t.Errorf("%q", plan.Warnings)
	}
}

func TestArtifacts(t *testing.T) {
	catalogs := []*catalog.Catalog{
		lane("torch", release, "2.9.0+spyre b", "2.9.0+spyre a"),
		lane("libtorch", release, "2.9.0+spyre a"),
		lane("torch", nightly, "2.9.0+spyre a"),
		lane("torch", v1alpha1.ChannelTest, "2.9.0+spyre a"),
	}
	for i := range catalogs {
		for j := range catalogs[i].Files {
			catalogs[i].Files[j].SHA256 = hashA
		}
	}
	s := compile(t, v1alpha1.YankSelector{SHA256: []string{hashA}})
	want := []string{
		"nightly torch whl/nightly/spyre/torch-2.9.0+spyre-a.whl",
		"release libtorch libtorch/spyre/libtorch-2.9.0+spyre-a.whl",
		"release torch whl/spyre/torch-2.9.0+spyre-a.whl",
		"release torch whl/spyre/torch-2.9.0+spyre-b.whl",
		"test torch whl/test/spyre/torch-2.9.0+spyre-a.whl",
	}
	first := Resolve(s, v1alpha1.YankFlag, catalogs, nil)
	var got []string
	for _, a := range first.Artifacts {
		got = append(got, fmt.Sprintf("%s %s %s", a.Channel, a.Project, a.Key))
	}
	if !slices.Equal(got, want) {
		t.Errorf("artifacts\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for range 10 {
		rand.Shuffle(len(catalogs), func(i, j int) { catalogs[i], catalogs[j] = catalogs[j], catalogs[i] })
		if again := Resolve(s, v1alpha1.YankFlag, catalogs, nil); !reflect.DeepEqual(first, again) {
			t.Fatal("the plan depends on the order of the catalogs")
		}
	}
}

func TestArtifactsAreCopies(t *testing.T) {
	c := lane("torch", release, "2.9.0+spyre cp312 Flag")
	plan := Resolve(compile(t, v1alpha1.YankSelector{Package: "torch"}), v1alpha1.YankHardDelete, []*catalog.Catalog{c}, nil)
	plan.Artifacts[0].File.Tombstones[0].Mode = v1alpha1.YankHardDelete
	if c.Files[0].Tombstones[0].Mode != v1alpha1.YankFlag {
		t.Error("the plan shares its files with the catalog")
	}
}

func TestWarningsAreBounded(t *testing.T) {
	var catalogs []*catalog.Catalog
	elsewhere := map[string][]string{}
	for i := range 30 {
		c := lane(fmt.Sprintf("p%02d", i), release, "1.0 x")
		c.Files[0].Name, c.Files[0].SHA256 = strings.Repeat("\x1b", 255), hashA
		catalogs = append(catalogs, c)
	}
	s := compile(t, v1alpha1.YankSelector{SHA256: []string{hashA}})
	for _, lanes := range [][]string{{"gaudi"}, nil} {
		elsewhere[hashA] = lanes
		some := catalogs
		if lanes != nil {
			some = catalogs[:1]
		}
		plan := Resolve(s, v1alpha1.YankHardDelete, some, elsewhere)
		if len(plan.Warnings) > MaxWarnings || len(plan.Warnings) < 3 {
			t.Errorf("%d warnings", len(plan.Warnings))
		}
		for _, w := range plan.Warnings {
			if utf8.RuneCountInString(w) > MaxWarningLength || strings.ContainsRune(w, '\x1b') || !utf8.ValidString(w) {
				t.Errorf("warning %q", w)
			}
		}
		if last := plan.Warnings[len(plan.Warnings)-1]; lanes == nil && last != "45 more warnings are left out." {
			t.Errorf("the last one is %q", last)
		}
	}
	if MaxWarnings != 16 || MaxWarningLength != 512 {
		t.Error("the status of a Yank takes 16 warnings of 512 characters")
	}
}
