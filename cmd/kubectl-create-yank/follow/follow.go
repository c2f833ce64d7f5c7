package follow

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
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

// Follower follows Yanks.
type Follower struct {
	// Client reads and watches Yanks. Without the permission to watch, it reads
	// once a second.
	Client client.WithWatch
	// Progress is told of each state that was seen.
	Progress *Progress
}

// Follow reads the Yank again and again until its outcome is final or ctx ends,
// over any number of lost connections. It returns the outcome and the last
// state seen, nil if there was none. The error is that of ctx, with the outcome
// Pending, or the API server's refusal to show the Yank.
func (f *Follower) Follow(ctx context.Context, created *v1alpha1.Yank) (Outcome, *v1alpha1.Yank, error) {
	last := created
	for {
		outcome, seen, err := f.once(ctx, last)
		if seen != nil {
			last = seen
		}
		if outcome != Pending {
			return outcome, last, nil
		}
		if ctx.Err() != nil {
			return Pending, last, ctx.Err()
		}
		if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
			return Pending, last, err
		}
		f.Progress.connection(err)
		select {
		case <-ctx.Done():
			return Pending, last, ctx.Err()
		case <-time.After(retryDelay):
		}
	}
}

// once reads the Yank and watches it until the watch ends.
func (f *Follower) once(ctx context.Context, last *v1alpha1.Yank) (Outcome, *v1alpha1.Yank, error) {
	y := &v1alpha1.Yank{}
	limited, cancel := context.WithTimeout(ctx, readTimeout)
	err := f.Client.Get(limited, client.ObjectKeyFromObject(last), y)
	cancel()
	switch {
	case apierrors.IsNotFound(err):
		return Deleted, nil, nil
	case err != nil:
		return Pending, nil, err
	case y.UID != last.UID:
		// Deleted, and created anew by somebody else.
		return Deleted, nil, nil
	}
	f.Progress.connection(nil)
	if outcome := f.see(y); outcome != Pending {
		return outcome, y, nil
	}
	return f.watch(ctx, y)
}

// watch sees every state after that of y.
func (f *Follower) watch(ctx context.Context, y *v1alpha1.Yank) (Outcome, *v1alpha1.Yank, error) {
	seconds := int64(watchSeconds)
	stream, err := f.Client.Watch(ctx, &v1alpha1.YankList{},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: y.ResourceVersion, TimeoutSeconds: &seconds}},
		client.InNamespace(y.Namespace), client.MatchingFields{"metadata.name": y.Name})
	if apierrors.IsForbidden(err) {
		return Pending, y, nil // reading it time and again will do
	}
	if err != nil {
		return Pending, y, err
	}
	defer stream.Stop()
	for event := range stream.ResultChan() {
		seen, ok := event.Object.(*v1alpha1.Yank)
		switch {
		case event.Type == watch.Error:
			return Pending, y, nil // most often: too old a version; read anew
		case !ok || seen.UID != y.UID:
			continue
		case event.Type == watch.Deleted:
			return Deleted, seen, nil
		}
		y = seen
		if outcome := f.see(y); outcome != Pending {
			return outcome, y, nil
		}
	}
	return Pending, y, nil
}

func (f *Follower) see(y *v1alpha1.Yank) Outcome {
	f.Progress.see(y)
	return Judge(y)
}

// elapsed is a duration for people: 0.4s, 12.0s, 3m05s.
func elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
