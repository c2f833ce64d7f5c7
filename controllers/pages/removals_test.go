package pages_test

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

func TestRemovalsOf(t *testing.T) {
	at := time.Date(2026, 3, 1, 13, 0, 0, 5, time.FixedZone("x", 3600))
	c := catalog.New("spyre", v1alpha1.ChannelNightly, "torch")
	c.Put(catalog.File{Name: "kept.whl", SHA256: "aa", State: catalog.StateListed})
	c.Put(catalog.File{Name: "never-hashed.whl", State: catalog.StateRejected, Size: 4, Tombstones: []catalog.Tombstone{
		{UID: "1", Mode: v1alpha1.YankQuarantine, Reason: "r", Time: at, Requester: "secret@example.org", Namespace: "secret-ns", Name: "secret-name"},
	}})
	c.Put(catalog.File{Name: "replaced.whl", SHA256: "bb", Size: 2, State: catalog.StateListed, Tombstones: []catalog.Tombstone{
		{UID: "1", Mode: v1alpha1.YankHardDelete, Reason: "r", SHA256: "aa", Size: 1, Time: at, AdvisoryID: "CVE-1", AdvisoryURL: "https://example.org/1"},
	}})
	c.Put(catalog.File{Name: "twice.whl", SHA256: "cc", Size: 3, State: catalog.StateGone, Tombstones: []catalog.Tombstone{
		{UID: "1", Mode: v1alpha1.YankFlag, Reason: "first", SHA256: "cc", Size: 3, Time: at},
		{UID: "2", Mode: v1alpha1.YankHardDelete, Reason: "second", SHA256: "cc", Size: 3, Time: at.Add(time.Hour)},
	}})
	want := `{"format":1,"platform":"spyre",
"removals":[
{"file":"never-hashed.whl","channel":"nightly","project":"torch","sizeBytes":0,"mode":"Quarantine","reason":"r","time":"2026-03-01T12:00:00Z"},
{"file":"replaced.whl","channel":"nightly","project":"torch","sha256":"aa","sizeBytes":1,"mode":"HardDelete","reason":"r","advisory":{"id":"CVE-1","url":"https://example.org/1"},"time":"2026-03-01T12:00:00Z"},
{"file":"replaced.whl","channel":"nightly","project":"torch","sha256":"bb","sizeBytes":2,"mode":"HardDelete","reason":"r","advisory":{"id":"CVE-1","url":"https://example.org/1"},"time":"2026-03-01T12:00:00Z"},
{"file":"twice.whl","channel":"nightly","project":"torch","sha256":"cc","sizeBytes":3,"mode":"Flag","reason":"first","time":"2026-03-01T12:00:00Z"},
{"file":"twice.whl","channel":"nightly","project":"torch","sha256":"cc","sizeBytes":3,"mode":"HardDelete","reason":"second","time":"2026-03-01T13:00:00Z"}
]}
`
	if got := string(pages.Removals("spyre", pages.RemovalsOf([]*catalog.Catalog{c})).Body); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRemovalsDoNotDependOnTheirOrder(t *testing.T) {
	var catalogs []*catalog.Catalog
	for _, channel := range []v1alpha1.ChannelName{v1alpha1.ChannelRelease, v1alpha1.ChannelNightly} {
		for _, project := range []string{"torch", "torch-xla"} {
			c := sample()
			c.Channel, c.Project = channel, project
			catalogs = append(catalogs, c)
		}
	}
	entries := pages.RemovalsOf(catalogs)
	advised := entries[0]
	advised.Advisory = &pages.RemovalAdvisory{ID: "CVE-1"}
	reworded := entries[0]
	reworded.Reason = "another reason"
	entries = append(entries, advised, reworded)
	want := pages.Removals("spyre", entries)
	var feed struct {
		Removals []pages.Removal `json:"removals"`
	}
	if err := json.Unmarshal(want.Body, &feed); err != nil || len(feed.Removals) != 18 {
		t.Fatalf("%v, %d removals:\n%s", err, len(feed.Removals), want.Body)
	}
	for range 20 {
		rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		first := entries[0]
		if got := pages.Removals("spyre", entries); got.ETag() != want.ETag() || entries[0] != first {
			t.Fatal("the feed depends on the order of its entries, or changes them")
		}
	}
}
