package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/pytorch/platform-lane-operator/controllers/events"
)

// The defaults of [Config], and limits of SQS.
const (
	// DefaultWait is the longest poll that SQS allows.
	DefaultWait        = 20 * time.Second
	DefaultVisibility  = 2 * time.Minute
	DefaultCallTimeout = 15 * time.Second
	DefaultMaxAttempts = 4

	maxMessages = 10
	maxBackoff  = 5 * time.Second
)

// Config says which queue and how to reach it. QueueURL is required.
type Config struct {
	QueueURL string
	// Endpoint replaces SQS's own.
	Endpoint string
	// Wait is how long one Receive waits for messages, in whole seconds, 20 s
	// at most.
	Wait time.Duration
	// Visibility is how long a message that was received and not acknowledged
	// stays away, in whole seconds.
	Visibility time.Duration
	// CallTimeout bounds one call with all its retries, beyond Wait.
	CallTimeout time.Duration
	// MaxAttempts bounds how often a request is sent.
	MaxAttempts int
	// OnPoison is told about every message that could not be decoded, before
	// it is removed: count it, and log the id and the error. It may be nil.
	OnPoison func(messageID string, err error)
}

// Source receives from one queue.
type Source struct {
	cfg    Config
	client *awssqs.Client
}

var _ events.Source = (*Source)(nil)

// New makes the adapter with the region, the credentials and the HTTP client of
// loaded. It sends no request.
func New(loaded aws.Config, cfg Config) (*Source, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	client := awssqs.NewFromConfig(loaded, func(o *awssqs.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(cfg.Endpoint)
		}
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = cfg.MaxAttempts
			o.MaxBackoff = maxBackoff
		})
	})
	return &Source{cfg: cfg, client: client}, nil
}

// complete fills in the defaults and refuses what cannot work.
func (c *Config) complete() error {
	switch {
	case c.QueueURL == "":
		return errors.New("no event queue is configured")
	case c.Wait < 0 || c.Wait > DefaultWait || c.Wait%time.Second != 0:
		return fmt.Errorf("queue %s: a wait of %v; it must be whole seconds, %v at most", c.QueueURL, c.Wait, DefaultWait)
	case c.Visibility < 0 || c.Visibility > 12*time.Hour || c.Visibility%time.Second != 0:
		return fmt.Errorf("queue %s: a visibility timeout of %v; it must be whole seconds, 12h at most", c.QueueURL, c.Visibility)
	case c.CallTimeout < 0 || c.MaxAttempts < 0:
		return fmt.Errorf("queue %s: timeout and attempts may not be negative", c.QueueURL)
	}
	setDefault(&c.Wait, DefaultWait)
	setDefault(&c.Visibility, DefaultVisibility)
	setDefault(&c.CallTimeout, DefaultCallTimeout)
	setDefault(&c.MaxAttempts, DefaultMaxAttempts)
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Receive polls the queue once.
func (s *Source) Receive(ctx context.Context) ([]events.Notification, error) {
	limited, cancel := context.WithTimeout(ctx, s.cfg.Wait+s.cfg.CallTimeout)
	defer cancel()
	out, err := s.client.ReceiveMessage(limited, &awssqs.ReceiveMessageInput{
		QueueUrl:            &s.cfg.QueueURL,
		MaxNumberOfMessages: maxMessages,
		WaitTimeSeconds:     int32(s.cfg.Wait / time.Second),       //nolint:gosec // at most 20
		VisibilityTimeout:   int32(s.cfg.Visibility / time.Second), //nolint:gosec // at most 12 hours
	})
	if err != nil {
		return nil, s.failure(events.OpReceive, err)
	}
	notifications := make([]events.Notification, 0, len(out.Messages))
	for _, m := range out.Messages {
		if n, ok := s.notification(ctx, m); ok {
			notifications = append(notifications, n)
		}
	}
	return notifications, nil
}

// notification decodes one message. One without changes is removed right away;
// if that fails it comes again and is removed then.
func (s *Source) notification(ctx context.Context, m types.Message) (events.Notification, bool) {
	id := aws.ToString(m.MessageId)
	acknowledge := func(ctx context.Context) error { return s.remove(ctx, m) }
	changes, err := events.Decode([]byte(aws.ToString(m.Body)))
	if err != nil && s.cfg.OnPoison != nil {
		s.cfg.OnPoison(id, err)
	}
	if len(changes) == 0 {
		_ = acknowledge(ctx)
		return events.Notification{}, false
	}
	return events.NewNotification(id, changes, acknowledge), true
}

func (s *Source) remove(ctx context.Context, m types.Message) error {
	limited, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	_, err := s.client.DeleteMessage(limited, &awssqs.DeleteMessageInput{
		QueueUrl:      &s.cfg.QueueURL,
		ReceiptHandle: m.ReceiptHandle,
	})
	if err != nil {
		return s.failure(events.OpAck, err)
	}
	return nil
}

// failure dresses err as the port promises. The SDK keeps the caller's
// context.Canceled in the chain.
func (s *Source) failure(op string, err error) error {
	return &events.Error{Op: op, Queue: s.cfg.QueueURL, Kind: kindOf(err), Cause: err}
}

// kindOfCode sorts error codes. What is not here is sorted by HTTP status; SQS
// answers 400 to nearly everything.
var kindOfCode = map[string]error{
	"QueueDoesNotExist":                       events.ErrNoQueue,
	"AWS.SimpleQueueService.NonExistentQueue": events.ErrNoQueue,
	"AccessDenied":                            events.ErrDenied,
	"AccessDeniedException":                   events.ErrDenied,
	"ExpiredToken":                            events.ErrDenied,
	"ExpiredTokenException":                   events.ErrDenied,
	"InvalidClientTokenId":                    events.ErrDenied,
	"InvalidSecurity":                         events.ErrDenied,
	"MissingAuthenticationToken":              events.ErrDenied,
	"SignatureDoesNotMatch":                   events.ErrDenied,
	"UnrecognizedClientException":             events.ErrDenied,
	"KmsAccessDenied":                         events.ErrDenied,
	"KmsDisabled":                             events.ErrDenied,
	"KmsNotFound":                             events.ErrDenied,
	"KmsThrottled":                            events.ErrUnavailable,
	"OverLimit":                               events.ErrUnavailable,
	"RequestThrottled":                        events.ErrUnavailable,
	"Throttling":                              events.ErrUnavailable,
	"ThrottlingException":                     events.ErrUnavailable,
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
		return events.ErrDenied
	case status == http.StatusTooManyRequests:
		return events.ErrUnavailable
	case status >= 300 && status < 500:
		return events.ErrInvalid
	}
	return events.ErrUnavailable
}
