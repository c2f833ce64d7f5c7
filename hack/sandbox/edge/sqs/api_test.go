package sqs

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

type gate struct {
	refuse  error
	actions []string
}

func (g *gate) Authorize(_ *http.Request, _ []byte, action, _ string) error {
	g.actions = append(g.actions, action)
	return g.refuse
}

const queueURL = "http://sqs.test/000000000000/events"

type fixture struct {
	queue  *Queue
	gate   *gate
	client *sdk.Client
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{queue: NewQueue(), gate: &gate{}}
	server := httptest.NewServer(New(f.queue, queueURL, "arn:aws:sqs:us-east-1:000000000000:events", f.gate, &calls.Counter{}, &fault.Board{}))
	t.Cleanup(server.Close)
	f.client = sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", ""),
	})
	return f
}

func (f *fixture) receive(t *testing.T, wait int32, visibility int32) []types.Message {
	t.Helper()
	out, err := f.client.ReceiveMessage(context.Background(), &sdk.ReceiveMessageInput{
		QueueUrl: aws.String(queueURL), MaxNumberOfMessages: 10, WaitTimeSeconds: wait, VisibilityTimeout: visibility,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Messages
}

func TestAMessageIsHiddenUntilItsTimeoutAndGoneOnceDeleted(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	f.queue.now = func() time.Time { return now }
	// The SDK checks the body's checksum in both directions.
	if _, err := f.client.SendMessage(context.Background(), &sdk.SendMessageInput{QueueUrl: aws.String(queueURL), MessageBody: aws.String("hello")}); err != nil {
		t.Fatal(err)
	}
	first := f.receive(t, 0, 30)
	if len(first) != 1 || *first[0].Body != "hello" {
		t.Fatalf("received %v", first)
	}
	if again := f.receive(t, 0, 30); len(again) != 0 {
		t.Fatalf("a hidden message was received: %v", again)
	}
	now = now.Add(31 * time.Second)
	second := f.receive(t, 0, 30)
	if len(second) != 1 || second[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("after the timeout: %v", second)
	}
	if *second[0].ReceiptHandle == *first[0].ReceiptHandle {
		t.Error("the receipt handle did not change")
	}
	if _, err := f.client.DeleteMessage(context.Background(), &sdk.DeleteMessageInput{QueueUrl: aws.String(queueURL), ReceiptHandle: second[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if left := f.receive(t, 0, 30); len(left) != 0 {
		t.Errorf("a deleted message was received: %v", left)
	}
}

func TestLongPollingWaitsForAMessage(t *testing.T) {
	f := newFixture(t)
	time.AfterFunc(100*time.Millisecond, func() { f.queue.Send("late", 0) })
	started := time.Now()
	if got := f.receive(t, 10, 30); len(got) != 1 || *got[0].Body != "late" {
		t.Fatalf("received %v", got)
	}
	if waited := time.Since(started); waited > 5*time.Second {
		t.Errorf("waited %s for a message that came after 0.1 s", waited)
	}
}

func TestAHiddenMessageEndsALongPoll(t *testing.T) {
	f := newFixture(t)
	f.queue.Send("x", 0)
	f.receive(t, 0, 1)
	if got := f.receive(t, 10, 30); len(got) != 1 {
		t.Errorf("the message that showed again was not received: %v", got)
	}
}

func TestChangeVisibility(t *testing.T) {
	f := newFixture(t)
	f.queue.Send("x", 0)
	m := f.receive(t, 0, 600)[0]
	if _, err := f.client.ChangeMessageVisibility(context.Background(), &sdk.ChangeMessageVisibilityInput{
		QueueUrl: aws.String(queueURL), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0,
	}); err != nil {
		t.Fatal(err)
	}
	if got := f.receive(t, 0, 30); len(got) != 1 {
		t.Errorf("given back, but received %v", got)
	}
}

func TestBatches(t *testing.T) {
	f := newFixture(t)
	for range 12 {
		f.queue.Send("x", 0)
	}
	got := f.receive(t, 0, 30)
	if len(got) != 10 {
		t.Fatalf("received %d, want the limit of 10", len(got))
	}
	entries := []types.DeleteMessageBatchRequestEntry{{Id: aws.String("bad"), ReceiptHandle: aws.String("")}}
	for _, m := range got[:9] {
		entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: m.MessageId, ReceiptHandle: m.ReceiptHandle})
	}
	out, err := f.client.DeleteMessageBatch(context.Background(), &sdk.DeleteMessageBatchInput{QueueUrl: aws.String(queueURL), Entries: entries})
	if err != nil || len(out.Successful) != 9 || len(out.Failed) != 1 || *out.Failed[0].Id != "bad" {
		t.Fatalf("%+v, %v", out, err)
	}
	attributes, err := f.client.GetQueueAttributes(context.Background(), &sdk.GetQueueAttributesInput{QueueUrl: aws.String(queueURL)})
	if err != nil || attributes.Attributes["ApproximateNumberOfMessages"] != "2" || attributes.Attributes["ApproximateNumberOfMessagesNotVisible"] != "1" {
		t.Errorf("%v, %v; want 2 visible and 1 in flight", attributes, err)
	}
	if action := f.gate.actions[1]; action != "sqs:DeleteMessage" {
		t.Errorf("the batch was authorized as %s", action)
	}
}

func TestErrors(t *testing.T) {
	f := newFixture(t)
	_, err := f.client.ReceiveMessage(context.Background(), &sdk.ReceiveMessageInput{QueueUrl: aws.String(queueURL + "-other")})
	var missing *types.QueueDoesNotExist
	if !errors.As(err, &missing) {
		t.Errorf("another queue: %v", err)
	}
	f.gate.refuse = errors.New("not allowed")
	_, err = f.client.ReceiveMessage(context.Background(), &sdk.ReceiveMessageInput{QueueUrl: aws.String(queueURL)})
	var apiErr smithy.APIError
	if !errors.As(err, &apiErr) || apiErr.ErrorCode() != "AccessDeniedException" && apiErr.ErrorCode() != "AccessDenied" {
		t.Errorf("refused by policy: %v", err)
	}
}
