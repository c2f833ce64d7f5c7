package simpleindex

import "slices"

// Rules are all rules, in the order of a page: its transport, its form, its
// links, what it says about files, and how pages fit together.
func Rules() []Rule { return slices.Clone(rules) }

var ruleByID = func() map[string]Rule {
	out := make(map[string]Rule, len(rules))
	for _, rule := range rules {
		out[rule.ID] = rule
	}
	return out
}()

// seen is the reference of a rule that no specification has: what it names was
// seen to break with real clients and servers.
const (
	seenPip = "seen with pip"
	seenS3  = "seen with S3"
	seenUV  = "seen with uv"
)

var rules = []Rule{
	// How pages and files are served.
	{"content-type", Error, "PEP 691", "a page has one of the three content types of the simple API, exactly"},
	{"charset", Warning, "PEP 503", "HTML says that it is UTF-8"},
	{"page-unreachable", Error, "PEP 503", "every page that an index refers to is there"},
	{"redirect-permanent", Warning, seenPip, "pages redirect with 302 or 307 only"},
	{"vary-accept", Warning, "PEP 691", "one address with two formats says Vary: Accept"},
	{"negotiation", Error, "PEP 691", "a server answers in a format that was asked for"},
	{"cache-page", Warning, seenPip, "a page is asked for anew before long"},
	{"cache-immutable", Warning, seenPip, "a file is not immutable: pip would install it after it was deleted"},

	// The form of a page.
	{"page-too-large", Error, "limit", "a page stays within what installers can read"},
	{"not-an-index", Error, "PEP 503", "a page is an HTML document or a JSON object"},
	{"utf8", Error, "PEP 503", "a page is valid UTF-8"},
	{"doctype", Warning, "PEP 503", "HTML begins with <!DOCTYPE html>"},
	{"html-base", Warning, seenUV, "no base element changes what links mean"},
	{"volatile", Warning, seenS3, "no timestamp makes every generation of a page different"},
	{"api-version-missing", Warning, "PEP 629", "a page says which version of the API it speaks"},
	{"api-version", Error, "PEP 629", "the API version is 1 and a minor version"},
	{"api-version-newer", Warning, "PEP 629", "the API version is not newer than 1.4"},
	{"json-syntax", Error, "PEP 691", "JSON can be read"},
	{"json-duplicate-key", Error, "PEP 691", "no key of an object appears twice"},
	{"json-required-key", Error, "PEP 691", "JSON has every key that its version demands"},
	{"json-type", Error, "PEP 691", "JSON values have the type that the specification gives them"},
	{"json-unknown-key", Warning, "PEP 691", "keys of the server's own begin with an underscore"},
	{"rejected-extension", Warning, "PEP 708 (rejected)", "tracks and alternate-locations are not used"},
	{"status", Error, "PEP 792", "the project status is active, archived, quarantined or deprecated"},
	{"status-quarantined", Error, "PEP 792", "a quarantined project lists no files"},

	// Links.
	{"anchor-place", Warning, seenPip, "links are direct children of body"},
	{"anchor-href", Warning, "PEP 503", "every link has an href"},
	{"markup", Error, "PEP 503", "names and addresses reach the page escaped"},
	{"control-character", Error, "PEP 503", "no control or bidirectional characters"},
	{"href", Error, "PEP 503", "an address is a plain http or https URL"},
	{"href-plus", Warning, seenS3, "a plus sign in an address is written %2B"},
	{"href-characters", Warning, "RFC 3986", "what is no URL character is percent-encoded"},
	{"href-insecure", Warning, "PEP 503", "a page served by https links to https only"},
	{"links-too-many", Error, "limit", "a page has no more links than installers can read"},

	// Names of projects.
	{"name", Error, "PEP 508", "a project's name is ASCII letters, digits, '.', '-' and '_'"},
	{"name-normalized", Error, "PEP 503", "addresses and pages use the normalised name"},
	{"name-text", Error, "PEP 503", "the text of a link is the name of what it leads to"},
	{"name-duplicate", Warning, "PEP 503", "a project is listed once"},
	{"name-mismatch", Error, "PEP 691", "a page is about the project that was asked for"},
	{"trailing-slash", Error, "PEP 503", "the address of a project's page ends with a slash"},

	// Files.
	{"file-name-link", Error, "PEP 503", "a file's name is the last part of its address"},
	{"file-name", Error, "PEP 427", "a wheel or source archive has a valid name"},
	{"file-name-normal", Warning, "PEP 427", "a file's name is in normal form"},
	{"file-type", Warning, "PEP 527", "files are wheels or source archives"},
	{"file-foreign", Error, "PEP 503", "a page lists files of its own project"},
	{"file-duplicate", Error, "PEP 503", "a file is listed once"},
	{"hash-missing", Warning, "PEP 503", "every file has a hash"},
	{"hash-weak", Warning, "PEP 503", "the hash is SHA-256"},
	{"hash-form", Error, "PEP 503", "a hash is hexadecimal and as long as its algorithm makes it"},
	{"hash-case", Warning, "PEP 691", "a hash is written in lower case"},
	{"hash-algorithm", Warning, "PEP 691", "the hash algorithm is one that Python guarantees"},
	{"requires-python", Error, "PEP 440", "requires-python is a specifier set"},
	{"requires-python-escaping", Error, "PEP 503", "< and > of requires-python are escaped in HTML, once"},
	{"yanked-bare", Error, "PEP 592", "data-yanked has a value"},
	{"yanked-empty", Warning, "PEP 691", "yanked in JSON is a boolean or a reason"},
	{"core-metadata", Error, "PEP 658", "core-metadata is true or a hash"},
	{"core-metadata-old", Warning, "PEP 714", "core-metadata is given under its present name, and dist-info-metadata not in JSON"},
	{"core-metadata-disagree", Error, "PEP 714", "both names of core-metadata say the same"},
	{"gpg-sig", Warning, "PEP 503", "gpg-sig is true or false"},
	{"provenance", Error, "PEP 740", "provenance is an address"},
	{"provenance-relative", Warning, "PEP 740", "the address of provenance is fully qualified"},
	{"size", Error, "PEP 700", "a size is a whole number of bytes, not negative"},
	{"upload-time", Error, "PEP 700", "an upload time is written yyyy-mm-ddThh:mm:ss.ffffffZ"},
	{"versions-incomplete", Error, "PEP 700", "versions has the version of every file"},
	{"versions-form", Warning, "PEP 700", "versions are PEP 440 and listed once"},

	// How pages and files fit together.
	{"formats-disagree", Error, "PEP 691", "HTML and JSON of one address say the same"},
	{"project-without-page", Error, "PEP 503", "every project of the list has a page"},
	{"page-not-listed", Warning, "PEP 503", "every page is in the list of projects"},
	{"file-unreachable", Error, "PEP 503", "every listed file is there"},
	{"file-unlisted", Warning, "PEP 503", "every stored file is on a page"},
	{"file-size", Error, "PEP 700", "a file has the size that its page says"},
	{"file-hash", Error, "PEP 503", "a file has the hash that its page says"},
	{"metadata-unreachable", Error, "PEP 658", "announced METADATA is there"},
	{"metadata-hash", Error, "PEP 658", "announced METADATA has the hash that the page says"},
}
