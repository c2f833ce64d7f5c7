package index_test

import (
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

// neverListed fails the test when any write puts a file on a page.
func (w *world) neverListed(name string) {
	w.store.FailAfter(func(op, key string) error {
		if op == objectstore.OpPut && strings.Contains(key, "/index.") && listedIn(w.store.Contents()[key], name) {
			w.t.Errorf("%s was listed on %s", name, key)
		}
		return nil
	})
}

func TestStandingYankTakesNewUploadsBackUnseen(t *testing.T) {
	for _, mode := range []v1alpha1.YankMode{v1alpha1.YankIndexRemoval, v1alpha1.YankQuarantine, v1alpha1.YankHardDelete} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			good := w.upload("2.8.0")
			w.sync()
			w.rule(mode, v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.*"})
			bad := w.upload("2.9.0")
			w.neverListed(bad)
			w.sync()
			w.wantListed(good, true)
			w.wantListed(bad, false)
			f := w.entry(bad)
			if len(f.Tombstones) != 1 || f.Tombstones[0].SHA256 != f.SHA256 || f.SHA256 == "" {
				t.Errorf("entry %+v", f)
			}
			if _, ok := w.store.Contents()[folder+bad+".metadata"]; ok == mode.BlocksAccess() {
				t.Errorf("METADATA is published: %v", ok)
			}
		})
	}
}

func TestStandingYankByHashCatchesAnotherName(t *testing.T) {
	w := newWorld(t)
	name := w.upload("2.9.0")
	w.sync()
	w.rule(v1alpha1.YankIndexRemoval, v1alpha1.YankSelector{SHA256: []string{w.entry(name).SHA256}})
	w.neverListed("nothing")
	w.sync()
	w.wantListed(name, false)
}

func TestStandingYankByVersionTakesRejectedFilesToo(t *testing.T) {
	w := newWorld(t)
	name := strings.Replace(w.upload("1.0"), "1.0", "2.9.0", 1)
	w.store.Seed(folder+name, []byte("no zip"), seedPage)
	w.rule(v1alpha1.YankQuarantine, v1alpha1.YankSelector{Package: "torch", Versions: "==2.9.*"})
	w.sync()
	if f := w.entry(name); f.State != catalog.StateRejected || len(f.Tombstones) != 1 {
		t.Errorf("entry %+v", f)
	}
}

// TestTombstoneOutlivesTheBytes: gone, uploaded again, after a restart, without
// the Yank.
func TestTombstoneOutlivesTheBytes(t *testing.T) {
	w := newWorld(t)
	name := w.upload("2.9.0")
	w.sync()
	w.bury(v1alpha1.YankQuarantine, name)
	for _, key := range []string{folder + name, folder + name + ".metadata"} {
		if _, err := w.store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if report := w.sync(); report.Resurfaced {
		t.Error("nothing has resurfaced yet")
	}
	if f := w.entry(name); f.State != catalog.StateGone || len(f.Tombstones) != 1 {
		t.Errorf("entry %+v", f)
	}
	w.neverListed(name)
	again := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.10"}
	w.store.Seed(folder+name, bytesOf(t, again), fake.SeedOptions{Modified: start.Add(time.Hour)})
	w.engine = w.another()
	if report := w.sync(); !report.Resurfaced {
		t.Error("the bytes are back and nobody says so")
	}
	w.wantListed(name, false)
	if f := w.entry(name); !f.UploadTime.Equal(start) {
		t.Errorf("the same bytes are said to be uploaded at %v", f.UploadTime)
	}
	if _, ok := w.store.Contents()[folder+name+".metadata"]; ok {
		t.Error("METADATA of a file that is out of reach was published")
	}
	w.store.FailAfter(nil)

	// Withdrawn: listed at once without METADATA, with it after the next sync.
	w.exhume(name)
	if err := w.engine.Publish(t.Context(), torch); err != nil {
		t.Fatal(err)
	}
	w.wantListed(name, true)
	if strings.Contains(w.store.Contents()[htmlPage], "data-core-metadata") {
		t.Error("the page names a METADATA file that is not there")
	}
	w.sync()
	w.wantListed(name, true)
	if !strings.Contains(w.store.Contents()[htmlPage], "data-core-metadata") {
		t.Error("the page does not name the METADATA file")
	}
}

// A Sync that began while a Yank stood ends after it was restored: it must not
// bury what nobody would dig up again.
func TestRestoredYankBuriesNothing(t *testing.T) {
	w := newWorld(t)
	name := w.upload("2.9.0")
	w.sync()
	w.rule(v1alpha1.YankIndexRemoval, v1alpha1.YankSelector{Package: "torch"})
	stands := false
	w.lane.Rules[0].InForce = func() bool { return stands }
	w.sync()
	w.wantListed(name, true)
	stands = true
	w.sync()
	w.wantListed(name, false)
}
