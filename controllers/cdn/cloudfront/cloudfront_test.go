package cloudfront_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pytorch/platform-lane-operator/controllers/cdn"
	"github.com/pytorch/platform-lane-operator/controllers/cdn/cloudfront"
	"github.com/pytorch/platform-lane-operator/controllers/cdn/contract"
	"github.com/pytorch/platform-lane-operator/hack/sandbox"
)

func awsConfig(id, secret string) aws.Config {
	return aws.Config{Credentials: credentials.NewStaticCredentialsProvider(id, secret, "")}
}

func TestContractOnSandbox(t *testing.T) {
	stack, err := sandbox.Start(t.Context(), sandbox.Options{Dir: t.TempDir(), Out: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stack.Stop)
	connect := func(t *testing.T, id, secret, distribution string) cdn.CDN {
		t.Helper()
		c, err := cloudfront.New(awsConfig(id, secret), cloudfront.Config{
			DistributionID: distribution, Endpoint: stack.CloudFrontEndpoint, MaxAttempts: 2,
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	id, secret := stack.OperatorAccessKeyID, stack.OperatorSecretAccessKey
	hold := func(t *testing.T, hold bool) {
		t.Helper()
		behavior := sandbox.Invalidations{Hold: &hold, DelayMillis: new(int)}
		if err := stack.SetInvalidations(context.WithoutCancel(t.Context()), behavior); err != nil {
			t.Fatal(err)
		}
	}
	contract.Run(t, func(t *testing.T) contract.Server {
		hold(t, false)
		return contract.Server{CDN: connect(t, id, secret, stack.DistributionID), Hold: hold}
	})

	t.Run("a stale copy is dropped", func(t *testing.T) {
		hold(t, false)
		dropsStaleCopy(t, stack, connect(t, id, secret, stack.DistributionID))
	})
	t.Run("another distribution", func(t *testing.T) {
		_, err := connect(t, stack.RootAccessKeyID, stack.RootSecretAccessKey, "E0NOSUCHTHING0").Invalidate(t.Context(), "t", []string{"/"})
		if !errors.Is(err, cdn.ErrNoDistribution) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a wrong secret", func(t *testing.T) {
		_, err := connect(t, id, "wrong", stack.DistributionID).Invalidate(t.Context(), "t", []string{"/"})
		if !errors.Is(err, cdn.ErrDenied) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("CloudFront is down", func(t *testing.T) {
		if err := stack.SetFault(t.Context(), "cloudfront", sandbox.Fault{Down: true}); err != nil {
			t.Fatal(err)
		}
		_, err := connect(t, id, secret, stack.DistributionID).Invalidate(t.Context(), "t", []string{"/"})
		if !errors.Is(err, cdn.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if err := stack.SetFault(t.Context(), "cloudfront", sandbox.Fault{}); err != nil {
			t.Fatal(err)
		}
	})
}

// dropsStaleCopy puts a missing key into the cache, in both spellings, and gets
// it out again.
func dropsStaleCopy(t *testing.T, stack *sandbox.Stack, c cdn.CDN) {
	const key = "whl/spyre/torch-2.9.0+spyre-py3-none-any.whl"
	urls := []string{stack.CDNURL + "/" + key, stack.CDNURL + "/" + strings.ReplaceAll(key, "+", "%2B")}
	outcome := func(url string) string {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return strings.ToLower(response.Header.Get("X-Cache"))
	}
	for _, url := range urls {
		outcome(url)
		if got := outcome(url); strings.Contains(got, "miss") {
			t.Fatalf("%s is not cached (%s); the test would prove nothing", url, got)
		}
	}
	made, err := c.Invalidate(t.Context(), fmt.Sprint(time.Now().UnixNano()), cdn.PathsFor(key))
	if err != nil {
		t.Fatal(err)
	}
	for made.State != cdn.Completed {
		time.Sleep(10 * time.Millisecond)
		if made, err = c.Status(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, url := range urls {
		if got := outcome(url); strings.Contains(got, "hit") {
			t.Errorf("%s is still cached: %s", url, got)
		}
	}
}

func stub(t *testing.T, timeout time.Duration, handler http.HandlerFunc) (cdn.CDN, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	c, err := cloudfront.New(awsConfig("id", "secret"), cloudfront.Config{
		DistributionID: "E1", Endpoint: server.URL, MaxAttempts: 2, CallTimeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, &requests
}

func TestErrorKinds(t *testing.T) {
	for _, test := range []struct {
		status   int
		code     string
		want     error
		requests int64
	}{
		{400, "TooManyInvalidationsInProgress", cdn.ErrThrottled, 1},
		{400, "Throttling", cdn.ErrThrottled, 2},
		{429, "TooMany", cdn.ErrThrottled, 1},
		{404, "NoSuchDistribution", cdn.ErrNoDistribution, 1},
		{404, "NoSuchInvalidation", cdn.ErrNotFound, 1},
		{403, "AccessDenied", cdn.ErrDenied, 1},
		{403, "ExpiredToken", cdn.ErrDenied, 1},
		{403, "SomethingNew", cdn.ErrDenied, 1},
		{400, "InvalidArgument", cdn.ErrInvalid, 1},
		{413, "BatchTooLarge", cdn.ErrInvalid, 1},
		{500, "InternalError", cdn.ErrUnavailable, 2},
		{503, "", cdn.ErrUnavailable, 2},
	} {
		t.Run(fmt.Sprint(test.status, test.code), func(t *testing.T) {
			c, requests := stub(t, 20*time.Second, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = fmt.Fprintf(w, `<ErrorResponse xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Error><Type>Sender</Type><Code>%s</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>`, test.code)
			})
			_, err := c.Invalidate(t.Context(), "t", []string{"/"})
			got := (*cdn.Error)(nil)
			if !errors.As(err, &got) || !errors.Is(got.Kind, test.want) || got.Op != cdn.OpInvalidate || got.Distribution != "E1" {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if n := requests.Load(); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
		})
	}
}

func TestSlowServer(t *testing.T) {
	release := make(chan struct{})
	c, _ := stub(t, 100*time.Millisecond, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	if _, err := c.Status(t.Context(), "I1"); !errors.Is(err, cdn.ErrUnavailable) || t.Context().Err() != nil {
		t.Errorf("got %v", err)
	}
}

// Only the word Completed means completed, and an answer without an
// invalidation is not one.
func TestOddAnswers(t *testing.T) {
	body := `<Invalidation><Id>I1</Id><Status>Frobnicated</Status></Invalidation>`
	c, _ := stub(t, 20*time.Second, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	if got, err := c.Status(t.Context(), "I1"); err != nil || got.State != cdn.InProgress {
		t.Errorf("%+v, %v", got, err)
	}
	body = `<Invalidation/>`
	if _, err := c.Status(t.Context(), "I1"); !errors.Is(err, cdn.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []cloudfront.Config{{}, {DistributionID: "E", CallTimeout: -1}, {DistributionID: "E", MaxAttempts: -1}} {
		if _, err := cloudfront.New(aws.Config{}, cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
