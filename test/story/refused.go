package story

import (
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
)

// refusedBy demands that the server refused with one of these codes.
func refusedBy(err error, codes ...string) (string, error) {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return "", fmt.Errorf("expected a refusal, got: %v", err) //nolint:errorlint // nil is one of the cases.
	}
	for _, code := range codes {
		if api.ErrorCode() == code {
			return code, nil
		}
	}
	return "", fmt.Errorf("expected %v, got %w", codes, err)
}
