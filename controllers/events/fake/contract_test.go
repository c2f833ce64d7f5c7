package fake_test

import (
	"context"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/events/contract"
	"github.com/pytorch/platform-lane-operator/controllers/events/fake"
)

func TestContract(t *testing.T) {
	contract.Run(t, func(*testing.T) contract.Queue {
		q := fake.New(30 * time.Millisecond)
		return contract.Queue{
			Source:    q,
			Send:      func(_ context.Context, _ *testing.T, body string) { q.Send(body) },
			Redeliver: func(*testing.T) { q.Redeliver() },
			Poison:    func() int { return len(q.Poison()) },
		}
	})
}
