package index_test

import (
	"errors"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/index"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

func TestRetireEmptiesThePages(t *testing.T) {
	w := newWorld(t)
	kept, bad := w.upload("2.9.0"), w.upload("2.9.1")
	w.sync()
	w.bury(v1alpha1.YankQuarantine, bad)
	purges := len(w.cdn.Requests())
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	w.wantListed(kept, false)
	if strings.Contains(w.store.Contents()[folder+"index.html"], "torch/") {
		t.Error("the list of projects still has torch")
	}
	requests := w.cdn.Requests()
	if len(requests) != purges+1 || !covers(requests[purges].Paths, "/"+folder+"torch/") || !covers(requests[purges].Paths, "/"+folder) {
		t.Errorf("purges %v", requests[purges:])
	}
	w.store.ResetCalls()
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	if calls := w.store.Calls(); calls[objectstore.OpPut] != 0 {
		t.Errorf("a second Retire writes: %v", calls)
	}

	// A lane that is created again lists what is there, and not what was taken
	// back.
	if report := w.sync(); report.Pending == 0 || report.Wrote {
		t.Error("the first sync after a retirement may be one that does not know of it")
	}
	w.settle(w.another())
	w.wantListed(kept, true)
	w.wantListed(bad, false)
	if !strings.Contains(w.store.Contents()[folder+"index.html"], "torch/") {
		t.Error("the list of projects lacks torch")
	}
}

// TestRetireWinsAgainstARunningSync stops a Sync at each of its calls, retires
// the lane, and lets the Sync go on: nothing may be listed any more.
func TestRetireWinsAgainstARunningSync(t *testing.T) {
	for _, who := range []string{"same process", "another process"} {
		t.Run(who, func(t *testing.T) {
			stops := 0
			for n := 1; ; n++ {
				w := newWorld(t)
				first := w.upload("2.9.0")
				w.sync()
				w.upload("2.9.1")
				calls, retired := 0, false
				h := &hooked{Store: w.store}
				syncing := w.on(h)
				retiring := syncing
				if who == "another process" {
					retiring = w.another()
				}
				writing := false
				h.before = func(op, key string) {
					writing = writing || op == objectstore.OpPut && strings.HasSuffix(key, ".json")
					// Within one process a retirement waits for what a Sync writes.
					if calls++; calls != n || retired || writing && who == "same process" {
						return
					}
					retired = true
					if err := retiring.Retire(t.Context(), "spyre"); err != nil {
						t.Fatal(err)
					}
				}
				_, err := syncing.Sync(t.Context(), w.lane, torch.Channel)
				if !retired {
					break
				}
				stops++
				if who == "same process" && !errors.Is(err, index.ErrRetired) {
					t.Errorf("stopped at call %d: error %v", n, err)
				}
				w.wantListed(first, false)
				for _, channel := range []v1alpha1.ChannelName{v1alpha1.ChannelNightly, v1alpha1.ChannelTest} {
					// The rest of a pass over a lane that is gone meanwhile.
					report, err := syncing.Sync(t.Context(), w.lane, channel)
					if err != nil || who == "same process" && report.Pending == 0 {
						t.Errorf("channel %s: error %v, report %+v", channel, err, report)
					}
				}
				// The lane is created again.
				w.settle(syncing)
				w.wantListed(first, true)
			}
			if stops < 3 {
				t.Errorf("only %d stops were tried", stops)
			}
		})
	}
}

func TestDeleteFilesKeepsPagesAndEvidence(t *testing.T) {
	w := newWorld(t)
	mirror := fake.New("mirror")
	w.engine = w.another(mirror)
	gone, evidence := w.upload("2.9.0"), w.upload("2.9.1")
	mirror.Seed(folder+gone, []byte(w.store.Contents()[folder+gone]), fake.SeedOptions{})
	w.sync()
	w.bury(v1alpha1.YankQuarantine, evidence)
	w.store.StartUpload(folder + "unfinished.whl")
	if err := w.engine.DeleteFiles(t.Context(), "spyre"); err == nil {
		t.Error("files of a lane that is not retired were deleted")
	}
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	locked := w.upload("2.9.2")
	w.store.SetLocked(folder+locked, w.store.Seed(folder+locked, []byte("locked"), fake.SeedOptions{}).VersionID, true)
	if err := w.engine.DeleteFiles(t.Context(), "spyre"); !errors.Is(err, objectstore.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	}
	contents := w.store.Contents()
	for _, key := range []string{folder + evidence, folder + evidence + ".metadata", htmlPage, jsonPage, folder + "index.html", folder + locked} {
		if _, ok := contents[key]; !ok {
			t.Errorf("%s is gone", key)
		}
	}
	for v, err := range w.store.ListVersions(t.Context(), folder+gone) {
		t.Errorf("%s version %s is left (%v)", v.Key, v.ID, err)
	}
	for u, err := range w.store.ListUploads(t.Context(), folder) {
		t.Errorf("upload %s is left (%v)", u.Key, err)
	}
	if _, ok := mirror.Contents()[folder+gone]; ok {
		t.Error("the mirror keeps its copy")
	}
}

// TestDeleteFilesFirstEmptiesThePages: a page that lists a file stops it.
func TestDeleteFilesFirstEmptiesThePages(t *testing.T) {
	w := newWorld(t)
	name := w.upload("2.9.0")
	w.sync()
	page := w.store.Contents()[htmlPage]
	if err := w.engine.Retire(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	w.store.Seed(htmlPage, []byte(page), seedPage)
	w.store.FailBefore(fake.On(objectstore.OpPut, func(string, string) error { return objectstore.ErrUnavailable }))
	if err := w.engine.DeleteFiles(t.Context(), "spyre"); err == nil {
		t.Error("no error")
	}
	if _, ok := w.store.Contents()[folder+name]; !ok {
		t.Error("the file was deleted while a page lists it")
	}
	w.store.FailBefore(nil)
	if err := w.engine.DeleteFiles(t.Context(), "spyre"); err != nil {
		t.Fatal(err)
	}
	w.wantListed(name, false)
}
