package iam

import (
	"errors"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/pytorch/platform-lane-operator/controllers/accesskey"
)

// kindOfCode sorts IAM's error codes. What is not here is sorted by HTTP status.
var kindOfCode = map[string]error{
	"NoSuchEntity":   accesskey.ErrNotFound,
	"LimitExceeded":  accesskey.ErrTooMany,
	"DeleteConflict": accesskey.ErrInUse,

	"AccessDenied":                accesskey.ErrDenied,
	"AccessDeniedException":       accesskey.ErrDenied,
	"ExpiredToken":                accesskey.ErrDenied,
	"ExpiredTokenException":       accesskey.ErrDenied,
	"InvalidClientTokenId":        accesskey.ErrDenied,
	"SignatureDoesNotMatch":       accesskey.ErrDenied,
	"UnrecognizedClientException": accesskey.ErrDenied,

	"Throttling":           accesskey.ErrThrottled,
	"ThrottlingException":  accesskey.ErrThrottled,
	"RequestLimitExceeded": accesskey.ErrThrottled,

	"ConcurrentModification":        accesskey.ErrUnavailable,
	"EntityTemporarilyUnmodifiable": accesskey.ErrUnavailable,
	"ServiceFailure":                accesskey.ErrUnavailable,
	// The user was not there a moment ago: made by another replica, or not yet
	// seen by the read.
	"EntityAlreadyExists": accesskey.ErrUnavailable,
}

// failure dresses err as the port promises; nil stays nil. The SDK keeps the
// caller's context.Canceled in the chain.
func failure(op, user string, err error) error {
	if err == nil {
		return nil
	}
	return &accesskey.Error{Op: op, User: user, Kind: kindOf(err), Cause: err}
}

// ignoreGone is nil for what is not there any more.
func ignoreGone(err error) error {
	if errors.Is(kindOf(err), accesskey.ErrNotFound) {
		return nil
	}
	return err
}

func kindOf(err error) error {
	if err == nil {
		return nil
	}
	if api := smithy.APIError(nil); errors.As(err, &api) {
		if kind, known := kindOfCode[api.ErrorCode()]; known {
			return kind
		}
	}
	status := 0
	if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) && response.Response != nil {
		status = response.HTTPStatusCode()
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return accesskey.ErrDenied
	case status == http.StatusTooManyRequests:
		return accesskey.ErrThrottled
	case status >= 300 && status < 500:
		return accesskey.ErrInvalid
	}
	if params := (smithy.InvalidParamsError{}); errors.As(err, &params) {
		return accesskey.ErrInvalid
	}
	return accesskey.ErrUnavailable
}
