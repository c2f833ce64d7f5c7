package s3

import (
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// kindOfCode sorts S3's error codes. What is not here is sorted by HTTP status.
var kindOfCode = map[string]error{
	"NoSuchKey":     objectstore.ErrNotFound,
	"NoSuchVersion": objectstore.ErrNotFound,
	"NotFound":      objectstore.ErrNotFound,
	"NoSuchUpload":  objectstore.ErrNotFound,
	"NoSuchBucket":  objectstore.ErrNoBucket,

	"PreconditionFailed":         objectstore.ErrPrecondition,
	"ConditionalRequestConflict": objectstore.ErrPrecondition,

	"AccessDenied":                 objectstore.ErrDenied,
	"AccountProblem":               objectstore.ErrDenied,
	"AllAccessDisabled":            objectstore.ErrDenied,
	"ExpiredToken":                 objectstore.ErrDenied,
	"ExpiredTokenException":        objectstore.ErrDenied,
	"Forbidden":                    objectstore.ErrDenied,
	"InvalidAccessKeyId":           objectstore.ErrDenied,
	"InvalidClientTokenId":         objectstore.ErrDenied,
	"InvalidIdentityToken":         objectstore.ErrDenied,
	"InvalidToken":                 objectstore.ErrDenied,
	"RequestTimeTooSkewed":         objectstore.ErrDenied,
	"SignatureDoesNotMatch":        objectstore.ErrDenied,
	"TokenRefreshRequired":         objectstore.ErrDenied,
	"KMS.DisabledException":        objectstore.ErrDenied,
	"KMS.NotFoundException":        objectstore.ErrDenied,
	"KMS.KMSInvalidStateException": objectstore.ErrDenied,

	"ObjectLocked":               objectstore.ErrLocked,
	"ObjectLockedByBucketPolicy": objectstore.ErrLocked,

	"SlowDown":             objectstore.ErrThrottled,
	"Throttling":           objectstore.ErrThrottled,
	"ThrottlingException":  objectstore.ErrThrottled,
	"RequestLimitExceeded": objectstore.ErrThrottled,
	"TooManyRequests":      objectstore.ErrThrottled,

	"InternalError":      objectstore.ErrUnavailable,
	"ServiceUnavailable": objectstore.ErrUnavailable,
	"RequestTimeout":     objectstore.ErrUnavailable,
	"IncompleteBody":     objectstore.ErrUnavailable,
	// A conflicting operation is under way: the same request works later.
	"OperationAborted": objectstore.ErrUnavailable,
}

// wrap turns what the SDK returned into the port's error. The SDK keeps the
// caller's context.Canceled in the chain.
func (s *store) wrap(op, key string, err error) error {
	if err == nil {
		return nil
	}
	if already := (*objectstore.Error)(nil); errors.As(err, &already) {
		return err
	}
	return &objectstore.Error{Op: op, Bucket: s.cfg.Bucket, Key: key, Kind: kindOf(err), Cause: err}
}

func kindOf(err error) error {
	status := statusOf(err)
	if isDeleteMarker(err, status) {
		return objectstore.ErrNotFound
	}
	if api := smithy.APIError(nil); errors.As(err, &api) {
		if isObjectLock(api, status) {
			return objectstore.ErrLocked
		}
		if isBadVersionID(api) {
			return objectstore.ErrNotFound
		}
		if kind, known := kindOfCode[api.ErrorCode()]; known {
			return kind
		}
	}
	switch {
	case status == http.StatusNotFound:
		return objectstore.ErrNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return objectstore.ErrDenied
	case status == http.StatusPreconditionFailed:
		return objectstore.ErrPrecondition
	case status == http.StatusTooManyRequests:
		return objectstore.ErrThrottled
	case status == http.StatusRequestTimeout:
		return objectstore.ErrUnavailable
	case status >= 300 && status < 500:
		return objectstore.ErrInvalid
	case status >= 500:
		return objectstore.ErrUnavailable
	}
	return kindWithoutAnswer(err)
}

// kindWithoutAnswer sorts errors of requests that no server answered: refused
// by the SDK before they were sent, or lost on the way.
func kindWithoutAnswer(err error) error {
	if params := (smithy.InvalidParamsError{}); errors.As(err, &params) {
		return objectstore.ErrInvalid
	}
	if serialization := (*smithy.SerializationError)(nil); errors.As(err, &serialization) {
		return objectstore.ErrInvalid
	}
	return objectstore.ErrUnavailable
}

// isObjectLock recognizes how a server says that Object Lock or a legal hold
// protects a version. S3 has no code of its own for it: only the message tells
// it from a missing permission, which would be worth retrying.
func isObjectLock(api smithy.APIError, status int) bool {
	if status != http.StatusForbidden && status != http.StatusBadRequest && status != http.StatusConflict {
		return false
	}
	message := strings.ToLower(api.ErrorMessage())
	return strings.Contains(message, "object lock") || strings.Contains(message, "worm protected") ||
		strings.Contains(message, "legal hold")
}

// isBadVersionID recognizes a version id that the server does not know. Amazon
// S3 answers so to a malformed id, others to any id of a key without versions;
// either way there is no such version.
func isBadVersionID(api smithy.APIError) bool {
	return api.ErrorCode() == "InvalidArgument" && strings.Contains(strings.ToLower(api.ErrorMessage()), "version id")
}

// isDeleteMarker recognizes the answer to a read of a delete marker: 405, with
// a header that says so. It has no bytes: not found.
func isDeleteMarker(err error, status int) bool {
	response := (*awshttp.ResponseError)(nil)
	return status == http.StatusMethodNotAllowed && errors.As(err, &response) &&
		response.Response.Header.Get("X-Amz-Delete-Marker") == "true"
}

// statusOf is the HTTP status of the answer; zero when there was none.
func statusOf(err error) int {
	if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) && response.Response != nil {
		return response.HTTPStatusCode()
	}
	return 0
}

func hasCode(err error, codes ...string) bool {
	api := smithy.APIError(nil)
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode() == code {
			return true
		}
	}
	return false
}

// neverSent tells whether the connection could not even be opened.
func neverSent(err error) aws.Ternary {
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}
