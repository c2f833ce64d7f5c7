// Package sqs is one queue that speaks the AWS JSON protocol of SQS, and the
// webhook that turns versitygw's notifications into the messages S3 would send.
// Messages live in memory. Standard library only.
package sqs

import (
	"context"
	"crypto/md5" // the protocol's checksum, not a protection
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"
)

const (
	defaultVisibility = 30 * time.Second
	// maxMessages bounds the memory; the oldest are dropped, as the real queue
	// drops what is older than its retention.
	maxMessages = 200_000
)

type message struct {
	id, body, receipt string
	sent, visibleAt   time.Time
	received          int
}

func (m *message) md5() string {
	sum := md5.Sum([]byte(m.body))
	return hex.EncodeToString(sum[:])
}

// Queue is a standard queue: at least once, in no guaranteed order.
type Queue struct {
	mu       sync.Mutex
	messages []*message
	arrived  chan struct{}
	now      func() time.Time
}

// NewQueue returns an empty queue.
func NewQueue() *Queue {
	return &Queue{arrived: make(chan struct{}), now: time.Now}
}

// Send adds a message after delay and returns its id and body checksum.
func (q *Queue) Send(body string, delay time.Duration) (id, checksum string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	m := &message{id: rand.Text(), body: body, sent: now, visibleAt: now.Add(delay)}
	q.messages = append(q.messages, m)
	if len(q.messages) > maxMessages {
		q.messages = q.messages[len(q.messages)-maxMessages:]
	}
	close(q.arrived)
	q.arrived = make(chan struct{})
	return m.id, m.md5()
}

// receive takes up to limit visible messages and hides them, waiting for one if
// there is none. The copies are safe to read.
func (q *Queue) receive(ctx context.Context, limit int, visibility, wait time.Duration) []message {
	deadline := time.Now().Add(wait)
	for {
		taken, arrived, next := q.take(limit, visibility)
		left := time.Until(deadline)
		if len(taken) > 0 || left <= 0 {
			return taken
		}
		timer := time.NewTimer(min(left, next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-arrived:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take also returns what tells of new messages, and how long until a hidden one
// shows again.
func (q *Queue) take(limit int, visibility time.Duration) ([]message, <-chan struct{}, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now, next := q.now(), time.Hour
	var taken []message
	for _, m := range q.messages {
		if m.visibleAt.After(now) {
			next = min(next, m.visibleAt.Sub(now))
			continue
		}
		if len(taken) == limit {
			break
		}
		m.receipt, m.received, m.visibleAt = rand.Text(), m.received+1, now.Add(visibility)
		taken = append(taken, *m)
	}
	return taken, q.arrived, max(next, time.Millisecond)
}

// remove deletes the message that was received under this handle. A message
// that is gone already is no error, as in SQS.
func (q *Queue) remove(receipt string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, m := range q.messages {
		if m.receipt == receipt {
			q.messages = append(q.messages[:i:i], q.messages[i+1:]...)
			return
		}
	}
}

// hide changes when a received message shows again; false if it is not in flight.
func (q *Queue) hide(receipt string, visibility time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		if receipt != "" && m.receipt == receipt && m.visibleAt.After(q.now()) {
			m.visibleAt = q.now().Add(visibility)
			close(q.arrived)
			q.arrived = make(chan struct{})
			return true
		}
	}
	return false
}

// depth counts visible, hidden and delayed messages.
func (q *Queue) depth() (visible, inFlight, delayed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	for _, m := range q.messages {
		switch {
		case !m.visibleAt.After(now):
			visible++
		case m.received > 0:
			inFlight++
		default:
			delayed++
		}
	}
	return visible, inFlight, delayed
}

// Purge forgets every message.
func (q *Queue) Purge() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = nil
}
