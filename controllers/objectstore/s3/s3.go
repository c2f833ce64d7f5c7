package s3

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// The defaults of [Config], and limits of S3.
const (
	DefaultCallTimeout  = 30 * time.Second
	DefaultStallTimeout = 30 * time.Second
	DefaultMaxAttempts  = 4
	// DefaultCopyThreshold is the largest object that CopyObject takes.
	DefaultCopyThreshold = 5 << 30
	DefaultCopyPartSize  = 512 << 20

	maxBackoff = 5 * time.Second
	maxParts   = 10_000
	// slowestTransfer is the pace, in bytes per second, below which an upload
	// or a server-side copy counts as hung.
	slowestTransfer = 4 << 20
)

// Config says which bucket and how to reach it. Bucket and Region are
// required; the zero value of everything else is the default.
type Config struct {
	Bucket string
	Region string
	// Endpoint is the base URL of a server other than Amazon S3. It is then
	// addressed by path ("https://host/bucket/key").
	Endpoint string

	// Credentials are used when they are set. Otherwise SharedCredentialsFile
	// with Profile ("default" when empty), and without either the SDK's
	// default chain: environment, web identity, container, instance.
	Credentials           aws.CredentialsProvider
	SharedCredentialsFile string
	Profile               string

	// HTTPClient replaces the SDK's own.
	HTTPClient aws.HTTPClient

	// CallTimeout bounds one call of the port with all its retries; uploads
	// and copies get more in proportion to their size.
	CallTimeout time.Duration
	// StallTimeout bounds one wait for the next bytes of a body.
	StallTimeout time.Duration
	// MaxAttempts bounds how often a request is sent.
	MaxAttempts int

	// CopyThreshold is the size in bytes above which Copy works in parts of
	// CopyPartSize bytes (5 MiB at least).
	CopyThreshold, CopyPartSize int64
}

var _ objectstore.Store = (*store)(nil)

type store struct {
	cfg    Config
	client *awss3.Client
	// retryRefused repeats a request only if the server said that it has not
	// carried it out.
	retryRefused aws.Retryer
}

// New makes a Store of one bucket. It sends no request; use Versioning to learn
// whether the bucket is there.
func New(ctx context.Context, cfg Config) (objectstore.Store, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	loaded, err := cfg.load(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.HTTPClient != nil {
		loaded.HTTPClient = cfg.HTTPClient
	}
	s := &store{cfg: cfg, retryRefused: newRetryer(cfg.MaxAttempts, refusedOnly)}
	s.client = awss3.NewFromConfig(loaded, func(o *awss3.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
			o.UsePathStyle = true
		}
		o.Retryer = newRetryer(cfg.MaxAttempts, nil)
		// Checksums are asked for and sent where they mean something (see Put
		// and Get); by default the SDK would add CRC32 trailers to everything,
		// which other servers than Amazon's do not all understand.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
	})
	return s, nil
}

// load finds the credentials.
func (c *Config) load(ctx context.Context) (aws.Config, error) {
	if c.Credentials != nil {
		// Nothing else is needed: no variable or file of the environment can
		// get in the way.
		return aws.Config{Region: c.Region, Credentials: c.Credentials}, nil
	}
	options := []func(*config.LoadOptions) error{config.WithRegion(c.Region)}
	if c.SharedCredentialsFile != "" {
		options = append(options,
			config.WithSharedCredentialsFiles([]string{c.SharedCredentialsFile}),
			config.WithSharedConfigFiles([]string{}),
			config.WithSharedConfigProfile(c.Profile))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	switch {
	case err != nil && c.SharedCredentialsFile != "":
		return aws.Config{}, fmt.Errorf("bucket %q: cannot read profile %q from the credentials file %s: %w",
			c.Bucket, c.Profile, c.SharedCredentialsFile, err)
	case err != nil:
		return aws.Config{}, fmt.Errorf("bucket %q: cannot load the AWS configuration: %w", c.Bucket, err)
	}
	return loaded, nil
}

// complete fills in the defaults and refuses what cannot work.
func (c *Config) complete() error {
	switch {
	case c.Bucket == "":
		return errors.New("no bucket is configured")
	case c.Region == "":
		return fmt.Errorf("no region is configured for bucket %q", c.Bucket)
	case c.Credentials != nil && c.SharedCredentialsFile != "":
		return fmt.Errorf("bucket %q: credentials and a shared credentials file are both configured; choose one", c.Bucket)
	case c.Profile != "" && c.SharedCredentialsFile == "":
		return fmt.Errorf("bucket %q: profile %q needs a shared credentials file", c.Bucket, c.Profile)
	case c.CopyPartSize != 0 && c.CopyPartSize < 5<<20:
		return fmt.Errorf("bucket %q: copy parts of %d bytes; S3 requires 5 MiB at least", c.Bucket, c.CopyPartSize)
	case c.CopyThreshold > DefaultCopyThreshold || c.CopyPartSize > DefaultCopyThreshold:
		return fmt.Errorf("bucket %q: copy threshold and part size may be 5 GiB at most", c.Bucket)
	case c.CallTimeout < 0 || c.StallTimeout < 0 || c.MaxAttempts < 0 || c.CopyThreshold < 0:
		return fmt.Errorf("bucket %q: timeouts, attempts and sizes may not be negative", c.Bucket)
	}
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("bucket %q: endpoint %q is not an http or https URL", c.Bucket, c.Endpoint)
		}
	}
	setDefault(&c.Profile, "default")
	setDefault(&c.CallTimeout, DefaultCallTimeout)
	setDefault(&c.StallTimeout, DefaultStallTimeout)
	setDefault(&c.MaxAttempts, DefaultMaxAttempts)
	setDefault(&c.CopyThreshold, DefaultCopyThreshold)
	setDefault(&c.CopyPartSize, DefaultCopyPartSize)
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func newRetryer(attempts int, retryables []retry.IsErrorRetryable) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.MaxBackoff = maxBackoff
		if retryables != nil {
			o.Retryables = retryables
		}
	})
}

// refusedOnly are the errors after which a request certainly had no effect: the
// server asked for fewer requests, or was never reached.
var refusedOnly = []retry.IsErrorRetryable{
	retry.NoRetryCanceledError{},
	retry.RetryableErrorCode{Codes: retry.DefaultThrottleErrorCodes},
	retry.IsErrorRetryableFunc(neverSent),
}

// Bucket is the bucket's name.
func (s *store) Bucket() string { return s.cfg.Bucket }

// call gives one call its time: the configured limit, and more for the bytes
// that the server has to move.
func (s *store) call(ctx context.Context, bytes int64) (context.Context, context.CancelFunc) {
	extra := time.Duration(bytes/slowestTransfer) * time.Second
	return context.WithTimeout(ctx, s.cfg.CallTimeout+extra)
}
