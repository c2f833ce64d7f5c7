package catalog_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
	"github.com/pytorch/platform-lane-operator/controllers/pages"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func listed(name string) catalog.File {
	return catalog.File{
		Name: name, ETag: "etag-" + name, VersionID: "v1", Size: 10, SHA256: strings.Repeat("a", 64),
		Version: "2.9.0+spyre", UploadTime: noon, State: catalog.StateListed,
	}
}

func tombstone(uid string, mode v1alpha1.YankMode) catalog.Tombstone {
	return catalog.Tombstone{UID: uid, Namespace: "ns", Name: "yank-" + uid, Mode: mode, Reason: "why " + uid, Time: noon}
}

func torch(files ...catalog.File) *catalog.Catalog {
	c := catalog.New("spyre", v1alpha1.ChannelRelease, "torch")
	for _, f := range files {
		c.Put(f)
	}
	return c
}

func mustEncode(t *testing.T, c *catalog.Catalog) []byte {
	t.Helper()
	data, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOnPage(t *testing.T) {
	flag, removal := tombstone("a", v1alpha1.YankFlag), tombstone("b", v1alpha1.YankIndexRemoval)
	unknown := tombstone("c", "Vanish")
	for name, test := range map[string]struct {
		state           catalog.State
		sha256          string
		tombstones      []catalog.Tombstone
		listed, flagged bool
		reason          string
	}{
		"listed":                    {state: catalog.StateListed, sha256: "ab", listed: true},
		"without hash":              {state: catalog.StateListed},
		"rejected":                  {state: catalog.StateRejected, sha256: "ab"},
		"overwritten":               {state: catalog.StateOverwritten, sha256: "ab"},
		"gone":                      {state: catalog.StateGone, sha256: "ab"},
		"flagged":                   {state: catalog.StateListed, sha256: "ab", tombstones: []catalog.Tombstone{flag}, listed: true, flagged: true, reason: "why a"},
		"removed":                   {state: catalog.StateListed, sha256: "ab", tombstones: []catalog.Tombstone{removal}},
		"the strongest one counts":  {state: catalog.StateListed, sha256: "ab", tombstones: []catalog.Tombstone{flag, removal}},
		"in any order":              {state: catalog.StateListed, sha256: "ab", tombstones: []catalog.Tombstone{removal, flag}},
		"quarantined":               {state: catalog.StateListed, sha256: "ab", tombstones: []catalog.Tombstone{tombstone("a", v1alpha1.YankQuarantine)}},
		"deleted":                   {state: catalog.StateListed, sha256: "ab", tombstones: []catalog.Tombstone{tombstone("a", v1alpha1.YankHardDelete)}},
		"an unknown mode is no one": {state: catalog.StateListed, sha256: "ab", tombstones: []catalog.Tombstone{unknown, flag}, listed: true, flagged: true, reason: "why a"},
	} {
		f := catalog.File{State: test.state, SHA256: test.sha256, Tombstones: test.tombstones}
		if l, fl, r := f.OnPage(); l != test.listed || fl != test.flagged || r != test.reason {
			t.Errorf("%s: OnPage() = %v %v %q, want %v %v %q", name, l, fl, r, test.listed, test.flagged, test.reason)
		}
	}
}

func TestBuryOnlyRaises(t *testing.T) {
	f := listed("x.whl")
	steps := []struct {
		mode    v1alpha1.YankMode
		changed bool
		now     v1alpha1.YankMode
	}{
		{v1alpha1.YankIndexRemoval, true, v1alpha1.YankIndexRemoval},
		{v1alpha1.YankIndexRemoval, false, v1alpha1.YankIndexRemoval},
		{v1alpha1.YankFlag, false, v1alpha1.YankIndexRemoval},
		{v1alpha1.YankHardDelete, true, v1alpha1.YankHardDelete},
		{v1alpha1.YankQuarantine, false, v1alpha1.YankHardDelete},
		{"Vanish", false, v1alpha1.YankHardDelete},
	}
	for _, step := range steps {
		if got := f.Bury(tombstone("a", step.mode)); got != step.changed {
			t.Errorf("Bury(%s) = %v, want %v", step.mode, got, step.changed)
		}
		if e, ok := f.Effective(); !ok || e.Mode != step.now || len(f.Tombstones) != 1 {
			t.Errorf("after Bury(%s): %+v", step.mode, f.Tombstones)
		}
	}
}

func TestBuryRecordsTheBytes(t *testing.T) {
	good := listed("x.whl")
	good.Bury(tombstone("a", v1alpha1.YankFlag))
	if got := good.Tombstones[0]; got.SHA256 != good.SHA256 || got.Size != good.Size || got.VersionID != good.VersionID {
		t.Errorf("tombstone of a listed file does not record its bytes: %+v", got)
	}
	good.SHA256, good.VersionID = strings.Repeat("b", 64), "v2"
	good.Bury(tombstone("a", v1alpha1.YankQuarantine))
	if got := good.Tombstones[0]; got.SHA256 != strings.Repeat("a", 64) || got.VersionID != "v1" {
		t.Errorf("raising a tombstone changed what it records: %+v", got)
	}
	bad := catalog.File{Name: "x.whl", State: catalog.StateOverwritten, SHA256: "ab", Size: 3}
	bad.Bury(tombstone("a", v1alpha1.YankFlag))
	if got := bad.Tombstones[0]; got.SHA256 != "" {
		t.Errorf("tombstone of an overwritten file claims to know its bytes: %+v", got)
	}
}

func TestBuryRefusesWhatCannotBeReadBack(t *testing.T) {
	f := listed("x.whl")
	for _, bad := range []catalog.Tombstone{tombstone("", v1alpha1.YankFlag), tombstone("a", ""), tombstone("a", "Vanish")} {
		if f.Bury(bad) || len(f.Tombstones) != 0 {
			t.Errorf("Bury(%+v) set it", bad)
		}
	}
}

func TestTombstonesAreIndependent(t *testing.T) {
	f := listed("x.whl")
	for _, uid := range []string{"c", "a", "b"} {
		f.Bury(tombstone(uid, v1alpha1.YankQuarantine))
	}
	if !slices.IsSortedFunc(f.Tombstones, func(a, b catalog.Tombstone) int { return strings.Compare(a.UID, b.UID) }) {
		t.Errorf("tombstones are not sorted: %+v", f.Tombstones)
	}
	if !f.Exhume("b") || f.Exhume("b") || f.Exhume("") {
		t.Error("Exhume does not tell whether there was one")
	}
	if _, yanked := f.Effective(); !yanked || len(f.Tombstones) != 2 {
		t.Errorf("taking one Yank back took others: %+v", f.Tombstones)
	}
}

func TestFilesStaySortedAndUnique(t *testing.T) {
	c := torch(listed("c"), listed("a"), listed("b"), listed("a"))
	var names []string
	for _, f := range c.Files {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, ""); got != "abc" {
		t.Errorf("files are %q", got)
	}
	if c.Find("b") == nil || c.Find("b").Name != "b" || c.Find("bb") != nil {
		t.Error("Find is wrong")
	}
	c.Drop("b")
	c.Drop("zz")
	if c.Find("b") != nil || len(c.Files) != 2 {
		t.Errorf("Drop left %+v", c.Files)
	}
}

func TestTombstonesOutliveTheirFile(t *testing.T) {
	yanked := listed("x.whl")
	yanked.Bury(tombstone("a", v1alpha1.YankQuarantine))
	c := torch(yanked)
	c.Drop("x.whl")
	again := listed("x.whl")
	again.SHA256 = strings.Repeat("b", 64)
	again.Tombstones = []catalog.Tombstone{tombstone("a", v1alpha1.YankFlag), tombstone("b", v1alpha1.YankFlag)}
	c.Put(again)
	f := c.Find("x.whl")
	if f == nil || f.SHA256 != again.SHA256 || len(f.Tombstones) != 2 || f.Tombstones[0].Mode != v1alpha1.YankQuarantine {
		t.Fatalf("a new judgement weakened a tombstone: %+v", f)
	}
	c.Put(listed("x.whl"))
	if f = c.Find("x.whl"); len(f.Tombstones) != 2 || f.Tombstones[0].SHA256 != "" {
		t.Errorf("a new judgement changed tombstones: %+v", f.Tombstones)
	}
	if again.Tombstones[0].Mode != v1alpha1.YankFlag {
		t.Error("Put wrote into its argument")
	}
	if on, _, _ := f.OnPage(); on {
		t.Error("a new judgement brought a file back")
	}
}

func TestCloneSharesNothing(t *testing.T) {
	f := listed("x.whl")
	f.Bury(tombstone("a", v1alpha1.YankFlag))
	c := torch(f, listed("y.whl"))
	before := mustEncode(t, c)
	clone := c.Clone()
	if !reflect.DeepEqual(c, clone) {
		t.Fatal("the clone differs")
	}
	clone.Files[0].Bury(tombstone("a", v1alpha1.YankHardDelete))
	clone.Files[0].Bury(tombstone("b", v1alpha1.YankFlag))
	clone.Files[1].State = catalog.StateRejected
	clone.Drop("y.whl")
	clone.Put(listed("a.whl"))
	if string(mustEncode(t, c)) != string(before) {
		t.Error("a change of the clone changed the original")
	}
}

// TestPutAllIsPut adds files in every order and place.
func TestPutAllIsPut(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		yanked := listed("m")
		yanked.Bury(tombstone("a", v1alpha1.YankFlag))
		one, all := torch(yanked), torch(yanked)
		for range random.IntN(6) {
			f := listed(string(rune('a' + random.IntN(26))))
			one.Put(f)
			all.Put(f)
		}
		var files []catalog.File
		for _, i := range random.Perm(26)[:random.IntN(26)] {
			f := listed(string(rune('a' + i)))
			f.Size = random.Int64N(100)
			files = append(files, f)
			one.Put(f)
		}
		all.PutAll(files)
		if !reflect.DeepEqual(one, all) {
			t.Fatalf("PutAll(%v):\n%s\nwant\n%s", files, mustEncode(t, all), mustEncode(t, one))
		}
	}
}

func TestCopiesThatAreOwed(t *testing.T) {
	c := torch()
	if !c.OweCopies("b", "a") || c.OweCopies("a") || !slices.Equal(c.Stale, []string{"a", "b"}) {
		t.Errorf("owed: %v", c.Stale)
	}
	clone := c.Clone()
	if !clone.SettleCopies("a", "c") || clone.SettleCopies("c") || !slices.Equal(clone.Stale, []string{"b"}) || len(c.Stale) != 2 {
		t.Errorf("left: %v, of the original %v", clone.Stale, c.Stale)
	}
}

func TestExpiredFileKeepsItsNameAndHash(t *testing.T) {
	f := listed("x.whl")
	f.MetadataSHA256, f.MetadataETag, f.RequiresPython = "ab", "cd", ">=3.10"
	f.Expire(noon)
	if on, _, _ := f.OnPage(); on || f.SHA256 == "" || f.Published != f.SHA256 || f.Version == "" || f.MetadataSHA256 != "" || !f.DueTime.Equal(noon) {
		t.Errorf("expired: %+v", f)
	}
	if !f.Forget() || f.Forget() || f.ETag != "" || f.VersionID != "" || f.SHA256 == "" {
		t.Errorf("forgotten: %+v", f)
	}
}

func TestFileKey(t *testing.T) {
	c := catalog.New("spyre", v1alpha1.ChannelNightly, "torch")
	if got := c.FileKey("x.whl"); got != "whl/nightly/spyre/x.whl" {
		t.Errorf("FileKey = %q", got)
	}
	c.Project = "libtorch"
	if got := c.FileKey("x.zip"); got != "libtorch/nightly/spyre/x.zip" {
		t.Errorf("FileKey = %q", got)
	}
}

// TestSamePagesMeansSamePages holds SamePages against the pages themselves: it
// must never call two catalogs the same whose pages differ, for then a change
// would get no new revision.
func TestSamePagesMeansSamePages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	same, different := 0, 0
	for range 4000 {
		a := torch(listed("a.whl"), listed("b.whl"), listed("c.whl"))
		b := a.Clone()
		for range random.IntN(3) {
			mutate(random, b)
		}
		equal := true
		for i, page := range pages.Project(a, "https://example.org") {
			equal = equal && string(page.Body) == string(pages.Project(b, "https://example.org")[i].Body)
		}
		if got := a.SamePages(b); got != equal || b.SamePages(a) != equal {
			t.Fatalf("SamePages = %v, pages equal %v:\n%s\n%s", got, equal, mustEncode(t, a), mustEncode(t, b))
		}
		if equal {
			same++
		} else {
			different++
		}
	}
	if same < 100 || different < 100 {
		t.Fatalf("%d same, %d different: the generator is broken", same, different)
	}
}

func mutate(random *rand.Rand, c *catalog.Catalog) {
	f := &c.Files[random.IntN(len(c.Files))]
	switch random.IntN(18) {
	case 0:
		f.Size++
	case 1:
		f.SHA256 = strings.Repeat("b", 64)
	case 2:
		f.Version = "2.9.1+spyre"
	case 3:
		f.UploadTime = f.UploadTime.Add(time.Second)
	case 4:
		f.RequiresPython = ">=3.10"
	case 5:
		f.MetadataSHA256 = strings.Repeat("c", 64)
	case 6:
		f.Provenance = strings.Repeat("d", 64)
	case 7:
		f.State = catalog.StateRejected
	case 8:
		f.Bury(tombstone("a", v1alpha1.YankFlag))
	case 9:
		f.Bury(tombstone("b", v1alpha1.YankQuarantine))
	case 10:
		c.Retired = true
	case 11:
		c.Files = slices.Delete(c.Files, 1, 2)
	case 12:
		c.Put(listed("d.whl"))
	case 13:
		f.ETag = "other"
	case 14:
		f.Message, f.VersionID, f.MetadataETag = "other", "v9", "other"
	case 15:
		c.PurgedRevision = 9
	case 16:
		c.OweCopies("a.whl")
		c.Retention.Policy, f.DueTime = "days=1", noon
	case 17:
		f.Expire(noon)
	}
}

func ExampleCatalog_Encode() {
	c := catalog.New("spyre", v1alpha1.ChannelRelease, "torch")
	c.Put(catalog.File{Name: "torch-2.9.0+spyre-py3-none-any.whl", ETag: "e", Size: 1, UploadTime: noon, State: catalog.StateListed})
	data, err := c.Encode()
	fmt.Printf("%s%v\n", data, err)
	// Output:
	// {"format":1,"platform":"spyre","channel":"release","project":"torch","revision":0,"files":[
	// {"name":"torch-2.9.0+spyre-py3-none-any.whl","etag":"e","size":1,"uploadTime":"2026-03-01T12:00:00Z","state":"Listed"}
	// ]}
	// <nil>
}
