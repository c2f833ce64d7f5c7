package fake_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/cdn/contract"
	"github.com/pytorch/platform-lane-operator/controllers/cdn/fake"
)

func TestContract(t *testing.T) {
	contract.Run(t, func(*testing.T) contract.Server {
		var skew atomic.Int64
		c := fake.New(func() time.Time { return time.Now().Add(time.Duration(skew.Load())) })
		return contract.Server{CDN: c, Hold: func(_ *testing.T, hold bool) {
			if hold {
				c.SetDelay(time.Hour)
				return
			}
			c.SetDelay(0)
			skew.Store(int64(2 * time.Hour))
		}}
	})
}
