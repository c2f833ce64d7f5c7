// Package contract is what every events.Source has to do, as tests: the fake
// runs them in memory, the SQS adapter against a server. It is imported by tests
// only and may import package events and the standard library.
package contract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/events"
)

// Queue is an empty queue to test on.
type Queue struct {
	events.Source
	// Send puts a body into the queue.
	Send func(ctx context.Context, t *testing.T, body string)
	// Redeliver returns once messages that were received and not acknowledged
	// can come again.
	Redeliver func(t *testing.T)
	// Poison is the number of bodies that were reported as undecodable.
	Poison func() int
}

// Run runs the whole contract. connect is called for each test.
func Run(t *testing.T, connect func(t *testing.T) Queue) {
	for _, test := range []struct {
		name string
		run  func(context.Context, *testing.T, Queue)
	}{
		{"what was sent is received", receives},
		{"an acknowledged message is gone", acknowledges},
		{"poison and test events are removed", removesPoison},
		{"an empty queue is not an error", empty},
		{"giving up stays visible", givingUp},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			t.Cleanup(cancel)
			test.run(ctx, t, connect(t))
		})
	}
}

func body(key string) string {
	return fmt.Sprintf(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":%q}}}]}`, key)
}

// drain receives until n messages came or two calls in a row found none (a call
// that only found poison returns none too), and returns them by key.
func drain(ctx context.Context, t *testing.T, q Queue, n int) map[string]events.Notification {
	t.Helper()
	got := map[string]events.Notification{}
	for none := 0; len(got) < n && none < 2; none++ {
		batch, err := q.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) > 0 {
			none = -1
		}
		for _, n := range batch {
			if n.ID == "" || len(n.Changes) != 1 {
				t.Fatalf("notification %+v", n)
			}
			got[n.Changes[0].Key] = n
		}
	}
	return got
}

func keys(got map[string]events.Notification) string {
	var out []string
	for key := range got {
		out = append(out, key)
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

func receives(ctx context.Context, t *testing.T, q Queue) {
	var want []string
	for i := range 12 { // more than one batch
		key := fmt.Sprintf("whl/%02d a", i)
		want = append(want, key)
		q.Send(ctx, t, body(fmt.Sprintf("whl/%02d+a", i)))
	}
	got := drain(ctx, t, q, len(want))
	if keys(got) != fmt.Sprint(want) {
		t.Errorf("got %s, want %s", keys(got), want)
	}
	for _, n := range got {
		if n.Changes[0].Kind != events.Created || n.Changes[0].Bucket != "b" {
			t.Errorf("change %+v", n.Changes[0])
		}
	}
}

func acknowledges(ctx context.Context, t *testing.T, q Queue) {
	q.Send(ctx, t, body("done"))
	q.Send(ctx, t, body("crashed"))
	got := drain(ctx, t, q, 2)
	if keys(got) != "[crashed done]" {
		t.Fatalf("got %s", keys(got))
	}
	ack(ctx, t, got["done"])
	q.Redeliver(t)
	again := drain(ctx, t, q, 1)
	if keys(again) != "[crashed]" {
		t.Fatalf("came again: %s, want [crashed]", keys(again))
	}
	ack(ctx, t, again["crashed"])
	wantNothing(ctx, t, q)
}

func ack(ctx context.Context, t *testing.T, n events.Notification) {
	t.Helper()
	if err := n.Ack(ctx); err != nil {
		t.Fatal(err)
	}
}

// wantNothing checks that no message is left, not even for later.
func wantNothing(ctx context.Context, t *testing.T, q Queue) {
	t.Helper()
	q.Redeliver(t)
	if got := drain(ctx, t, q, 1); len(got) != 0 {
		t.Errorf("came again: %s", keys(got))
	}
}

func removesPoison(ctx context.Context, t *testing.T, q Queue) {
	q.Send(ctx, t, "garbage")
	q.Send(ctx, t, `{"Service":"Amazon S3","Event":"s3:TestEvent"}`)
	q.Send(ctx, t, body("good"))
	got := drain(ctx, t, q, 1)
	if keys(got) != "[good]" {
		t.Fatalf("got %s", keys(got))
	}
	ack(ctx, t, got["good"])
	wantNothing(ctx, t, q)
	if n := q.Poison(); n != 1 {
		t.Errorf("%d bodies reported as poison, want 1", n)
	}
}

func empty(ctx context.Context, t *testing.T, q Queue) {
	got, err := q.Receive(ctx)
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func givingUp(ctx context.Context, t *testing.T, q Queue) {
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	for short.Err() == nil { // it may answer "none" before
		if _, err := q.Receive(short); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("while waiting: %v", err)
		}
	}
	_, err := q.Receive(short)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, events.ErrUnavailable) {
		t.Errorf("after the caller gave up: %v", err)
	}
	q.Send(ctx, t, body("later"))
	if got := drain(ctx, t, q, 1); keys(got) != "[later]" {
		t.Errorf("got %s", keys(got))
	}
}
