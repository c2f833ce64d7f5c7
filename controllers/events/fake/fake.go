// Package fake is a queue of object events in memory. It delivers bodies as a
// real queue would, so that tests go through the decoder, and fails where a
// test tells it to. It may import package events and the standard library only.
package fake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/events"
)

const (
	queue     = "fake"
	maxBatch  = 10
	pollEvery = 5 * time.Millisecond
)

// Queue is a queue in memory. The zero value is not usable; see [New].
type Queue struct {
	wait time.Duration

	mu       sync.Mutex
	messages []*message
	seq      int
	poison   []error
	fault    func(op string) error
}

var _ events.Source = (*Queue)(nil)

// message is one body; inFlight while it was received and not acknowledged.
type message struct {
	id, body string
	inFlight bool
}

// New makes an empty queue whose Receive waits for at most wait.
func New(wait time.Duration) *Queue { return &Queue{wait: wait} }

// Send queues a body, of whatever form, and returns the message's id.
func (q *Queue) Send(body string) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seq++
	m := &message{id: fmt.Sprintf("m%06d", q.seq), body: body}
	q.messages = append(q.messages, m)
	return m.id
}

// Redeliver makes messages that were received and not acknowledged come again,
// as a queue does when their visibility timeout is over.
func (q *Queue) Redeliver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		m.inFlight = false
	}
}

// Len is the number of messages that are not acknowledged.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// Poison returns what was wrong with the bodies that could not be decoded.
func (q *Queue) Poison() []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.poison)
}

// Fail sets a fault for calls; nil removes it. op is a name in package events.
// An error that matches none of that package's sentinel errors is
// ErrUnavailable.
func (q *Queue) Fail(fault func(op string) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fault = fault
}

// Receive returns what is queued, or waits for it.
func (q *Queue) Receive(ctx context.Context) ([]events.Notification, error) {
	deadline := time.NewTimer(q.wait)
	defer deadline.Stop()
	for {
		if err := q.check(ctx, events.OpReceive); err != nil {
			return nil, err
		}
		if batch := q.take(); len(batch) > 0 {
			return batch, nil
		}
		select {
		case <-ctx.Done():
		case <-deadline.C:
			return nil, nil
		case <-time.After(pollEvery):
		}
	}
}

func (q *Queue) check(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return failure(op, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fault == nil {
		return nil
	}
	if err := q.fault(op); err != nil {
		return failure(op, err)
	}
	return nil
}

func (q *Queue) take() []events.Notification {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []events.Notification
	for _, m := range slices.Clone(q.messages) {
		if m.inFlight || len(batch) == maxBatch {
			continue
		}
		changes, err := events.Decode([]byte(m.body))
		if err != nil {
			q.poison = append(q.poison, err)
		}
		if len(changes) == 0 {
			q.remove(m.id)
			continue
		}
		m.inFlight = true
		batch = append(batch, events.NewNotification(m.id, changes, func(ctx context.Context) error {
			if err := q.check(ctx, events.OpAck); err != nil {
				return err
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			q.remove(m.id)
			return nil
		}))
	}
	return batch
}

func (q *Queue) remove(id string) {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m.id == id })
}

func failure(op string, err error) error {
	out := &events.Error{Op: op, Queue: queue, Kind: events.ErrUnavailable, Cause: err}
	for _, kind := range []error{events.ErrDenied, events.ErrNoQueue, events.ErrInvalid} {
		if errors.Is(err, kind) {
			out.Kind = kind
		}
	}
	return out
}
