package pep440

import (
	"fmt"
	"regexp"
	"strings"
)

// Specifiers is a set of version specifiers, all of which must hold. The zero
// value holds for every version.
type Specifiers struct {
	all []specifier
}

// A specifier is one clause, such as ">=2.9".
type specifier struct {
	op       operator
	version  Version // not set for opIdentical
	wildcard bool    // ==2.9.* and !=2.9.*
	text     string  // the version as written, in lower case, for opIdentical
}

// operator is a comparison of PEP 440.
type operator string

const (
	opIdentical    operator = "==="
	opCompatible   operator = "~="
	opEqual        operator = "=="
	opNotEqual     operator = "!="
	opLessEqual    operator = "<="
	opGreaterEqual operator = ">="
	opLess         operator = "<"
	opGreater      operator = ">"
)

// operators has the longer ones before those that they begin with.
var operators = []operator{
	opIdentical, opCompatible, opEqual, opNotEqual, opLessEqual, opGreaterEqual, opLess, opGreater,
}

var wildcardRE = regexp.MustCompile(`^(?i:v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*)\.\*$`)

// ParseSpecifiers reads a comma-separated specifier set, such as
// "==2.9.0+spyre" or ">=2.9,<2.10". An empty one holds for every version.
func ParseSpecifiers(s string) (Specifiers, error) {
	if len(s) > MaxLength {
		return Specifiers{}, fmt.Errorf("specifier set of %d bytes is longer than the limit of %d", len(s), MaxLength)
	}
	var set Specifiers
	for clause := range strings.SplitSeq(s, ",") {
		if clause = strings.Trim(clause, space); clause == "" {
			continue
		}
		one, err := parseSpecifier(clause)
		if err != nil {
			return Specifiers{}, err
		}
		set.all = append(set.all, one)
	}
	return set, nil
}

func parseSpecifier(clause string) (specifier, error) {
	for _, op := range operators {
		rest, found := strings.CutPrefix(clause, string(op))
		if !found {
			continue
		}
		s, err := newSpecifier(op, strings.Trim(rest, space))
		if err != nil {
			return specifier{}, fmt.Errorf("specifier %s: %w", quote(clause), err)
		}
		return s, nil
	}
	return specifier{}, fmt.Errorf("specifier %s does not begin with one of == != ~= >= <= > < ===", quote(clause))
}

func newSpecifier(op operator, text string) (specifier, error) {
	if op == opIdentical {
		if text == "" || !isASCII(text) || strings.ContainsAny(text, space+";)") {
			return specifier{}, fmt.Errorf("=== is followed by one version, without blanks, semicolons or parentheses")
		}
		return specifier{op: op, text: strings.ToLower(text)}, nil
	}
	if wildcardRE.MatchString(text) && (op == opEqual || op == opNotEqual) {
		v, err := Parse(strings.TrimSuffix(text, ".*"))
		return specifier{op: op, version: v, wildcard: true}, err
	}
	v, err := Parse(text)
	switch {
	case err != nil:
		return specifier{}, err
	case len(v.local) > 0 && op != opEqual && op != opNotEqual:
		return specifier{}, fmt.Errorf("a local version (%q) works only with == and !=", "+"+v.Local())
	case op == opCompatible && len(v.release) < 2:
		return specifier{}, fmt.Errorf("~= needs a release of at least two numbers, such as ~=2.9")
	}
	return specifier{op: op, version: v}, nil
}

// String is the set in normalised form, its clauses in the order given.
func (s Specifiers) String() string {
	texts := make([]string, len(s.all))
	for i, one := range s.all {
		texts[i] = one.String()
	}
	return strings.Join(texts, ",")
}

func (s specifier) String() string {
	switch {
	case s.op == opIdentical:
		return string(s.op) + s.text
	case s.wildcard:
		return string(s.op) + s.version.String() + ".*"
	default:
		return string(s.op) + s.version.String()
	}
}

// Contains tells whether every clause holds for v. Pre-releases are not
// treated apart: >=2.9 selects 2.10.0.dev20260101. A clause without a local
// version holds for every local version of the versions that it selects, so
// ==2.9.0 selects 2.9.0+spyre. === compares the normalised form of v as text.
func (s Specifiers) Contains(v Version) bool {
	for _, one := range s.all {
		if !one.contains(v) {
			return false
		}
	}
	return true
}

func (s specifier) contains(v Version) bool {
	spec := s.version
	switch s.op {
	case opIdentical:
		return v.String() == s.text
	case opEqual:
		return s.equals(v)
	case opNotEqual:
		return !s.equals(v)
	case opCompatible:
		return v.Compare(spec) >= 0 && v.hasPrefix(spec.epoch, spec.release[:len(spec.release)-1])
	case opGreaterEqual:
		return v.Compare(spec) >= 0
	case opLessEqual:
		return v.WithoutLocal().Compare(spec) <= 0
	case opLess:
		return v.Compare(firstOf(spec)) < 0
	case opGreater:
		// Neither a local version nor a post-release of the named version is
		// "greater" in the sense of PEP 440, unless a post-release is named.
		return v.WithoutLocal().Compare(spec) > 0 && !v.isPostReleaseOf(spec)
	default:
		return false
	}
}

func (s specifier) equals(v Version) bool {
	switch {
	case s.wildcard:
		return v.hasPrefix(s.version.epoch, s.version.release)
	case len(s.version.local) == 0:
		return v.WithoutLocal().Equal(s.version)
	default:
		return v.Equal(s.version)
	}
}

// hasPrefix tells whether v's release, with as many zeros appended as it
// takes, begins with prefix.
func (v Version) hasPrefix(epoch number, prefix []number) bool {
	if v.epoch != epoch {
		return false
	}
	for i, want := range prefix {
		var have number
		if i < len(v.release) {
			have = v.release[i]
		}
		if have != want {
			return false
		}
	}
	return true
}

// firstOf is what < compares with: <2.9 leaves out the pre-releases of 2.9
// too, unless it names one itself.
func firstOf(v Version) Version {
	if !v.IsPrerelease() {
		v.dev, v.devN = true, ""
	}
	return v
}

// isPostReleaseOf tells whether v is a post-release of base, where base is
// neither a post- nor a development release itself.
func (v Version) isPostReleaseOf(base Version) bool {
	if base.post || base.dev || !v.post {
		return false
	}
	v.post, v.postN, v.dev, v.devN, v.local = false, "", false, "", nil
	return v.Equal(base)
}
