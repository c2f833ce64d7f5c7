package account

import (
	"bytes"
	"encoding/json"

	"github.com/pytorch/platform-lane-operator/controllers/access"
)

// policyVersion is the version of the policy language; older ones know no policy
// variables.
const policyVersion = "2012-10-17"

type effect string

const (
	allow effect = "Allow"
	deny  effect = "Deny"
)

// anybody is the principal of a bucket policy's statement: its conditions say
// whom it is about.
const anybody = "*"

// document is a policy in the order in which it is written.
type document struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid         string
	Effect      effect
	Principal   string     `json:",omitempty"`
	Action      values     `json:",omitempty"`
	NotAction   values     `json:",omitempty"`
	Resource    values     `json:",omitempty"`
	NotResource values     `json:",omitempty"`
	Condition   conditions `json:",omitempty"`

	// why is the comment that stands above the statement in the template; JSON
	// has none.
	why string
}

// conditions map operators to the keys and values that they compare. All must
// hold. encoding/json writes them in the order of their names.
type conditions map[string]map[string]values

// The condition operators in use. None that is true for an absent key stands in
// an Allow.
const (
	stringEquals    = "StringEquals"
	stringNotEquals = "StringNotEquals"
	stringLike      = "StringLike"
	arnLike         = "ArnLike"
	null            = "Null"
	boolean         = "Bool"
	boolIfExists    = "BoolIfExists"
)

// The condition keys in use.
const (
	laneTagKey       = "aws:PrincipalTag/" + access.TagLane
	principalARN     = "aws:PrincipalArn"
	principalAccount = "aws:PrincipalAccount"
	secureTransport  = "aws:SecureTransport"
	boundaryKey      = "iam:PermissionsBoundary"
)

// values are a set, written as in a lane's own documents.
type values = access.Values

func setOf(members ...string) values { return access.SetOf(members...) }

// uploadActions are what lanes upload with.
var uploadActions = access.UploadActions()

func policy(statements ...statement) document {
	return document{Version: policyVersion, Statement: statements}
}

// encode writes a document for people and for IAM: two spaces, a line break at
// the end.
func (d document) encode() ([]byte, error) {
	raw, err := json.MarshalIndent(d, "", "  ")
	return append(raw, '\n'), err
}

// size is what IAM and S3 count: the characters without the white space between
// them.
func size(encoded []byte) (int, error) {
	var compact bytes.Buffer
	err := json.Compact(&compact, encoded)
	return compact.Len(), err
}
