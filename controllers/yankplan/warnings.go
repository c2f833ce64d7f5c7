package yankplan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// warn says what a person should know, the gravest first.
func warn(artifacts []Artifact, outlooks []*outlook, elsewhere map[string][]string) []string {
	if len(artifacts) == 0 {
		return []string{"No file matches now; once the Yank is executed it takes back whatever matches later."}
	}
	out := slices.Concat(warnEverything(outlooks), warnLinked(artifacts, outlooks), warnEmpty(outlooks), warnElsewhere(artifacts, elsewhere), warnPins(outlooks))
	if len(out) > MaxWarnings {
		left := len(out) - MaxWarnings + 1
		out = append(out[:MaxWarnings-1], fmt.Sprintf("%d more warnings are left out.", left))
	}
	for i := range out {
		out[i] = clip(out[i])
	}
	return out
}

// warnEverything names the projects of which all files match.
func warnEverything(outlooks []*outlook) (out []string) {
	type sum struct {
		stored, matched int
		channels        []string
	}
	projects := map[string]*sum{}
	for _, o := range outlooks {
		if o.stored == 0 {
			continue
		}
		if projects[o.project] == nil {
			projects[o.project] = &sum{}
		}
		s := projects[o.project]
		s.stored += o.stored
		s.matched += o.matched
		s.channels = append(s.channels, string(o.channel))
	}
	for _, name := range slices.Sorted(maps.Keys(projects)) {
		if s := projects[name]; s.stored == s.matched {
			out = append(out, fmt.Sprintf("The selector matches everything: all %s of %s in %s.", plural(s.stored, "file"), name, list(s.channels)))
		}
	}
	return out
}

// warnLinked says which files are not the lane's to take away.
func warnLinked(artifacts []Artifact, outlooks []*outlook) []string {
	if len(outlooks) == 0 || !outlooks[0].mode.BlocksAccess() {
		return nil
	}
	linked := slices.DeleteFunc(slices.Clone(artifacts), func(a Artifact) bool { return a.File.Link == nil })
	if len(linked) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s only linked to, for example %.100q: another index publishes the bytes, so they go off this lane's pages and can still be fetched there; IndexRemoval does the same.", are(len(linked)), linked[0].File.Name)}
}

// are says how many files are something.
func are(n int) string {
	if n == 1 {
		return "1 file is"
	}
	return fmt.Sprintf("%d files are", n)
}

// warnEmpty names the pages that installers would find nothing on.
func warnEmpty(outlooks []*outlook) (out []string) {
	for _, o := range outlooks {
		switch {
		case o.all.taken == 0 || o.all.left > 0:
		case o.mode == v1alpha1.YankFlag:
			out = append(out, fmt.Sprintf("All files of %s in %s would be marked as yanked; installers pass them over unless a version is pinned exactly.", o.project, o.channel))
		case o.all.flagged > 0:
			out = append(out, fmt.Sprintf("Only files marked as yanked would be left of %s in %s; installers pass them over unless a version is pinned exactly.", o.project, o.channel))
		default:
			out = append(out, fmt.Sprintf("%s would be left without files in %s; its page stays, empty.", o.project, o.channel))
		}
	}
	return out
}

// warnElsewhere names the other lanes that hold the same bytes.
func warnElsewhere(artifacts []Artifact, elsewhere map[string][]string) (out []string) {
	names := map[string][]string{}
	for _, a := range artifacts {
		hashes := []string{a.File.SHA256}
		for _, t := range a.File.Tombstones {
			hashes = append(hashes, t.SHA256)
		}
		slices.Sort(hashes)
		var lanes []string
		for _, hash := range slices.Compact(hashes) {
			lanes = append(lanes, elsewhere[hash]...)
		}
		slices.Sort(lanes)
		for _, lane := range slices.Compact(lanes) {
			names[lane] = append(names[lane], a.File.Name)
		}
	}
	for _, lane := range slices.Sorted(maps.Keys(names)) {
		more := ""
		if n := len(names[lane]) - 1; n > 0 {
			more = fmt.Sprintf(" and of %s", plural(n, "more file"))
		}
		out = append(out, fmt.Sprintf("Lane %.100s holds the same bytes as %.100q%s; this Yank does not reach them, so they need one of their own.", lane, names[lane][0], more))
	}
	return out
}

// warnPins says what pins to public versions lead to afterwards: an installer
// that finds 2.9.0+a gone takes 2.9.0+b without a word.
func warnPins(outlooks []*outlook) (out []string) {
	for _, o := range outlooks {
		var lost []string
		for _, r := range o.resolutions() {
			pin := fmt.Sprintf("%s==%.100s", o.project, r.public)
			switch {
			case r.local == "":
				lost = append(lost, pin)
			case r.flagged:
				out = append(out, fmt.Sprintf("Afterwards %s resolves in %s only to files marked as yanked, of version %.100s.", pin, o.channel, r.local))
			case r.partly:
				out = append(out, fmt.Sprintf("Afterwards %s resolves in %s to %.100s still, to the files of it that are left.", pin, o.channel, r.local))
			default:
				out = append(out, fmt.Sprintf("Afterwards %s resolves in %s to %.100s.", pin, o.channel, r.local))
			}
		}
		if len(lost) > 0 && o.all.left+o.all.flagged > 0 { // else warnEmpty says it
			more := ""
			if n := len(lost) - 1; n > 0 {
				more = fmt.Sprintf(" (like %s)", plural(n, "other public version"))
			}
			out = append(out, fmt.Sprintf("Afterwards %s%s resolves to nothing in %s; installers that use several indexes may take it from another one.", lost[0], more, o.channel))
		}
	}
	return out
}

// plural is a number of things in words.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// clip cuts a sentence to MaxWarningLength characters. Only names that are full
// of escaped characters ever make one that long.
func clip(s string) string {
	if r := []rune(s); len(r) > MaxWarningLength {
		return string(r[:MaxWarningLength-1]) + "…"
	}
	return s
}

// list joins names as a sentence does.
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
