package cloudfront

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/smithy-go"

	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/calls"
	"github.com/pytorch/platform-lane-operator/hack/sandbox/edge/fault"
)

// cacheRecord remembers what was invalidated.
type cacheRecord struct {
	mu       sync.Mutex
	patterns []string
}

func (c *cacheRecord) Invalidate(patterns []string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.patterns = append(c.patterns, patterns...)
	return len(patterns)
}

func (c *cacheRecord) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.patterns)
}

// gate refuses what a test tells it to.
type gate struct{ refuse error }

func (g *gate) Authorize(*http.Request, []byte, string, string) error { return g.refuse }

type fixture struct {
	api    *API
	cache  *cacheRecord
	gate   *gate
	client *sdk.Client
}

func newFixture(t *testing.T, delay time.Duration) *fixture {
	f := &fixture{cache: &cacheRecord{}, gate: &gate{}}
	f.api = New("000000000000", "E1", delay, f.cache, f.gate, &calls.Counter{}, &fault.Board{})
	server := httptest.NewServer(f.api.Handler())
	t.Cleanup(server.Close)
	f.client = sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", ""),
	})
	return f
}

func (f *fixture) create(reference string, paths ...string) (*types.Invalidation, error) {
	out, err := f.client.CreateInvalidation(context.Background(), &sdk.CreateInvalidationInput{
		DistributionId: aws.String("E1"),
		InvalidationBatch: &types.InvalidationBatch{
			CallerReference: &reference,
			Paths:           &types.Paths{Quantity: aws.Int32(int32(len(paths))), Items: paths},
		},
	})
	if err != nil {
		return nil, err
	}
	return out.Invalidation, nil
}

func (f *fixture) status(t *testing.T, id string) string {
	t.Helper()
	out, err := f.client.GetInvalidation(context.Background(), &sdk.GetInvalidationInput{DistributionId: aws.String("E1"), Id: &id})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Invalidation.Status
}

func code(err error) string {
	var apiErr smithy.APIError
	if errors.As(err, &apiErr) {
		return apiErr.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestAnInvalidationTakesEffectWhenItIsCompleted(t *testing.T) {
	f := newFixture(t, 100*time.Millisecond)
	inv, err := f.create("r1", "/whl/a/*", "/x")
	if err != nil {
		t.Fatal(err)
	}
	if *inv.Status != inProgress || len(f.cache.seen()) != 0 {
		t.Fatalf("at once: %s, %v invalidated", *inv.Status, f.cache.seen())
	}
	if got := inv.InvalidationBatch.Paths.Items; !slices.Equal(got, []string{"/whl/a/*", "/x"}) {
		t.Errorf("paths %v came back", got)
	}
	for deadline := time.Now().Add(5 * time.Second); f.status(t, *inv.Id) != completed; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never completed")
		}
	}
	if got := f.cache.seen(); !slices.Equal(got, []string{"/whl/a/*", "/x"}) {
		t.Errorf("invalidated %v", got)
	}
}

func TestACallerReferenceIsUsedOnce(t *testing.T) {
	f := newFixture(t, time.Hour)
	first, err := f.create("r1", "/a")
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.create("r1", "/a")
	if err != nil || *again.Id != *first.Id {
		t.Errorf("the same request again: %v, %v; want invalidation %s", again, err, *first.Id)
	}
	if _, err := f.create("r1", "/b"); code(err) != "InvalidationBatchAlreadyExists" {
		t.Errorf("other paths under the same reference: %v", err)
	}
	list, err := f.client.ListInvalidations(context.Background(), &sdk.ListInvalidationsInput{DistributionId: aws.String("E1")})
	if err != nil || len(list.InvalidationList.Items) != 1 {
		t.Errorf("list: %v, %v; want one", list, err)
	}
}

func TestQuotas(t *testing.T) {
	f := newFixture(t, time.Hour)
	for i := range maxWildcards {
		if _, err := f.create(fmt.Sprint(i), fmt.Sprintf("/%d/*", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.create("one too many", "/more/*"); code(err) != "TooManyInvalidationsInProgress" {
		t.Errorf("wildcard %d: %v", maxWildcards+1, err)
	}
	if _, err := f.create("plain", "/plain"); err != nil {
		t.Errorf("a plain path has a quota of its own: %v", err)
	}
}

func TestHoldKeepsInvalidationsInProgress(t *testing.T) {
	f := newFixture(t, 0)
	f.api.Change(Behavior{Hold: aws.Bool(true)})
	inv, err := f.create("r", "/a")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if got := f.status(t, *inv.Id); got != inProgress {
		t.Fatalf("held: %s", got)
	}
	f.api.Change(Behavior{Hold: aws.Bool(false)})
	if got := f.status(t, *inv.Id); got != completed {
		t.Errorf("let go: %s", got)
	}
}

func TestErrors(t *testing.T) {
	f := newFixture(t, 0)
	for _, c := range []struct{ path, want string }{
		{"whl/a", "InvalidArgument"}, {"/a*b", "InvalidArgument"}, {"/a b", "InvalidArgument"}, {"/a?x=1", "InvalidArgument"},
	} {
		if _, err := f.create("r"+c.path, c.path); code(err) != c.want {
			t.Errorf("%q: %v, want %s", c.path, err, c.want)
		}
	}
	_, err := f.client.GetInvalidation(context.Background(), &sdk.GetInvalidationInput{DistributionId: aws.String("E1"), Id: aws.String("I0")})
	var missing *types.NoSuchInvalidation
	if !errors.As(err, &missing) {
		t.Errorf("unknown invalidation: %v", err)
	}
	_, err = f.client.ListInvalidations(context.Background(), &sdk.ListInvalidationsInput{DistributionId: aws.String("E2")})
	if code(err) != "NoSuchDistribution" {
		t.Errorf("unknown distribution: %v", err)
	}
	f.gate.refuse = errors.New("no")
	if _, err := f.create("refused", "/a"); code(err) != "AccessDenied" {
		t.Errorf("refused by policy: %v", err)
	}
}
