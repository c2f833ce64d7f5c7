// Package metered counts the requests that go through an objectstore.Store, for
// metrics and for tests of budgets. It may import package objectstore and the
// Prometheus client.
package metered

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
)

// NewRequests makes the counter lane_store_requests_total{store,operation,
// outcome}, for the caller to register: requests by the names of the operations
// in package objectstore. A listing counts once for each page of
// [objectstore.ListPageSize]. Retries within one request are not seen.
func NewRequests() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lane_store_requests_total",
		Help: "Requests to the object stores, by store, operation and outcome.",
	}, []string{"store", "operation", "outcome"})
}

// The outcomes of requests.
const (
	OK           = "ok"
	NotFound     = "not_found"
	Precondition = "precondition_failed"
	Denied       = "denied"
	Throttled    = "throttled"
	Canceled     = "canceled"
	Error        = "error"
)

// New counts the requests to next in requests, under the name store ("primary",
// or a mirror's).
func New(next objectstore.Store, store string, requests *prometheus.CounterVec) objectstore.Store {
	return &metered{next: next, store: store, requests: requests}
}

type metered struct {
	next     objectstore.Store
	store    string
	requests *prometheus.CounterVec
}

func (m *metered) count(op string, err error) {
	m.requests.WithLabelValues(m.store, op, outcome(err)).Inc()
}

func outcome(err error) string {
	for _, known := range []struct {
		err  error
		name string
	}{
		{context.Canceled, Canceled},
		{objectstore.ErrNotFound, NotFound},
		{objectstore.ErrPrecondition, Precondition},
		{objectstore.ErrDenied, Denied},
		{objectstore.ErrThrottled, Throttled},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	if err != nil {
		return Error
	}
	return OK
}

func (m *metered) Bucket() string { return m.next.Bucket() }

func (m *metered) List(ctx context.Context, prefix string) iter.Seq2[objectstore.Object, error] {
	return counted(m, objectstore.OpList, m.next.List(ctx, prefix))
}

func (m *metered) ListVersions(ctx context.Context, prefix string) iter.Seq2[objectstore.Version, error] {
	return counted(m, objectstore.OpListVersions, m.next.ListVersions(ctx, prefix))
}

func (m *metered) ListUploads(ctx context.Context, prefix string) iter.Seq2[objectstore.Upload, error] {
	return counted(m, objectstore.OpListUploads, m.next.ListUploads(ctx, prefix))
}

// counted counts the pages of a listing: each is known to have come when its
// first entry is there, or the end of an empty one.
func counted[T any](m *metered, op string, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		entries := 0
		for item, err := range seq {
			if err != nil || entries%objectstore.ListPageSize == 0 {
				m.count(op, err)
			}
			entries++
			if !yield(item, err) {
				return
			}
		}
		if entries == 0 {
			m.count(op, nil)
		}
	}
}

func (m *metered) Head(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := m.next.Head(ctx, key)
	m.count(objectstore.OpHead, err)
	return info, err
}

func (m *metered) Get(ctx context.Context, key string, opts objectstore.GetOptions) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := m.next.Get(ctx, key, opts)
	m.count(objectstore.OpGet, err)
	return body, info, err
}

func (m *metered) Put(ctx context.Context, key string, body []byte, opts objectstore.PutOptions) (objectstore.Written, error) {
	written, err := m.next.Put(ctx, key, body, opts)
	m.count(objectstore.OpPut, err)
	return written, err
}

func (m *metered) Delete(ctx context.Context, key string) (objectstore.Deleted, error) {
	deleted, err := m.next.Delete(ctx, key)
	m.count(objectstore.OpDelete, err)
	return deleted, err
}

func (m *metered) DeleteVersion(ctx context.Context, key, versionID string) error {
	err := m.next.DeleteVersion(ctx, key, versionID)
	m.count(objectstore.OpDeleteVersion, err)
	return err
}

func (m *metered) TagVersion(ctx context.Context, key, versionID string, tags map[string]string) error {
	err := m.next.TagVersion(ctx, key, versionID, tags)
	m.count(objectstore.OpTagVersion, err)
	return err
}

func (m *metered) Copy(ctx context.Context, from, to string) (objectstore.Written, error) {
	written, err := m.next.Copy(ctx, from, to)
	m.count(objectstore.OpCopy, err)
	return written, err
}

func (m *metered) AbortUpload(ctx context.Context, key, uploadID string) error {
	err := m.next.AbortUpload(ctx, key, uploadID)
	m.count(objectstore.OpAbortUpload, err)
	return err
}

func (m *metered) Versioning(ctx context.Context) (objectstore.VersioningState, error) {
	state, err := m.next.Versioning(ctx)
	m.count(objectstore.OpVersioning, err)
	return state, err
}
