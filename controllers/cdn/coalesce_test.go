package cdn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/cdn/fake"
)

func TestCoalescerMerges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := fake.New(nil)
		c := cdn.NewCoalescer(next, time.Second)
		const callers = 100
		got := make([]cdn.Invalidation, callers)
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				var err error
				got[i], err = c.Invalidate(t.Context(), fmt.Sprint("yank-", i), []string{"/whl/spyre/", fmt.Sprintf("/whl/spyre/torch-%03d*", i)})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := next.Calls(cdn.OpInvalidate); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		if want := []string{"/whl/spyre/*"}; !slices.Equal(next.Paths(), want) {
			t.Errorf("paths %q, want %q", next.Paths(), want)
		}
		for _, inv := range got {
			if inv.ID != got[0].ID || inv.ID == "" {
				t.Fatalf("callers got %q and %q", got[0].ID, inv.ID)
			}
		}

		// The next window is another request; a repetition costs none.
		later, err := c.Invalidate(t.Context(), "later", []string{"/whl/spyre/"})
		if err != nil || later.ID == got[0].ID {
			t.Errorf("later: %v %v", later, err)
		}
		again, err := c.Invalidate(t.Context(), "yank-7", []string{"/whl/spyre/", "/whl/spyre/torch-007*"})
		if err != nil || again.ID != got[7].ID {
			t.Errorf("again: %v %v", again, err)
		}
		if n := next.Calls(cdn.OpInvalidate); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
}

func TestCoalescerFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := fake.New(nil)
		c := cdn.NewCoalescer(next, time.Second)
		next.FailBefore(func(string) error { return cdn.ErrThrottled })
		var group sync.WaitGroup
		for i := range 3 {
			group.Go(func() {
				if _, err := c.Invalidate(t.Context(), fmt.Sprint(i), []string{"/a"}); !errors.Is(err, cdn.ErrThrottled) {
					t.Errorf("got %v, want throttled", err)
				}
			})
		}
		group.Wait()
		// A failure is not remembered.
		next.FailBefore(nil)
		if _, err := c.Invalidate(t.Context(), "0", []string{"/a"}); err != nil {
			t.Error(err)
		}
		if n := next.Calls(cdn.OpInvalidate); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
		if _, err := c.Invalidate(t.Context(), "0", []string{"no slash"}); !errors.Is(err, cdn.ErrInvalid) {
			t.Errorf("got %v, want invalid", err)
		}
	})
}

func TestCoalescerLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := fake.New(nil)
		c := cdn.NewCoalescer(next, time.Second)
		next.FailAfter(func(string) error { return errors.New("connection reset") })
		// ask sends two requests, in the given order.
		ask := func(want error, tokens ...string) {
			var group sync.WaitGroup
			for _, token := range tokens {
				group.Go(func() {
					if _, err := c.Invalidate(t.Context(), token, []string{"/b", "/" + token}); !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
				})
				synctest.Wait()
			}
			group.Wait()
		}
		ask(cdn.ErrUnavailable, "one", "two")
		next.FailAfter(nil)
		ask(nil, "two", "one")
		// The same requests made the same token: the CDN has them once.
		if n := len(next.Requests()); n != 1 {
			t.Errorf("the CDN has %d invalidations, want 1", n)
		}
	})
}

// One caller that gives up takes nobody else along.
func TestCoalescerCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		next := fake.New(nil)
		c := cdn.NewCoalescer(next, time.Second)
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := c.Invalidate(impatient, "impatient", []string{"/a"}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want deadline exceeded", err)
			}
		})
		synctest.Wait()
		if _, err := c.Invalidate(t.Context(), "patient", []string{"/b"}); err != nil {
			t.Error(err)
		}
		group.Wait()
		if want := []string{"/a", "/b"}; !slices.Equal(next.Paths(), want) {
			t.Errorf("paths %q, want %q", next.Paths(), want)
		}
	})
}

func TestNone(t *testing.T) {
	made, err := cdn.None{}.Invalidate(t.Context(), "t", []string{"/a"})
	if err != nil || made.State != cdn.Completed {
		t.Fatal(made, err)
	}
	now, err := cdn.None{}.Status(t.Context(), made.ID)
	if err != nil || now.State != cdn.Completed {
		t.Fatal(now, err)
	}
}
