package yankplan

// matchGlob tells whether a name matches a pattern of * (any text, also none)
// and ? (one byte). Nothing else is special: with path.Match a bracket in a
// name would select other files than those it spells. It takes at most
// len(pattern) × len(name) steps.
func matchGlob(pattern, name string) bool {
	p, n := 0, 0
	star, resume := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			// Let the last star take one byte more.
			resume++
			p, n = star+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
