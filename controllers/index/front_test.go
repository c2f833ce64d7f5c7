package index_test

import (
	"errors"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// TestFrontIsPurgedAfterACrash between the page and its purge.
func TestFrontIsPurgedAfterACrash(t *testing.T) {
	w := profiled(t)
	w.lane.Profile.Channels = []v1alpha1.ChannelName{v1alpha1.ChannelNightly}
	for n := 2; ; n++ {
		w.store.Seed(rootPage, []byte("stale"), fake.SeedOptions{})
		purges := len(w.cdn.Requests())
		hit := crash(w.store, n/2, n%2 == 1)
		w.cdn.FailBefore(func(string) error {
			if *hit {
				return errors.New("crashed")
			}
			return nil
		})
		_ = w.engine.PublishFront(t.Context(), w.lane)
		crashed := *hit
		w.store.FailBefore(nil)
		w.store.FailAfter(nil)
		w.cdn.FailBefore(nil)
		w.engine = w.another()
		if err := w.engine.PublishFront(t.Context(), w.lane); err != nil {
			t.Fatal(err)
		}
		if !w.purgedSince(purges, rootPage) {
			t.Errorf("crash %d: the caches keep the old page", n)
		}
		w.store.ResetCalls()
		if err := w.engine.PublishFront(t.Context(), w.lane); err != nil {
			t.Fatal(err)
		}
		wantCalls(t, w.store, map[string]int{objectstore.OpList: 2})
		if !crashed {
			break
		}
	}
}

// TestFrontIsPurgedAfterAFailedPurge, too.
func TestFrontIsPurgedAfterAFailedPurge(t *testing.T) {
	w := profiled(t)
	w.lane.Profile.Channels = []v1alpha1.ChannelName{v1alpha1.ChannelNightly}
	purges := len(w.cdn.Requests())
	w.cdn.FailBefore(func(string) error { return errors.New("down") })
	if err := w.engine.PublishFront(t.Context(), w.lane); err == nil {
		t.Error("nobody is told that the CDN is down")
	}
	w.cdn.FailBefore(nil)
	if err := w.another().PublishFront(t.Context(), w.lane); err != nil {
		t.Fatal(err)
	}
	if !w.purgedSince(purges, rootPage) {
		t.Error("the caches keep the old page")
	}
}

func TestRetirePurgesTheRootOfALaneWithoutReleases(t *testing.T) {
	w := profiled(t)
	w.lane.Profile.Channels = []v1alpha1.ChannelName{v1alpha1.ChannelNightly}
	if err := w.engine.PublishFront(t.Context(), w.lane); err != nil {
		t.Fatal(err)
	}
	purges := len(w.cdn.Requests())
	w.cdn.FailBefore(func(string) error { return errors.New("down") })
	if err := w.engine.Retire(t.Context(), "spyre"); err == nil {
		t.Error("nobody is told that the CDN is down")
	}
	w.cdn.FailBefore(nil)
	w.engine = w.another()
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	w.wantRoot("publishes nothing here any more")
	if !w.purgedSince(purges, rootPage) {
		t.Error("the caches keep the page of before")
	}
	purges = len(w.cdn.Requests())
	w.store.ResetCalls()
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil || len(w.cdn.Requests()) != purges || w.store.Calls()[objectstore.OpPut] != 0 {
		t.Errorf("a second Retire: error %v, purged %v, requests %v", err, w.cdn.Requests()[purges:], w.store.Calls())
	}
}
