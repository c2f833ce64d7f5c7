package pep440

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// MaxLength is the longest version, specifier set or requirement that is
// parsed, in bytes. The longest real version on PyPI is under 100.
const MaxLength = 1024

// publicPattern is the public part of a version in every spelling that PEP 440
// allows; its groups are epoch, release, pre letter, pre number, post number
// after a dash, post letter, post number, dev letter, dev number.
const publicPattern = `v?(?:([0-9]+)!)?` +
	`([0-9]+(?:\.[0-9]+)*)` +
	`(?:[._-]?(alpha|a|beta|b|preview|pre|c|rc)[._-]?([0-9]+)?)?` +
	`(?:-([0-9]+)|[._-]?(post|rev|r)[._-]?([0-9]+)?)?` +
	`(?:[._-]?(dev)[._-]?([0-9]+)?)?`

// localPattern is a local version label, without the plus sign.
const localPattern = `[a-z0-9]+(?:[._-][a-z0-9]+)*`

var versionRE = regexp.MustCompile(`^(?i:` + publicPattern + `(?:\+(` + localPattern + `))?)$`)

// space is what may surround versions and specifiers.
const space = " \t\n\v\f\r"

// A Version is a parsed PEP 440 version. The zero value is not a version;
// [Parse] makes one. Versions are immutable.
type Version struct {
	epoch   number
	release []number
	pre     preRelease // "" when there is none
	preN    number
	post    bool
	postN   number
	dev     bool
	devN    number
	local   []string // normalised labels, empty when there is no local version
}

// preRelease is the normalised letter of a pre-release; as strings they happen
// to sort in the order that PEP 440 wants: a, b, rc.
type preRelease string

// A number is a decimal number without leading zeros, the number zero being
// empty. PEP 440 sets no upper limit and dates like 20260101123059 are common,
// so numbers are not squeezed into a machine word.
type number string

func newNumber(digits string) number { return number(strings.TrimLeft(digits, "0")) }

func (n number) compare(o number) int {
	return cmp.Or(cmp.Compare(len(n), len(o)), strings.Compare(string(n), string(o)))
}

func (n number) String() string {
	if n == "" {
		return "0"
	}
	return string(n)
}

// Parse reads a version in any spelling that PEP 440 accepts, surrounding
// white space included.
func Parse(s string) (Version, error) {
	if len(s) > MaxLength {
		return Version{}, fmt.Errorf("version of %d bytes is longer than the limit of %d", len(s), MaxLength)
	}
	if v, ok := parsePlain(s); ok {
		return v, nil
	}
	return parse(s)
}

// parse is Parse by the grammar.
func parse(s string) (Version, error) {
	// The ASCII test comes first: case folding would take U+017F for an s.
	m := versionRE.FindStringSubmatch(strings.Trim(s, space))
	if !isASCII(s) || m == nil {
		return Version{}, fmt.Errorf("%s is not a PEP 440 version; write it like 2.9.0, 2.10.0.dev20260101 or 2.9.0+label", quote(s))
	}
	for i := range m {
		m[i] = strings.ToLower(m[i])
	}
	v := Version{
		epoch: newNumber(m[1]),
		pre:   canonicalPre(m[3]), preN: newNumber(m[4]),
		post: m[5] != "" || m[6] != "", postN: newNumber(m[5] + m[7]),
		dev: m[8] != "", devN: newNumber(m[9]),
	}
	for part := range strings.SplitSeq(m[2], ".") {
		v.release = append(v.release, newNumber(part))
	}
	if m[10] != "" {
		for _, label := range strings.FieldsFunc(m[10], isSeparator) {
			if isDigits(label) {
				label = newNumber(label).String()
			}
			v.local = append(v.local, label)
		}
	}
	return v, nil
}

func canonicalPre(letter string) preRelease {
	switch letter {
	case "alpha":
		return "a"
	case "beta":
		return "b"
	case "c", "pre", "preview":
		return "rc"
	default:
		return preRelease(letter)
	}
}

// String is the normalised form: "V1.0-ALPHA+Ubuntu_1" reads "1.0a0+ubuntu.1".
// Zeros at the end of the release are kept, as the specification asks, so two
// equal versions may differ as strings: compare with [Version.Equal].
func (v Version) String() string {
	if len(v.local) == 0 {
		return v.Public()
	}
	return v.Public() + "+" + v.Local()
}

// Public is the normalised version without its local part.
func (v Version) Public() string {
	var b strings.Builder
	if v.epoch != "" {
		b.WriteString(v.epoch.String() + "!")
	}
	for i, n := range v.release {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(n.String())
	}
	if v.pre != "" {
		b.WriteString(string(v.pre) + v.preN.String())
	}
	if v.post {
		b.WriteString(".post" + v.postN.String())
	}
	if v.dev {
		b.WriteString(".dev" + v.devN.String())
	}
	return b.String()
}

// Local is the normalised local version, its labels joined by dots; empty when
// there is none.
func (v Version) Local() string { return strings.Join(v.local, ".") }

// LocalLabels are the labels of the local version: "spyre" and "1" for
// 2.9.0+spyre.1.
func (v Version) LocalLabels() []string { return slices.Clone(v.local) }

// IsPrerelease tells whether v is an alpha, beta, candidate or development
// release, which installers leave out unless asked.
func (v Version) IsPrerelease() bool { return v.pre != "" || v.dev }

// IsZero tells whether v is the zero value, which is no version.
func (v Version) IsZero() bool { return len(v.release) == 0 }

// Series is the release series that the version belongs to, as a version of its
// own: the epoch and the first two numbers, 2.9 for 2.9.1rc1+label.
func (v Version) Series() Version {
	return Version{epoch: v.epoch, release: slices.Clone(v.release[:min(2, len(v.release))])}
}

// WithoutLocal is v without its local version.
func (v Version) WithoutLocal() Version {
	v.local = nil
	return v
}

// Equal tells whether v and o are one version: 1.0 equals 1.0.0, and
// 1.0+cu_128 equals 1.0+cu.128.
func (v Version) Equal(o Version) bool { return v.Compare(o) == 0 }

// Compare is -1 if v is older than o, +1 if it is newer and 0 if they are
// equal, in the order of PEP 440.
func (v Version) Compare(o Version) int {
	return cmp.Or(
		v.epoch.compare(o.epoch),
		slices.CompareFunc(trimZeros(v.release), trimZeros(o.release), number.compare),
		cmp.Compare(v.preRank(), o.preRank()),
		v.preN.compare(o.preN),
		compareBool(v.post, o.post),
		v.postN.compare(o.postN),
		compareBool(!v.dev, !o.dev),
		v.devN.compare(o.devN),
		slices.CompareFunc(v.local, o.local, compareLabels),
	)
}

// preRank orders the phases of one release: a development release of the
// release itself, alpha, beta, candidate, the release.
func (v Version) preRank() string {
	switch {
	case v.pre != "":
		return string(v.pre)
	case v.dev && !v.post:
		return ""
	default:
		return "~" // after every letter
	}
}

// compareLabels orders two labels of local versions: text before numbers, text
// by bytes, numbers by value.
func compareLabels(a, b string) int {
	if c := compareBool(isDigits(a), isDigits(b)); c != 0 {
		return c
	}
	if isDigits(a) {
		return newNumber(a).compare(newNumber(b))
	}
	return strings.Compare(a, b)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

func trimZeros(release []number) []number {
	for len(release) > 0 && release[len(release)-1] == "" {
		release = release[:len(release)-1]
	}
	return release
}

func isSeparator(r rune) bool { return r == '.' || r == '_' || r == '-' }

func isDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7e }) < 0
}

// quote shows untrusted text in a message: escaped, and not all of it.
func quote(s string) string {
	const longest = 80
	if len(s) > longest {
		return strconv.QuoteToASCII(s[:longest]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
