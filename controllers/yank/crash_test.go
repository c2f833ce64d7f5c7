package yank

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/layout"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

func TestTheStepsComeInTheirOrder(t *testing.T) {
	for _, mode := range []v1alpha1.YankMode{v1alpha1.YankQuarantine, v1alpha1.YankHardDelete} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, mirrored)
			bad, _ := w.published()
			y := w.yank(mode)
			for i, s := range w.stores() {
				s.FailBefore(func(op, key string) error {
					if !slices.Contains(reads, op) {
						w.tell("%s %s %s", []string{"primary", "r2"}[i], op, key)
					}
					return nil
				})
			}
			w.cdn.FailBefore(func(op string) error { w.tell("cdn %s", op); return nil })
			w.mu.Lock()
			w.story = nil
			w.mu.Unlock()
			w.settle(y)

			at := func(step string) int {
				i := slices.Index(w.story, step)
				if i < 0 {
					t.Fatalf("%s does not happen:\n%s", step, strings.Join(w.story, "\n"))
				}
				return i
			}
			last := func(prefix string) int {
				last := -1
				for i, step := range w.story {
					if strings.HasPrefix(step, prefix) {
						last = i
					}
				}
				return last
			}
			tombstone := at("primary PutObject " + layout.CatalogKey(platform, v1alpha1.ChannelRelease, "torch"))
			html, jsonPage := layout.ProjectPages(platform, v1alpha1.ChannelRelease, "torch")
			bytes, mirrorBytes := at("primary DeleteObject "+bad), at("r2 DeleteObject "+bad)
			invalidation := at("cdn CreateInvalidation")
			firstProbe := slices.IndexFunc(w.story, func(s string) bool { return strings.HasPrefix(s, "probe") })
			for _, page := range []int{at("primary PutObject " + html), at("primary PutObject " + jsonPage), at("r2 PutObject " + html), at("r2 PutObject " + jsonPage)} {
				if tombstone > page || page > bytes {
					t.Errorf("a page is written at %d, the tombstone at %d, bytes go at %d", page, tombstone, bytes)
				}
			}
			if bytes > mirrorBytes || mirrorBytes > invalidation || last("primary DeleteObject") > invalidation || last("r2 DeleteObject") > invalidation || invalidation > firstProbe {
				t.Errorf("out of order:\n%s", strings.Join(w.story, "\n"))
			}
			for _, front := range []string{"primary", "r2"} {
				for _, path := range []string{"/" + html, "/" + jsonPage, "/" + bad, "/" + bad + ".metadata"} {
					at("probe " + front + " " + path)
				}
			}
		})
	}
}

// errCrash stands for a process that is gone: whatever it calls from here on
// fails.
var errCrash = errors.New("crashed")

func TestACrashAtAnyCallEndsInTheSamePlace(t *testing.T) {
	for _, c := range []struct {
		mode    v1alpha1.YankMode
		options []option
	}{
		{v1alpha1.YankQuarantine, nil},
		{v1alpha1.YankHardDelete, []option{mirrored}},
		{v1alpha1.YankQuarantine, []option{unversioned}},
	} {
		whole := newWorld(t, c.options...)
		want := whole.crash(t, c.mode, 0, false)
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %d after=%v", c.mode, len(c.options), after), func(t *testing.T) {
				t.Parallel()
				tried := 0
				for n := 1; ; n++ {
					w := newWorld(t, c.options...)
					got := w.crash(t, c.mode, n, after)
					if got == "" {
						break // There is no nth call.
					}
					if got != want {
						t.Fatalf("a crash at call %d ends elsewhere:\n%s\nwant\n%s", n, got, want)
					}
					tried++
				}
				if tried < 8 || !after && tried < 25 {
					t.Errorf("only %d calls were tried", tried)
				}
			})
		}
	}
}

// crash carries out a Yank that dies at the nth call to a store, before or after
// the call's effect, and is taken up by a new process. It returns what things
// are like in the end; nothing if there is no nth call.
func (w *world) crash(t *testing.T, mode v1alpha1.YankMode, n int, after bool) string {
	t.Helper()
	bad, _ := w.published()
	for _, s := range w.stores() {
		s.StartUpload(bad)
	}
	y := w.yank(mode)
	hit := false
	calls, limit := 0, n
	fault := func(op, _ string) error {
		if after && slices.Contains(reads, op) {
			return nil // As if it had crashed before the next call.
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if calls++; limit > 0 && calls >= limit {
			hit = true
			return errCrash
		}
		return nil
	}
	for _, s := range w.stores() {
		check := func(op, key string) { w.checkInvariants(s, op, key, bad) }
		if after {
			s.FailAfter(func(op, key string) error { check(op, key); return fault(op, key) })
		} else {
			s.FailBefore(fault)
			s.FailAfter(func(op, key string) error { check(op, key); return nil })
		}
	}
	for range 5 {
		if _, err := w.pass(y); err != nil {
			break
		}
	}
	if n > 0 && !hit {
		return ""
	}
	w.mu.Lock()
	limit = 0
	w.mu.Unlock()
	w.restart(false)
	w.sync() // The new process looks at the lane, too.
	w.settle(y)
	return w.outcome(y)
}

// outcome is everything that a Yank leaves behind, without what may differ:
// times, version ids, and how many purges it took.
func (w *world) outcome(y *v1alpha1.Yank) string {
	w.t.Helper()
	out := []string{conditions(y), fmt.Sprintf("%d of %d", *y.Status.VerifiedCount, *y.Status.ArtifactsCount), strings.Join(y.Status.Warnings, "; ")}
	for _, a := range y.Status.Artifacts {
		out = append(out, fmt.Sprint(a.Key, " ", a.SHA256, " ", a.State))
	}
	for _, s := range w.stores() {
		contents := s.Contents()
		for _, key := range slices.Sorted(maps.Keys(contents)) {
			if !strings.HasPrefix(key, layout.Private) {
				out = append(out, s.Bucket()+" "+key+" "+strings.Join(versionsOf(w.t, s, key), ","))
			}
		}
		for _, a := range y.Status.Artifacts {
			out = append(out, fmt.Sprint(s.Bucket(), a.Key, versionsOf(w.t, s, a.Key), versionsOf(w.t, s, a.Key+layout.MetadataSuffix), versionsOf(w.t, s, movedKey(string(y.UID), a.Key))))
		}
		for upload, err := range s.ListUploads(w.t.Context(), "") {
			w.must(err)
			out = append(out, "upload "+upload.Key)
		}
	}
	record := w.record(y)
	for _, a := range record.Artifacts {
		out = append(out, fmt.Sprint(a.Key, a.SHA256, a.Mode, a.Tombstoned.IsZero(), a.Published.IsZero(), a.Bytes.IsZero(), a.Purged.IsZero(), a.Verified.IsZero(), len(a.Probes)))
		for _, s := range a.Stores {
			for _, v := range s.Versions {
				out = append(out, fmt.Sprint(s.Store, v.Key, v.ETag, v.SizeBytes, v.Fate))
			}
		}
	}
	out = append(out, fmt.Sprint(record.Warnings, record.Requester, len(record.Pages)))
	for _, f := range w.catalog().Files {
		tombstones, err := json.Marshal(len(f.Tombstones))
		w.must(err)
		out = append(out, fmt.Sprint(f.Name, f.State, string(tombstones)))
	}
	text := strings.Join(out, "\n")
	return strings.ReplaceAll(text, string(y.UID), "UID")
}

func TestAnUnversionedBucketMovesTheBytesAfterCheckingTheCopy(t *testing.T) {
	w := newWorld(t, unversioned)
	bad, _ := w.published()
	w.watch(bad)
	_, data := wheelOf("2.9.0+spyre", "")
	y := w.yank(v1alpha1.YankQuarantine)
	w.settle(y)
	w.wantConditions(y, "AccessBlocked=True/Blocked", "Ready=True/Verified")
	moved := "_lanes/quarantine/" + string(y.UID) + "/" + bad
	contents := w.primary.Contents()
	if _, there := contents[bad]; there || contents[moved] != string(data) {
		t.Errorf("original there: %v, copy of %d bytes", there, len(contents[moved]))
	}
	if v := w.record(y).Artifacts[0].Stores[0].Versions; len(v) == 0 || v[0].Fate != fateMoved {
		t.Errorf("evidence %+v", v)
	}
	w.edit(y, func(s *v1alpha1.YankSpec) { s.Mode = v1alpha1.YankHardDelete })
	w.settle(y)
	w.wantConditions(y, "Deleted=True/Destroyed", "Ready=True/Verified")
	if _, there := w.primary.Contents()[moved]; there {
		t.Error("the copy survives the destruction")
	}
}

func TestACopyWithOtherBytesKeepsTheOriginal(t *testing.T) {
	w := newWorld(t, unversioned)
	bad, _ := w.published()
	y := w.yank(v1alpha1.YankQuarantine)
	w.primary.FailAfter(func(op, key string) error {
		if op == objectstore.OpCopy {
			w.primary.Seed(key, []byte("torn"), fakeSeed())
		}
		return nil
	})
	if _, err := w.pass(y); err == nil {
		t.Fatal("no error")
	}
	w.wantConditions(y, "AccessBlocked=False/BytesFailed")
	w.wantMessage(y, v1alpha1.AccessBlockedCondition, "the copy at")
	if _, there := w.primary.Contents()[bad]; !there {
		t.Error("the only good copy is gone")
	}
}

func TestHardDeleteFinishesWithEveryKindOfVersioning(t *testing.T) {
	for name, options := range map[string][]option{"enabled": nil, "suspended": {suspended}, "never": {unversioned}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options...)
			bad, good := w.published()
			w.primary.StartUpload(bad)
			kept := w.primary.StartUpload(good)
			y := w.yank(v1alpha1.YankHardDelete)
			w.settle(y)
			w.wantConditions(y, "Deleted=True/Destroyed", "Ready=True/Verified")
			if got := versionsOf(t, w.primary, bad); len(got) > 0 {
				t.Errorf("left: %v", got)
			}
			var uploads []string
			for u, err := range w.primary.ListUploads(t.Context(), "") {
				w.must(err)
				uploads = append(uploads, u.ID)
			}
			if !slices.Equal(uploads, []string{kept}) {
				t.Errorf("unfinished uploads %v, want %s alone", uploads, kept)
			}
			if a := w.record(y).Artifacts[0]; a.Stores[0].AbortedUploads != 1 || a.Stores[0].Versions[0].Fate != fateDestroyed {
				t.Errorf("evidence %+v", a.Stores)
			}
		})
	}
}

func TestDestructionReachesWhatAnotherYankMovedAway(t *testing.T) {
	w := newWorld(t, unversioned)
	w.published()
	first := w.yank(v1alpha1.YankQuarantine, restore)
	w.settle(first)
	w.settle(w.yank(v1alpha1.YankHardDelete))
	for key := range w.primary.Contents() {
		if strings.HasPrefix(key, "_lanes/quarantine/") {
			t.Errorf("%s survives", key)
		}
	}
	w.delete(first)
	w.settle(first)
	if !w.gone(first) {
		t.Error("the first Yank cannot be deleted")
	}
}

func TestAVersionStoredDuringTheDestructionIsNotMissed(t *testing.T) {
	w := newWorld(t)
	bad, _ := w.published()
	_, data := wheelOf("2.9.0+spyre", "")
	y := w.yank(v1alpha1.YankHardDelete)
	raced := false
	w.primary.FailAfter(func(op, key string) error {
		if op == objectstore.OpDeleteVersion && key == bad && !raced {
			raced = true
			w.primary.Seed(bad, data, fake.SeedOptions{})
		}
		return nil
	})
	if _, err := w.pass(y); err == nil {
		t.Fatal("the version that came in is overlooked")
	}
	w.wantConditions(y, "Deleted=False/BytesFailed")
	w.settle(y)
	w.wantConditions(y, "Deleted=True/Destroyed", "Ready=True/Verified")
	if got := versionsOf(t, w.primary, bad); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}
