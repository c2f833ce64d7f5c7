package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// retryDelay is how long to wait before reading again after a watch ended,
	// failed, or is not permitted.
	retryDelay = time.Second
	// readTimeout is when a reading counts as lost. The client library tries a
	// broken connection again by itself meanwhile.
	readTimeout = 5 * time.Second
	// watchSeconds ends each watch, so that a connection that died without a
	// word is noticed.
	watchSeconds = 60
)

// ErrGone says that the object was deleted, and perhaps created anew by somebody
// else.
var ErrGone = errors.New("it was deleted")

// errEnough ends the reading once a state is what was waited for.
var errEnough = errors.New("enough")

// Follower follows one object.
type Follower[T client.Object] struct {
	// Client reads and watches. Without the permission to watch, it reads once a
	// second.
	Client client.WithWatch
	// List is an empty list of the object's kind.
	List client.ObjectList
	// Warn is told once that the API server is out of reach, and once that it is
	// back.
	Warn io.Writer
	// See is handed each state and says whether it was the last one to wait for.
	See func(T) bool

	lost bool
}

// Follow reads the object again and again until See says that it is enough or
// ctx ends, over any number of lost connections. It returns the last state that
// is known. The error is nil, that of ctx, ErrGone, or the API server's refusal
// to show the object.
func (f *Follower[T]) Follow(ctx context.Context, first T) (last T, err error) {
	last = first
	for {
		last, err = f.once(ctx, last)
		switch {
		case errors.Is(err, errEnough):
			return last, nil
		case errors.Is(err, ErrGone):
			return last, err
		case ctx.Err() != nil:
			return last, ctx.Err()
		case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
			return last, err
		}
		f.connection(err)
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(retryDelay):
		}
	}
}

// once reads the object and watches it until the watch ends.
func (f *Follower[T]) once(ctx context.Context, last T) (T, error) {
	now, ok := reflect.New(reflect.TypeOf(last).Elem()).Interface().(T)
	if !ok {
		return last, fmt.Errorf("%T is not a pointer to an object", last)
	}
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	err := f.Client.Get(limited, client.ObjectKeyFromObject(last), now)
	cancel()
	switch {
	case apierrors.IsNotFound(err):
		return last, ErrGone
	case err != nil:
		return last, err
	case now.GetUID() != last.GetUID():
		return last, ErrGone
	}
	f.connection(nil)
	if f.See(now) {
		return now, errEnough
	}
	return f.watch(ctx, now)
}

// watch sees every state after that of now.
func (f *Follower[T]) watch(ctx context.Context, now T) (T, error) {
	seconds := int64(watchSeconds)
	stream, err := f.Client.Watch(ctx, f.List,
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: now.GetResourceVersion(), TimeoutSeconds: &seconds}},
		client.InNamespace(now.GetNamespace()), client.MatchingFields{"metadata.name": now.GetName()})
	if apierrors.IsForbidden(err) {
		return now, nil // reading it time and again will do
	}
	if err != nil {
		return now, err
	}
	defer stream.Stop()
	for event := range stream.ResultChan() {
		seen, ok := event.Object.(T)
		switch {
		case event.Type == watch.Error:
			return now, nil // most often: too old a version; read anew
		case !ok || seen.GetUID() != now.GetUID():
			continue
		case event.Type == watch.Deleted:
			return seen, ErrGone
		}
		now = seen
		if f.See(now) {
			return now, errEnough
		}
	}
	return now, nil
}

// connection tells once that the API server is out of reach, and once that it
// is back.
func (f *Follower[T]) connection(err error) {
	if err != nil && !f.lost {
		fmt.Fprintf(f.Warn, "warning: lost the API server, trying again: %s\n", Printable(err.Error()))
	}
	if err == nil && f.lost {
		fmt.Fprintln(f.Warn, "warning: reached the API server again")
	}
	f.lost = err != nil
}
