package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/pytorch/platform-lane-operator/controllers/events"
	"github.com/pytorch/platform-lane-operator/controllers/events/contract"
	"github.com/pytorch/platform-lane-operator/controllers/events/sqs"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

const visibility = time.Second

func awsConfig(id, secret string) aws.Config {
	return aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
}

func TestContractOnSandbox(t *testing.T) {
	stack, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), Out: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Stop)
	root := awssqs.NewFromConfig(awsConfig(stack.RootAccessKeyID, stack.RootSecretAccessKey), func(o *awssqs.Options) {
		o.BaseEndpoint = &stack.SQSEndpoint
	})
	connect := func(t *testing.T, change func(*sqs.Config)) contract.Queue {
		t.Helper()
		var poison atomic.Int64
		cfg := sqs.Config{
			QueueURL: stack.QueueURL, Endpoint: stack.SQSEndpoint, Wait: time.Second, Visibility: visibility, MaxAttempts: 2,
			OnPoison: func(id string, err error) {
				if id == "" || !errors.Is(err, events.ErrPoison) {
					t.Errorf("poison %q: %v", id, err)
				}
				poison.Add(1)
			},
		}
		if change != nil {
			change(&cfg)
		}
		source, err := sqs.New(awsConfig(stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return contract.Queue{
			Source: source,
			Send: func(ctx context.Context, t *testing.T, body string) {
				t.Helper()
				if _, err := root.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: &stack.QueueURL, MessageBody: &body}); err != nil {
					t.Fatal(err)
				}
			},
			Redeliver: func(*testing.T) { time.Sleep(visibility + 200*time.Millisecond) },
			Poison:    func() int { return int(poison.Load()) },
		}
	}
	contract.Run(t, func(t *testing.T) contract.Queue {
		q := connect(t, nil)
		empty(t, q)
		return q
	})
	t.Run("a real upload arrives", func(t *testing.T) {
		q := connect(t, nil)
		empty(t, q)
		realUpload(t, stack, q)
	})
	t.Run("another queue", func(t *testing.T) {
		q := connect(t, func(c *sqs.Config) { c.QueueURL = stack.QueueURL + "-absent" })
		if _, err := q.Receive(t.Context()); !errors.Is(err, events.ErrNoQueue) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("SQS is down", func(t *testing.T) {
		if err := stack.SetFault(t.Context(), "sqs", sandbox.Fault{Down: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := connect(t, nil).Receive(t.Context()); !errors.Is(err, events.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

// empty acknowledges what earlier tests left.
func empty(t *testing.T, q contract.Queue) {
	t.Helper()
	for quiet := time.Now().Add(visibility + 200*time.Millisecond); time.Now().Before(quiet); {
		batch, err := q.Receive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range batch {
			if err := n.Ack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func realUpload(t *testing.T, stack *sandbox.Stack, q contract.Queue) {
	const key = "whl/spyre/torch-2.9.0+spyre an upload.whl"
	cfg := awsConfig(stack.RootAccessKeyID, stack.RootSecretAccessKey)
	bucket, err := s3.New(t.Context(), s3.Config{Bucket: stack.Bucket, Region: cfg.Region, Endpoint: stack.S3Endpoint, Credentials: cfg.Credentials})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), key, []byte("wheel"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		batch, err := q.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range batch {
			for _, c := range n.Changes {
				if c.Key == key && c.Bucket == stack.Bucket && c.Kind == events.Created && c.Size == 5 {
					return
				}
				t.Errorf("unexpected change %+v", c)
			}
		}
	}
}

func TestErrorKinds(t *testing.T) {
	for code, want := range map[string]error{
		"com.amazonaws.sqs#QueueDoesNotExist":        events.ErrNoQueue,
		"AWS.SimpleQueueService.NonExistentQueue":    events.ErrNoQueue,
		"com.amazon.coral.service#AccessDenied":      events.ErrDenied,
		"AccessDeniedException":                      events.ErrDenied,
		"ExpiredToken":                               events.ErrDenied,
		"InvalidClientTokenId":                       events.ErrDenied,
		"com.amazonaws.sqs#KmsAccessDenied":          events.ErrDenied,
		"com.amazonaws.sqs#RequestThrottled":         events.ErrUnavailable,
		"com.amazonaws.sqs#OverLimit":                events.ErrUnavailable,
		"com.amazonaws.sqs#InvalidAddress":           events.ErrInvalid,
		"com.amazonaws.sqs#ReceiptHandleIsInvalid":   events.ErrInvalid,
		"com.amazonaws.sqs#SomethingThatIsNotKnown!": events.ErrInvalid,
	} {
		t.Run(code, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = fmt.Fprintf(w, `{"__type":%q,"message":"m"}`, code)
			}))
			t.Cleanup(server.Close)
			source, err := sqs.New(awsConfig("id", "secret"), sqs.Config{QueueURL: server.URL + "/0/q", Endpoint: server.URL, MaxAttempts: 1})
			if err != nil {
				t.Fatal(err)
			}
			_, err = source.Receive(t.Context())
			got := (*events.Error)(nil)
			if !errors.As(err, &got) || !errors.Is(got.Kind, want) || got.Op != events.OpReceive || !strings.HasSuffix(got.Queue, "/0/q") {
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []sqs.Config{
		{}, {QueueURL: "q", Wait: 21 * time.Second}, {QueueURL: "q", Wait: time.Millisecond}, {QueueURL: "q", Visibility: 13 * time.Hour},
		{QueueURL: "q", Visibility: 1}, {QueueURL: "q", CallTimeout: -1}, {QueueURL: "q", MaxAttempts: -1},
	} {
		if _, err := sqs.New(aws.Config{}, cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
