package access

import (
	"encoding/json"
	"slices"
	"strings"
)

// policyVersion is the version of the policy language. Older ones are read
// differently, and it is not the date of anything of ours.
const policyVersion = "2012-10-17"

// document is a policy of IAM's JSON language. Field order is the order in which
// it is written: ACK compares inline policies byte by byte.
type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid         string               `json:",omitempty"`
	Effect      effect               `json:",omitempty"`
	Principal   *principal           `json:",omitempty"`
	Action      Values               `json:",omitempty"`
	NotAction   Values               `json:",omitempty"`
	Resource    Values               `json:",omitempty"`
	NotResource Values               `json:",omitempty"`
	Condition   map[operator]keyTest `json:",omitempty"`

	// means says in words what a Deny rules out; see Explain. IAM never sees it.
	means string
}

type effect string

const (
	allow effect = "Allow"
	deny  effect = "Deny"
)

type principal struct {
	AWS       string `json:",omitempty"`
	Federated string `json:",omitempty"`
}

// operator is a condition operator. None that is true for an absent key is used
// in an Allow.
type operator string

const (
	stringEquals    operator = "StringEquals"
	stringNotEquals operator = "StringNotEquals"
	stringLike      operator = "StringLike"
	null            operator = "Null"
	boolIfExists    operator = "BoolIfExists"
	dateLessThan    operator = "DateLessThan"
)

// keyTest maps condition keys to the values they are compared with; encoding/json
// writes it in the order of the keys.
type keyTest map[string]Values

// Values are a set of strings in a document: written sorted, without duplicates,
// and a single one as a plain string.
type Values []string

// SetOf makes a set; the members may come in any order, and twice.
func SetOf(members ...string) Values {
	sorted := slices.Clone(members)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// MarshalJSON implements json.Marshaler.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}

// encode writes the one form of a document. ACK passes inline policies through
// URL decoding, which turns a plus sign into a space, so it is written as an
// escape; a percent sign cannot occur, for no value that is let in holds one.
func (d document) encode() (string, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	return strings.ReplaceAll(string(raw), "+", `\u002b`), nil
}
