package cloudfront

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awscloudfront "github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/smithy-go"

	"github.com/pytorch/platform-lane-operator/controllers/cdn"
)

// The defaults of [Config].
const (
	DefaultCallTimeout = 30 * time.Second
	DefaultMaxAttempts = 4

	// CloudFront is a global service whose requests are signed for this region.
	region     = "us-east-1"
	maxBackoff = 5 * time.Second
)

// Config says which distribution and how to reach it. DistributionID is
// required.
type Config struct {
	DistributionID string
	// Endpoint replaces CloudFront's own.
	Endpoint string
	// CallTimeout bounds one call with all its retries.
	CallTimeout time.Duration
	// MaxAttempts bounds how often a request is sent.
	MaxAttempts int
}

// CloudFront invalidates paths of one distribution.
type CloudFront struct {
	cfg    Config
	client *awscloudfront.Client
}

var _ cdn.CDN = (*CloudFront)(nil)

// New makes the adapter with the credentials and the HTTP client of loaded. It
// sends no request.
func New(loaded aws.Config, cfg Config) (*CloudFront, error) {
	if cfg.DistributionID == "" {
		return nil, errors.New("no CloudFront distribution is configured")
	}
	if cfg.CallTimeout < 0 || cfg.MaxAttempts < 0 {
		return nil, fmt.Errorf("distribution %s: timeout and attempts may not be negative", cfg.DistributionID)
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = DefaultCallTimeout
	}
	if cfg.MaxAttempts == 0 {
		cfg.MaxAttempts = DefaultMaxAttempts
	}
	client := awscloudfront.NewFromConfig(loaded, func(o *awscloudfront.Options) {
		o.Region = region
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = cfg.MaxAttempts
			o.MaxBackoff = maxBackoff
		})
	})
	return &CloudFront{cfg: cfg, client: client}, nil
}

// Invalidate asks for paths to be dropped; token is the CallerReference.
func (c *CloudFront) Invalidate(ctx context.Context, token string, paths []string) (cdn.Invalidation, error) {
	if err := cdn.Check(token, paths); err != nil {
		return cdn.Invalidation{}, c.failure(cdn.OpInvalidate, cdn.ErrInvalid, err)
	}
	limited, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	out, err := c.client.CreateInvalidation(limited, &awscloudfront.CreateInvalidationInput{
		DistributionId: &c.cfg.DistributionID,
		InvalidationBatch: &types.InvalidationBatch{
			CallerReference: &token,
			Paths: &types.Paths{
				Items:    paths,
				Quantity: aws.Int32(int32(len(paths))), //nolint:gosec // CloudFront takes 3,000
			},
		},
	})
	if err != nil {
		return cdn.Invalidation{}, c.failure(cdn.OpInvalidate, kindOf(err), err)
	}
	return c.invalidation(cdn.OpInvalidate, out.Invalidation)
}

// Status tells how far the invalidation is.
func (c *CloudFront) Status(ctx context.Context, id string) (cdn.Invalidation, error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.CallTimeout)
	defer cancel()
	out, err := c.client.GetInvalidation(limited, &awscloudfront.GetInvalidationInput{
		DistributionId: &c.cfg.DistributionID,
		Id:             &id,
	})
	if err != nil {
		return cdn.Invalidation{}, c.failure(cdn.OpStatus, kindOf(err), err)
	}
	return c.invalidation(cdn.OpStatus, out.Invalidation)
}

// invalidation reads an answer. Only the word "Completed" means completed.
func (c *CloudFront) invalidation(op string, in *types.Invalidation) (cdn.Invalidation, error) {
	if in == nil || aws.ToString(in.Id) == "" {
		return cdn.Invalidation{}, c.failure(op, cdn.ErrUnavailable, errors.New("the answer names no invalidation"))
	}
	out := cdn.Invalidation{ID: *in.Id, State: cdn.InProgress, Created: aws.ToTime(in.CreateTime).UTC()}
	if aws.ToString(in.Status) == string(cdn.Completed) {
		out.State = cdn.Completed
	}
	return out, nil
}

// failure dresses err as the port promises. The SDK keeps the caller's
// context.Canceled in the chain.
func (c *CloudFront) failure(op string, kind, err error) error {
	return &cdn.Error{Op: op, Distribution: c.cfg.DistributionID, Kind: kind, Cause: err}
}

// kindOfCode sorts CloudFront's error codes. What is not here is sorted by HTTP
// status.
var kindOfCode = map[string]error{
	"TooManyInvalidationsInProgress": cdn.ErrThrottled,
	"Throttling":                     cdn.ErrThrottled,
	"ThrottlingException":            cdn.ErrThrottled,
	"RequestLimitExceeded":           cdn.ErrThrottled,
	"NoSuchDistribution":             cdn.ErrNoDistribution,
	"NoSuchInvalidation":             cdn.ErrNotFound,
	"ExpiredToken":                   cdn.ErrDenied,
	"ExpiredTokenException":          cdn.ErrDenied,
	"InvalidClientTokenId":           cdn.ErrDenied,
	"UnrecognizedClientException":    cdn.ErrDenied,
	"SignatureDoesNotMatch":          cdn.ErrDenied,
}

func kindOf(err error) error {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		if kind, known := kindOfCode[api.ErrorCode()]; known {
			return kind
		}
	}
	status := 0
	if response := (*awshttp.ResponseError)(nil); errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return cdn.ErrDenied
	case status == http.StatusTooManyRequests:
		return cdn.ErrThrottled
	case status >= 300 && status < 500:
		return cdn.ErrInvalid
	}
	if params := (smithy.InvalidParamsError{}); errors.As(err, &params) {
		return cdn.ErrInvalid
	}
	return cdn.ErrUnavailable
}
