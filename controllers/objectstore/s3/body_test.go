package s3_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/s3"
)

// Our own limit ends a call that hangs, and the caller can tell that it was not
// his.
func TestSlowServer(t *testing.T) {
	release := make(chan struct{})
	store, _ := stub(t, func(c *s3.Config) { c.CallTimeout = 50 * time.Millisecond }, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	_, headErr := store.Head(t.Context(), "k")
	_, _, getErr := store.Get(t.Context(), "k", objectstore.GetOptions{})
	for _, err := range []error{headErr, getErr} {
		if !errors.Is(err, objectstore.ErrUnavailable) || t.Context().Err() != nil {
			t.Errorf("got %v", err)
		}
	}
}

// A body may take longer than a call, as long as bytes keep coming.
func TestBodies(t *testing.T) {
	limits := func(c *s3.Config) {
		c.CallTimeout, c.StallTimeout = 300*time.Millisecond, 300*time.Millisecond
	}
	trickle := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "6")
			for range n {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(100 * time.Millisecond)
			}
			if n < 6 {
				<-r.Context().Done() // hang
			}
		}
	}
	t.Run("slow but steady", func(t *testing.T) {
		store, _ := stub(t, limits, trickle(6))
		data, _, err := objectstore.ReadAll(t.Context(), store, "k", 0)
		if err != nil || string(data) != "xxxxxx" {
			t.Errorf("%q, %v", data, err)
		}
	})
	t.Run("stalled", func(t *testing.T) {
		store, _ := stub(t, limits, trickle(2))
		_, _, err := objectstore.ReadAll(t.Context(), store, "k", 0)
		if !errors.Is(err, objectstore.ErrUnavailable) || !strings.Contains(err.Error(), "stalled") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a slow reader is not a stalled server", func(t *testing.T) {
		store, _ := stub(t, limits, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(600 * time.Millisecond)
			_, _ = io.WriteString(w, "b")
		})
		body, _, err := store.Get(t.Context(), "k", objectstore.GetOptions{})
		must(t, err)
		_, err = io.ReadFull(body, make([]byte, 1))
		must(t, err)
		time.Sleep(500 * time.Millisecond)
		if data, err := io.ReadAll(body); err != nil || string(data) != "b" {
			t.Errorf("%q, %v", data, err)
		}
		must(t, body.Close())
	})
	t.Run("the caller gives up", func(t *testing.T) {
		store, _ := stub(t, limits, trickle(2))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(150*time.Millisecond, cancel)
		_, _, err := objectstore.ReadAll(ctx, store, "k", 0)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, objectstore.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of unknown length", func(t *testing.T) {
		store, _ := stub(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "abc")
		})
		if _, _, err := store.Get(t.Context(), "k", objectstore.GetOptions{}); !errors.Is(err, objectstore.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cut short", func(t *testing.T) {
		store, _ := stub(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "6")
			_, _ = io.WriteString(w, "abc")
			_ = http.NewResponseController(w).Flush()
			dropConnection(w, nil)
		})
		_, _, err := objectstore.ReadAll(t.Context(), store, "k", 0)
		if !errors.Is(err, objectstore.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("other bytes than the checksum says", func(t *testing.T) {
		sum := sha256.Sum256([]byte("right"))
		store, _ := stub(t, nil, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
				t.Error("no checksum was asked for")
			}
			w.Header().Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
			_, _ = io.WriteString(w, "wrong")
		})
		_, _, err := objectstore.ReadAll(t.Context(), store, "k", 0)
		if !errors.Is(err, objectstore.ErrUnavailable) || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("got %v", err)
		}
	})
}
