package pep440

import "strings"

// parsePlain reads the spelling that nearly every version has: the normal form
// without an epoch. ok is false for anything else, which [Parse] then reads by
// the grammar. A page of 100,000 files has a version to read for each of them.
func parsePlain(s string) (v Version, ok bool) {
	s, local, hasLocal := strings.Cut(s, "+")
	for {
		n, rest := digits(s)
		if n == "" {
			return Version{}, false
		}
		v.release = append(v.release, newNumber(n))
		s = rest
		if len(s) < 2 || s[0] != '.' || !isDigits(s[1:2]) {
			break
		}
		s = s[1:]
	}
	for _, letter := range []preRelease{"a", "b", "rc"} {
		if rest, found := strings.CutPrefix(s, string(letter)); found {
			if v.preN, s, ok = numbered(rest); !ok {
				return Version{}, false
			}
			v.pre = letter
			break
		}
	}
	if rest, found := strings.CutPrefix(s, ".post"); found {
		if v.postN, s, v.post = numbered(rest); !v.post {
			return Version{}, false
		}
	}
	if rest, found := strings.CutPrefix(s, ".dev"); found {
		if v.devN, s, v.dev = numbered(rest); !v.dev {
			return Version{}, false
		}
	}
	if s != "" {
		return Version{}, false
	}
	if !hasLocal {
		return v, true
	}
	for label := range strings.SplitSeq(local, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return Version{}, false
		}
		if isDigits(label) {
			label = newNumber(label).String()
		}
		v.local = append(v.local, label)
	}
	return v, true
}

// digits splits off the digits at the beginning.
func digits(s string) (number, rest string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// numbered is digits for a number that has to be there.
func numbered(s string) (n number, rest string, ok bool) {
	text, rest := digits(s)
	return newNumber(text), rest, text != ""
}
