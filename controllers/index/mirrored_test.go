package index_test

import (
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/objectstore"
	"github.com/pytorch/platform-lane-operator/controllers/objectstore/fake"
)

// What a mirror holds under a listed name has to be what the primary holds.
func TestAMirrorsFilesAreComparedWithThePrimarys(t *testing.T) {
	for what, body := range map[string]func(good []byte) []byte{
		"the same":               func(good []byte) []byte { return good },
		"nothing yet":            nil,
		"other bytes":            func([]byte) []byte { return otherBytes(t, "2.9.0") },
		"as many bytes of other": func(good []byte) []byte { return append([]byte("X"), good[1:]...) },
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			mirror := fake.New("mirror")
			w.engine = w.another(mirror)
			name := w.upload("2.9.0")
			w.settle(w.engine)
			wrong := strings.Contains(what, "other")
			if body != nil {
				mirror.Seed(folder+name, body([]byte(w.store.Contents()[folder+name])), fake.SeedOptions{})
			}
			for range 2 { // It is not forgotten at rest.
				report, err := w.engine.Sync(t.Context(), w.lane, torch.Channel)
				if err != nil {
					t.Fatal(err)
				}
				if got := report.MirrorErr != nil && strings.Contains(report.MirrorErr.Error(), folder+name); got != wrong {
					t.Errorf("the mirror's error is %v", report.MirrorErr)
				}
			}
			w.store.ResetCalls()
			mirror.ResetCalls()
			if _, err := w.engine.Sync(t.Context(), w.lane, torch.Channel); err != nil {
				t.Fatal(err)
			}
			if calls := mirror.Calls(); calls[objectstore.OpHead]+calls[objectstore.OpGet]+calls[objectstore.OpPut] != 0 {
				t.Errorf("comparing costs %v", calls)
			}
			mirror.SeedDelete(folder + name)
			w.settle(w.engine)
		})
	}
}

// A METADATA file that was mended on the primary is replaced on a mirror that
// holds the old one; one that holds none fetches it.
func TestAMirrorsMetadataIsReplaced(t *testing.T) {
	w := newWorld(t)
	old, empty := fake.New("old"), fake.New("empty")
	w.engine = w.another(old, empty)
	name := w.upload("2.9.0")
	w.settle(w.engine)
	key := folder + name + ".metadata"
	old.Seed(key, []byte("Metadata-Version: 2.1\n"), fake.SeedOptions{})
	w.settle(w.engine)
	if got, want := old.Contents()[key], w.store.Contents()[key]; got != want || want == "" {
		t.Errorf("the mirror holds %q, want %q", got, want)
	}
	if got, there := empty.Contents()[key]; there {
		t.Errorf("a mirror that held none was given %q", got)
	}
	old.ResetCalls()
	w.sync()
	if calls := old.Calls(); calls[objectstore.OpPut] != 0 {
		t.Errorf("at rest: %v", calls)
	}
}
