package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/wheel"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// file is a stand-in for a file of the history.
type file struct {
	channel           v1alpha1.ChannelName
	platform, project string
	name              string
	wheel             wheeltest.Wheel
}

func (f file) key() string { return layout.WheelPrefix(f.platform, f.channel) + f.name }

// bytes of the stand-in; another generation of the same name has other bytes.
func (f file) bytes(generation int) ([]byte, string, error) {
	w := f.wheel
	if generation > 0 {
		w.PadTo = 4096 + generation
	}
	data, err := w.Bytes()
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:]), err
}

// atlas maps the folders of the history to lanes.
type atlas struct {
	platforms map[string]string // by folder
	taken     map[string]bool
	packages  map[string][]string // by platform
}

func newAtlas() *atlas {
	return &atlas{platforms: map[string]string{}, taken: map[string]bool{}, packages: map[string][]string{}}
}

// standIn maps a file of the history to one that a lane may publish: in its
// channel and folder, of the same project, version and tags, with the lane's
// label in its local version. ok is false for a file that no lane could have;
// why then says the reason in a word or two.
func (a *atlas) standIn(r row) (f file, why string, ok bool) {
	rest, found := strings.CutPrefix(r.key, "whl/")
	if !found {
		return file{}, "not below whl/", false
	}
	f.channel = v1alpha1.ChannelRelease
	for _, c := range []v1alpha1.ChannelName{v1alpha1.ChannelNightly, v1alpha1.ChannelTest} {
		if below, found := strings.CutPrefix(rest, string(c)+"/"); found {
			rest, f.channel = below, c
		}
	}
	folder, name, nested := strings.Cut(rest, "/")
	if !nested {
		folder, name = "root", rest
	}
	parsed, err := wheel.ParseFilename(name)
	if err != nil {
		return file{}, "no valid wheel name", false
	}
	f.platform, f.project = a.platform(folder), parsed.Project
	a.list(f.platform, f.project)
	parts := strings.Split(strings.TrimSuffix(name, ".whl"), "-")
	local := f.platform
	if old := parsed.Version.Local(); old != "" {
		local += "." + old
	}
	f.wheel = wheeltest.Wheel{
		Project: parsed.Project, Version: parsed.Version.Public() + "+" + local, Build: parsed.Build,
		Tag: strings.ToLower(strings.Join(parts[len(parts)-3:], "-")), RequiresPython: r.requiresPython,
	}
	f.name = f.wheel.Filename()
	if _, err := wheel.CheckListing(f.name, 1, wheel.Rules{Platform: f.platform, Packages: []string{f.project}}); err != nil {
		return file{}, "no valid wheel name", false
	}
	return f, "", true
}

// platform is the lane of a folder: its letters and digits, with a number behind
// if another folder has them already.
func (a *atlas) platform(folder string) string {
	if p, ok := a.platforms[folder]; ok {
		return p
	}
	base := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(folder))
	if base == "" || base[0] < 'a' {
		base = "x" + base
	}
	p := base
	for n := 2; a.taken[p] || len(p) < 2; n++ {
		p = fmt.Sprintf("%s%d", base, n)
	}
	a.platforms[folder], a.taken[p] = p, true
	return p
}

func (a *atlas) list(platform, project string) {
	if !slices.Contains(a.packages[platform], project) {
		a.packages[platform] = append(a.packages[platform], project)
	}
}
