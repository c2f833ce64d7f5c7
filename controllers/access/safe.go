package access

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
)

// What a manifest's values may be made of. Each is a list of what is let in, so
// that wildcards, policy variables, quotes, percent signs, control characters and
// everything beyond ASCII are out without being named.
var (
	platformRE    = regexp.MustCompile(`^[a-z][a-z0-9]{1,30}$`)
	packageRE     = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9]|-[a-z0-9]){0,63}$`)
	objectNameRE  = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$`)
	repositoryRE  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+$`)
	environmentRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._-]*$`)
	refRE         = regexp.MustCompile(`^refs/(?:heads|tags)/[A-Za-z0-9._/-]+\*?$`)
	workflowRefRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+/[.]github/workflows/[A-Za-z0-9._-]+[.]ya?ml@refs/(?:heads|tags)/[A-Za-z0-9._/-]+$`)
	issuerRE      = regexp.MustCompile(`^https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~/-]*)?$`)
	audienceRE    = regexp.MustCompile(`^[A-Za-z0-9._~:/@-]+$`)
	subjectRE     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._:/@=+-]{3,}\*?$`)
	claimKeyRE    = regexp.MustCompile(`^[a-z][a-z0-9_.-]*(?:/[a-z][a-z0-9_-]*)?$`)
	claimValueRE  = regexp.MustCompile(`^[A-Za-z0-9 ._:/@=+-]+$`)
)

// maxValue bounds every value of a manifest, in bytes; the schema's own limits
// are at most this.
const maxValue = 512

// checker collects the problems of the values it looks at.
type checker struct{ problems Problems }

func (c *checker) add(p Problem) { c.problems = append(c.problems, p) }

// value demands that a value is made of what is let in.
func (c *checker) value(field, value string, let *regexp.Regexp, want string) {
	if len(value) > maxValue || !let.MatchString(value) {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field,
			"%s is not %s and could widen the lane's policy; write one exact value, without wildcards, quotes or ${…}", quote(value), want))
	}
}

// wildcardSubject demands that a subject with a wildcard names more than the
// issuer's first level: two whole segments, as in project_path:group/*.
func (c *checker) wildcardSubject(field, subject string) {
	scope, wild := strings.CutSuffix(subject, "*")
	if !wild {
		return
	}
	segments := strings.FieldsFunc(scope, isSeparator)
	if last, _ := utf8.DecodeLastRuneInString(scope); !isSeparator(last) && len(segments) > 0 {
		segments = segments[:len(segments)-1]
	}
	if len(segments) < 2 {
		c.add(problemf(v1alpha1.ReasonUnsafeValue, field,
			"%s would let in everybody who uses this issuer; name at least the organisation before the *, as in project_path:group/*", quote(subject)))
	}
}

func isSeparator(r rune) bool { return r == ':' || r == '/' }

// showable is a name as it is, or quoted if it is none: not every manifest has
// passed admission.
func showable(name string) string {
	if objectNameRE.MatchString(name) {
		return name
	}
	return quote(name)
}

// quote shows a value that somebody else wrote: one line, ASCII, bounded.
func quote(value string) string {
	const shown = 80
	if len(value) > shown {
		return fmt.Sprintf("%+q… (%d bytes)", value[:shown], len(value))
	}
	return fmt.Sprintf("%+q", value)
}
