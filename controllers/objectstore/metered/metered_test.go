package metered_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/contract"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/metered"
)

func TestCountsEveryOperation(t *testing.T) {
	ctx := t.Context()
	store := fake.New("b")
	requests := metered.NewRequests()
	m := metered.New(store, "primary", requests)
	if m.Bucket() != "b" {
		t.Errorf("bucket %q", m.Bucket())
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()

	written, _ := m.Put(ctx, "k", []byte("x"), objectstore.PutOptions{})
	_, _ = m.Put(ctx, "k", []byte("x"), objectstore.PutOptions{IfNoneMatch: true})
	_, _ = m.Head(ctx, "absent")
	_, _ = m.Head(gone, "k")
	_, _, _ = m.Get(ctx, "k", objectstore.GetOptions{})
	_ = m.TagVersion(ctx, "k", written.VersionID, nil)
	_, _ = m.Copy(ctx, "k", "to")
	_, _ = m.Delete(ctx, "to")
	_ = m.DeleteVersion(ctx, "k", written.VersionID)
	_ = m.AbortUpload(ctx, "k", "u")
	_, _ = m.Versioning(ctx)
	list(t, m.List(ctx, "none"), nil)
	list(t, m.ListVersions(ctx, "none"), nil)
	list(t, m.ListUploads(ctx, "none"), nil)
	store.FailBefore(fake.On(objectstore.OpDelete, fake.From(1, objectstore.ErrThrottled)))
	_, _ = m.Delete(ctx, "k")
	store.FailBefore(fake.From(1, objectstore.ErrDenied))
	_, _ = m.Delete(ctx, "k")
	store.FailBefore(fake.From(1, errors.New("reset")))
	_, _ = m.Delete(ctx, "k")

	var want strings.Builder
	want.WriteString("# HELP lane_store_requests_total Requests to the object stores, by store, operation and outcome.\n# TYPE lane_store_requests_total counter\n")
	for _, line := range []string{
		"PutObject ok", "PutObject precondition_failed", "HeadObject not_found", "HeadObject canceled", "GetObject ok",
		"PutObjectVersionTagging ok", "CopyObject ok", "DeleteObject ok", "DeleteObject throttled", "DeleteObject denied",
		"DeleteObject error", "DeleteObjectVersion ok", "AbortMultipartUpload ok", "GetBucketVersioning ok",
		"ListObjectsV2 ok", "ListObjectVersions ok", "ListMultipartUploads ok",
	} {
		op, outcome, _ := strings.Cut(line, " ")
		_, _ = fmt.Fprintf(&want, "lane_store_requests_total{operation=%q,outcome=%q,store=\"primary\"} 1\n", op, outcome)
	}
	if err := testutil.CollectAndCompare(requests, strings.NewReader(want.String())); err != nil {
		t.Error(err)
	}
}

func list[T any](t *testing.T, seq func(func(T, error) bool), want error) {
	t.Helper()
	for _, err := range seq {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestCountsPages(t *testing.T) {
	for entries, pages := range map[int]float64{1: 1, 999: 1, 1000: 1, 1001: 2, 2000: 2, 2500: 3} {
		store := fake.New("b")
		for i := range entries {
			store.Seed(fmt.Sprintf("k%05d", i), nil, fake.SeedOptions{})
		}
		requests := metered.NewRequests()
		list(t, metered.New(store, "s", requests).List(t.Context(), ""), nil)
		got := testutil.ToFloat64(requests.WithLabelValues("s", objectstore.OpList, metered.OK))
		if sent := store.Calls()[objectstore.OpList]; got != pages || float64(sent) != pages {
			t.Errorf("%d entries: counted %v, sent %d, want %v", entries, got, sent, pages)
		}
	}
}

// The decorator changes nothing that the contract asks for.
func TestContract(t *testing.T) {
	contract.Run(t, contract.Server{NewBucket: func(_ *testing.T, kind contract.Kind) contract.Bucket {
		store := fake.New("b")
		switch kind {
		case contract.Unversioned:
			store = fake.New("b", fake.WithVersioning(objectstore.VersioningNever))
		case contract.Missing:
			store.SetMissing(true)
		}
		return contract.Bucket{
			Store: metered.New(store, "primary", metered.NewRequests()),
			Tags: func(_ context.Context, key, versionID string) (map[string]string, error) {
				return store.Tags(key, versionID), nil
			},
			StartUpload: func(_ context.Context, key string) (string, error) { return store.StartUpload(key), nil },
			PutMultipart: func(_ context.Context, key string, parts ...[]byte) error {
				store.SeedMultipart(key, fake.SeedOptions{}, parts...)
				return nil
			},
			Hold: func(_ context.Context, key, versionID string) error {
				store.SetLocked(key, versionID, true)
				return nil
			},
		}
	}})
}
