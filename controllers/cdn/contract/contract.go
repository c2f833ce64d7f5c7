// Package contract is what every cdn.CDN has to do, as tests: the fake runs
// them in memory, the CloudFront adapter against a server. It is imported by
// tests only and may import package cdn and the standard library.
package contract

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pytorch/platform-lane-operator/controllers/cdn"
)

// Server is a distribution to test on, without invalidations in progress.
type Server struct {
	CDN cdn.CDN
	// Hold keeps invalidations in progress until it is called with false.
	Hold func(t *testing.T, hold bool)
}

// Run runs the whole contract. connect is called for each test.
func Run(t *testing.T, connect func(t *testing.T) Server) {
	for name, test := range map[string]func(context.Context, *testing.T, Server){
		"an invalidation completes":       completes,
		"a repetition is the same":        repeats,
		"a token stands for its paths":    tokenReused,
		"unknown invalidations":           unknown,
		"bad requests":                    refuses,
		"more wildcards than the quota":   quota,
		"giving up stays visible":         givingUp,
		"the paths of real keys are fine": realPaths,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			t.Cleanup(cancel)
			test(ctx, t, connect(t))
		})
	}
}

// token is one that no other run has used.
func token(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("contract-%d", time.Now().UnixNano())
}

func completes(ctx context.Context, t *testing.T, s Server) {
	s.Hold(t, true)
	asked, err := s.CDN.Invalidate(ctx, token(t), []string{"/whl/spyre/torch/", "/whl/spyre/torch-2.9.0*"})
	noError(t, err)
	if asked.ID == "" || asked.State != cdn.InProgress || asked.Created.IsZero() {
		t.Fatalf("asked: %+v", asked)
	}
	now, err := s.CDN.Status(ctx, asked.ID)
	noError(t, err)
	if now.ID != asked.ID || now.State != cdn.InProgress {
		t.Fatalf("held: %+v", now)
	}
	s.Hold(t, false)
	waitCompleted(ctx, t, s, asked.ID)
}

func waitCompleted(ctx context.Context, t *testing.T, s Server, id string) {
	t.Helper()
	for {
		now, err := s.CDN.Status(ctx, id)
		noError(t, err)
		if now.State == cdn.Completed {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func repeats(ctx context.Context, t *testing.T, s Server) {
	s.Hold(t, false)
	name, paths := token(t), []string{"/whl/spyre/"}
	first, err := s.CDN.Invalidate(ctx, name, paths)
	noError(t, err)
	again, err := s.CDN.Invalidate(ctx, name, paths)
	noError(t, err)
	if again.ID != first.ID {
		t.Errorf("a repetition made invalidation %s, want %s", again.ID, first.ID)
	}
	other, err := s.CDN.Invalidate(ctx, name+"-other", paths)
	noError(t, err)
	if other.ID == first.ID {
		t.Error("another token gave the same invalidation")
	}
}

func tokenReused(ctx context.Context, t *testing.T, s Server) {
	name := token(t)
	_, err := s.CDN.Invalidate(ctx, name, []string{"/whl/spyre/"})
	noError(t, err)
	_, err = s.CDN.Invalidate(ctx, name, []string{"/whl/other/"})
	wantError(t, err, cdn.ErrInvalid, cdn.OpInvalidate)
}

func unknown(ctx context.Context, t *testing.T, s Server) {
	_, err := s.CDN.Status(ctx, "I0NOSUCHTHING0")
	wantError(t, err, cdn.ErrNotFound, cdn.OpStatus)
}

func refuses(ctx context.Context, t *testing.T, s Server) {
	for name, paths := range map[string][]string{
		"no path":         nil,
		"relative":        {"whl/spyre/"},
		"wildcard inside": {"/whl/*/torch/"},
		"space":           {"/whl/a b"},
		"query":           {"/whl/a?versionId=x"},
		"not ASCII":       {"/whl/é"},
		"too long":        {"/" + strings.Repeat("a", 4000)},
		"one of two":      {"/whl/", "x"},
	} {
		_, err := s.CDN.Invalidate(ctx, token(t), paths)
		t.Run(name, func(t *testing.T) { wantError(t, err, cdn.ErrInvalid, cdn.OpInvalidate) })
	}
	_, err := s.CDN.Invalidate(ctx, "", []string{"/whl/"})
	wantError(t, err, cdn.ErrInvalid, cdn.OpInvalidate)
}

func quota(ctx context.Context, t *testing.T, s Server) {
	s.Hold(t, true)
	var ids []string
	for i := range cdn.MaxWildcards {
		made, err := s.CDN.Invalidate(ctx, fmt.Sprintf("%s-%d", token(t), i), []string{fmt.Sprintf("/whl/%d/*", i)})
		noError(t, err)
		ids = append(ids, made.ID)
	}
	name := token(t)
	_, err := s.CDN.Invalidate(ctx, name, []string{"/whl/more/*"})
	wantError(t, err, cdn.ErrThrottled, cdn.OpInvalidate)
	s.Hold(t, false)
	for _, id := range ids {
		waitCompleted(ctx, t, s, id)
	}
	_, err = s.CDN.Invalidate(ctx, name, []string{"/whl/more/*"})
	noError(t, err)
}

func givingUp(ctx context.Context, t *testing.T, s Server) {
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.CDN.Invalidate(gone, token(t), []string{"/whl/"})
	_, statusErr := s.CDN.Status(gone, "I0NOSUCHTHING0")
	for _, err := range []error{err, statusErr} {
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cdn.ErrUnavailable) {
			t.Errorf("after the caller gave up: %v", err)
		}
	}
}

func realPaths(ctx context.Context, t *testing.T, s Server) {
	s.Hold(t, false)
	made, err := s.CDN.Invalidate(ctx, token(t), cdn.PathsFor(
		"whl/spyre/torch/index.html", "whl/spyre/torch/index.v1_json", "whl/spyre/removals.json",
		"whl/spyre/torch-2.9.0+spyre-cp312-cp312-linux_x86_64.whl", "whl/spyre/<é>",
	))
	noError(t, err)
	waitCompleted(ctx, t, s, made.ID)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func wantError(t *testing.T, err, kind error, op string) {
	t.Helper()
	got := (*cdn.Error)(nil)
	if !errors.Is(err, kind) || !errors.As(err, &got) {
		t.Fatalf("got error %v, want a *cdn.Error of kind %v", err, kind)
	}
	if got.Op != op || got.Distribution == "" {
		t.Errorf("error says op %q, distribution %q", got.Op, got.Distribution)
	}
}
