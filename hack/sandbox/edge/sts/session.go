package sts

import (
	"crypto/rand"
	"encoding/base64"
	"math/big"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/versity/versitygw/iamapi/iamerr"
	"github.com/versity/versitygw/iamapi/policy"
	"github.com/versity/versitygw/iamapi/types"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/config"
)

const (
	// Session length in seconds, as STS bounds it.
	minDuration     = 900
	maxDuration     = 43200
	defaultDuration = 3600

	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// request is what all ways to assume a role have in common.
type request struct {
	roleARN, sessionName, sessionPolicy string
	seconds                             int32
}

func parse(form url.Values) (request, error) {
	r := request{
		roleARN: form.Get("RoleArn"), sessionName: form.Get("RoleSessionName"), sessionPolicy: form.Get("Policy"),
		seconds: defaultDuration,
	}
	switch {
	case r.roleARN == "":
		return r, iamerr.MissingValue("roleArn")
	case r.sessionName == "":
		return r, iamerr.MissingValue("roleSessionName")
	case !sessionName.MatchString(r.sessionName):
		return r, iamerr.InvalidRoleSessionName(r.sessionName)
	case form.Get("PolicyArns.member.1.arn") != "":
		return r, iamerr.UnsupportedParameter("PolicyArns")
	}
	if raw := form.Get("DurationSeconds"); raw != "" {
		n, err := strconv.ParseInt(raw, 10, 32)
		switch {
		case err != nil:
			return r, iamerr.MalformedInput()
		case n < minDuration:
			return r, iamerr.DurationSecondsTooLow(raw)
		case n > maxDuration:
			return r, iamerr.DurationSecondsTooHigh(raw)
		}
		r.seconds = int32(n)
	}
	if r.sessionPolicy == "" {
		return r, nil
	}
	if len(r.sessionPolicy) > policy.MaxSessionPolicyBytes {
		return r, iamerr.ValueTooLong("policy", policy.MaxSessionPolicyBytes)
	}
	if err := policy.Validate("policy", r.sessionPolicy); err != nil {
		return r, err
	}
	return r, policy.Parse(r.sessionPolicy)
}

// packedPolicySize is how much of its quota a session policy takes, in percent.
func (r request) packedPolicySize() *int64 {
	if r.sessionPolicy == "" {
		return nil
	}
	percent := int64(len(r.sessionPolicy) * 100 / policy.MaxSessionPolicyBytes)
	return &percent
}

// newSession is a session that is not stored yet.
func newSession(role *types.Role, req request, now time.Time) types.Session {
	return types.Session{
		AccessKeyId: "ASIA" + randomKey(16), SecretAccessKey: randomText(30), SessionToken: randomText(192),
		RoleArn: role.Arn, RoleName: role.RoleName, RoleID: role.RoleID, RoleSessionName: req.sessionName,
		CreateDate: now, Expiration: now.Add(time.Duration(req.seconds) * time.Second),
		Policy: req.sessionPolicy,
	}
}

func assumed(s types.Session) types.AssumedRoleUser {
	return types.AssumedRoleUser{
		AssumedRoleId: s.RoleID + ":" + s.RoleSessionName,
		Arn:           "arn:aws:sts::" + config.AccountID + ":assumed-role/" + s.RoleName + "/" + s.RoleSessionName,
	}
}

func credentials(s types.Session) types.Credentials {
	return types.Credentials{
		AccessKeyId: s.AccessKeyId, SecretAccessKey: s.SecretAccessKey, SessionToken: s.SessionToken, Expiration: s.Expiration,
	}
}

func randomKey(n int) string {
	key := make([]byte, n)
	for i := range key {
		k, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			panic(err) // the system has no randomness left
		}
		key[i] = alphabet[k.Int64()]
	}
	return string(key)
}

func randomText(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return base64.StdEncoding.EncodeToString(raw)
}
