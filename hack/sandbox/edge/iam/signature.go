package iam

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/versity/versitygw/iamapi/iamerr"
)

const (
	clockSkew  = 15 * time.Minute
	timeFormat = "20060102T150405Z"
)

// authorization is a parsed SigV4 Authorization header.
type authorization struct {
	accessKeyID, region, service string
	signedHeaders                []string
	signature                    string
	at                           time.Time
}

func parseAuthorization(r *http.Request) (authorization, error) {
	missing := iamerr.GetAPIError(iamerr.ErrMissingAuthenticationToken)
	rest, ok := strings.CutPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		return authorization{}, missing
	}
	var a authorization
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 {
				return authorization{}, missing
			}
			a.accessKeyID, a.region, a.service = scope[0], scope[2], scope[3]
		case "SignedHeaders":
			a.signedHeaders = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		}
	}
	at, err := time.Parse(timeFormat, r.Header.Get("X-Amz-Date"))
	if err != nil {
		return authorization{}, iamerr.IncompleteSignatureInvalidXAmzDate(r.Header.Get("X-Amz-Date"))
	}
	a.at = at
	return a, nil
}

// verify signs the same request with the SDK's own signer and compares.
func (a authorization) verify(r *http.Request, body []byte, secret string) error {
	mismatch := iamerr.GetAPIError(iamerr.ErrSignatureDoesNotMatch)
	if age := time.Since(a.at); age > clockSkew || age < -clockSkew || !slices.Contains(a.signedHeaders, "host") {
		return mismatch
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), nil)
	if err != nil {
		return mismatch
	}
	for _, name := range a.signedHeaders {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = int64(len(body))
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: a.accessKeyID, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(r.Context(), creds, again, hex.EncodeToString(sum[:]), a.service, a.region, a.at); err != nil {
		return mismatch
	}
	expected, err := parseAuthorization(again)
	if err != nil || subtle.ConstantTimeCompare([]byte(expected.signature), []byte(a.signature)) != 1 {
		return mismatch
	}
	return nil
}
