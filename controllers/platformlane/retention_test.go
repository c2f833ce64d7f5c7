package platformlane

import (
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// retentionRound syncs the lane and takes a pass over it.
func (w *world) retentionRound(lane *v1alpha1.PlatformLane) {
	w.t.Helper()
	_, err := w.sync(lane)
	w.must(err)
	w.mustPass(lane)
}

func retentionStatus(lane *v1alpha1.PlatformLane, channel v1alpha1.ChannelName) v1alpha1.RetentionStatus {
	for _, c := range lane.Status.Channels {
		if c.Name == channel {
			return c.Retention
		}
	}
	return v1alpha1.RetentionStatus{}
}

// TestRetentionIsShownBeforeItRuns follows a nightly from its last day to its
// end.
func TestRetentionIsShownBeforeItRuns(t *testing.T) {
	w := newWorld(t)
	lane := w.ready(w.lane())
	old := w.upload(v1alpha1.ChannelNightly, "2.9.0.dev1")
	w.retentionRound(lane)
	w.later(90 * 24 * time.Hour)
	w.upload(v1alpha1.ChannelNightly, "2.9.0.dev2")
	w.retentionRound(lane)
	due := w.now()
	got := retentionStatus(lane, v1alpha1.ChannelNightly)
	if got.DueFiles == nil || *got.DueFiles != 1 || *got.DueBytes == 0 || len(got.Keys) != 1 || got.Keys[0] != old || got.RemovesAt.Sub(due).Round(time.Hour) != 24*time.Hour {
		t.Fatalf("status %+v", got)
	}
	if other := retentionStatus(lane, v1alpha1.ChannelRelease); other.DueFiles != nil {
		t.Errorf("of another channel: %+v", other)
	}
	if !lists(w.store, old) {
		t.Error("it is no longer listed")
	}
	w.later(25 * time.Hour)
	w.retentionRound(lane)
	w.retentionRound(lane)
	if got := retentionStatus(lane, v1alpha1.ChannelNightly); got.DueFiles != nil || lists(w.store, old) {
		t.Errorf("status %+v", got)
	}
	w.wantMessage(lane, v1alpha1.IndexReadyCondition, "up to date")
	if told := w.events.count("FilesExpired"); told != 1 {
		t.Errorf("%d Events tell of it", told)
	}
	w.later(2 * time.Hour)
	w.store.FailBefore(fake.On(objectstore.OpDelete, func(string, string) error { return objectstore.ErrDenied }))
	if _, err := w.sync(lane); err == nil {
		t.Error("the removal is not tried again")
	}
	w.mustPass(lane)
	w.want(lane, "IndexReady=False/RetentionFailed")
	w.store.FailBefore(nil)
	for range 3 {
		w.retentionRound(lane)
	}
	w.want(lane, "IndexReady=True/IndexPublished")
	if _, there := w.store.Contents()[old]; there {
		t.Error("the bytes are still there")
	}
	if told := w.events.count("FilesRemoved"); told != 1 {
		t.Errorf("%d Events tell of the bytes", told)
	}
}

// TestFilesInTheBackgroundAreLookedAtLater: polling faster than a file can be
// hashed would only cost listings.
func TestFilesInTheBackgroundAreLookedAtLater(t *testing.T) {
	got := result{reports: []index.Report{{Pending: 3, Background: 2, Judged: 5, ToJudge: 8}, {Pending: 1, Background: 1, ToJudge: 1}}}
	if got.pending() != 4 || got.background() != 3 || got.progress() != "5 of 9 files judged" {
		t.Errorf("pending %d, background %d, %s", got.pending(), got.background(), got.progress())
	}
	if got := (result{reports: []index.Report{{Pending: 1}}}).progress(); !strings.Contains(got, "once more") {
		t.Errorf("progress %q", got)
	}
}

// count is how many Events have a text in them.
func (r *recorder) count(part string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.all {
		if strings.Contains(e, part) {
			n++
		}
	}
	return n
}
