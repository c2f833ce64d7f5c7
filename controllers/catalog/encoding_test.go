package catalog_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	v1alpha1 "github.com/pytorch/platform-lane-operator/api/v1alpha1"
	"github.com/pytorch/platform-lane-operator/controllers/catalog"
)

func TestEncodeRoundTrip(t *testing.T) {
	full := catalog.File{
		Name: `x<&"'>.whl`, ETag: "e", VersionID: "v", Size: 1 << 40, SHA256: "ab", Version: "1.0+a", UploadTime: noon.Add(time.Microsecond),
		RequiresPython: ">=3.10,<4", MetadataSHA256: "cd", MetadataETag: "f", Provenance: "gh",
		ProvenanceETag: "i", ProvenanceUnder: "j", ProvenanceReason: "k", ProvenanceMessage: "l", Published: "mn",
		State: catalog.StateOverwritten, Reason: "R", Message: "multi\nline \u2028", DueTime: noon,
	}
	full.Tombstones = []catalog.Tombstone{{
		UID: "u", Namespace: "n", Name: "m", Mode: v1alpha1.YankHardDelete, Reason: "r", AdvisoryID: "CVE-1", AdvisoryURL: "https://x/",
		Requester: "me", Time: noon, SHA256: "ab", Size: 5, VersionID: "v",
	}}
	for _, c := range []*catalog.Catalog{
		catalog.New("spyre", v1alpha1.ChannelTest, "torch"),
		torch(listed("a"), listed("b")),
		{
			Format: catalog.Format, Platform: "spyre", Channel: v1alpha1.ChannelNightly, Project: "torch", Revision: 7,
			PurgedRevision: 6, Retired: true, Retention: catalog.Retention{Policy: "days=90", Since: noon}, Stale: []string{"a", "b"}, Files: []catalog.File{full},
		},
	} {
		data := mustEncode(t, c)
		if c.Footprint() < int64(len(c.Files)) {
			t.Errorf("a footprint of %d bytes", c.Footprint())
		}
		if lines := strings.Count(string(data), "\n"); lines != len(c.Files)+2 && len(c.Files) > 0 {
			t.Errorf("%d files take %d lines", len(c.Files), lines)
		}
		back, err := catalog.Decode(data)
		if err != nil {
			t.Fatalf("Decode(%s): %v", data, err)
		}
		if len(back.Files) == 0 {
			back.Files = c.Files // nil and empty mean the same
		}
		if !reflect.DeepEqual(c, back) {
			t.Errorf("read back\n%+v\nwant\n%+v", back, c)
		}
		if string(mustEncode(t, back)) != string(data) {
			t.Error("the stored form is not stable")
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const head = `{"format":1,"platform":"spyre","channel":"release","project":"torch","revision":1,"files":[`
	good := `{"name":"a","etag":"e","size":1,"uploadTime":"2026-03-01T12:00:00Z","state":"Listed"}`
	with := func(tombstone string) string {
		return head + strings.TrimSuffix(good, "}") + `,"tombstones":[` + tombstone + `]}]}`
	}
	if _, err := catalog.Decode([]byte(head + good + "]}")); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.Decode([]byte(with(`{"uid":"u","namespace":"n","name":"m","mode":"Flag","reason":"r","time":"2026-03-01T12:00:00Z"}`))); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ data, want string }{
		"nothing":                    {"", "EOF"},
		"half of it":                 {head + good, "EOF"},
		"no JSON":                    {"<html>", "invalid character"},
		"an older format":            {`{"format":0,"files":[]}`, "format 0"},
		"a newer format":             {`{"format":2,"files":[]}`, "run the operator version that wrote it"},
		"a newer format with news":   {`{"format":2,"news":{},"files":[]}`, "run the operator version that wrote it"},
		"an unknown field":           {`{"format":1,"news":{},"files":[]}`, "news"},
		"an unknown field of a file": {head + strings.Replace(good, `"etag"`, `"news"`, 1) + "]}", "news"},
		"something after the end":    {head + good + "]}{}", "follows its end"},
		"rubbish after the end":      {head + good + "]} x", "follows its end"},
		"a field twice":              {`{"format":1,"platform":"a","platform":"b","files":[]}`, "there twice"},
		"a field in capitals":        {`{"format":1,"Platform":"a","files":[]}`, "Platform"},
		"a list":                     {`[]`, "expected"},
		"files that are no list":     {`{"format":1,"files":{}}`, "no list"},
		"stale names out of order":   {`{"format":1,"stale":["b","a"],"files":[]}`, "not sorted"},
		"the same file twice":        {head + good + "," + good + "]}", "not sorted"},
		"an unknown state":           {head + strings.Replace(good, "Listed", "Fine", 1) + "]}", `unknown state "Fine"`},
		"a tombstone without mode":   {with(`{"uid":"u"}`), "without mode or uid"},
		"a tombstone of a new mode":  {with(`{"uid":"u","mode":"Vanish"}`), "without mode or uid"},
		"a tombstone of nobody":      {with(`{"mode":"Flag"}`), "without mode or uid"},
	} {
		c, err := catalog.Decode([]byte(test.data))
		if err == nil || !strings.Contains(err.Error(), test.want) || c != nil {
			t.Errorf("%s: Decode = %+v, %v; want an error about %q", name, c, err, test.want)
		}
	}
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	for name, spoil := range map[string]func(*catalog.Catalog){
		"format":    func(c *catalog.Catalog) { c.Format = 2 },
		"order":     func(c *catalog.Catalog) { c.Files[0], c.Files[1] = c.Files[1], c.Files[0] },
		"state":     func(c *catalog.Catalog) { c.Files[0].State = "" },
		"tombstone": func(c *catalog.Catalog) { c.Files[0].Tombstones = []catalog.Tombstone{{UID: "u"}} },
		"time":      func(c *catalog.Catalog) { c.Files[0].UploadTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		c := torch(listed("a"), listed("b"))
		spoil(c)
		if data, err := c.Encode(); err == nil {
			t.Errorf("%s: Encode wrote %s", name, data)
		}
	}
}

// TestLinesAreWhatTheStandardLibraryWrites holds the hand-written line against
// json.Marshal, with each field set alone and all of them at once: a new field
// cannot be forgotten.
func TestLinesAreWhatTheStandardLibraryWrites(t *testing.T) {
	values := map[reflect.Type]any{
		reflect.TypeFor[string]():              "a<b>&\"\\\u2028\x7f\xff é\n",
		reflect.TypeFor[int64]():               int64(-5),
		reflect.TypeFor[time.Time]():           noon.Add(time.Microsecond),
		reflect.TypeFor[catalog.State]():       catalog.StateListed,
		reflect.TypeFor[[]catalog.Tombstone](): []catalog.Tombstone{tombstone("u", v1alpha1.YankFlag)},
		reflect.TypeFor[*catalog.Link]():       &catalog.Link{URL: "https://files.example.com/a<b>", Yanked: true, YankReason: "é"},
	}
	all := catalog.File{State: catalog.StateListed}
	files := []catalog.File{{State: catalog.StateListed}}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[catalog.File]()) {
		value, ok := values[field.Type]
		if !ok {
			t.Fatalf("the test knows no value for field %s", field.Name)
		}
		one := catalog.File{State: catalog.StateListed}
		for _, f := range []*catalog.File{&one, &all} {
			reflect.ValueOf(f).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(value))
		}
		files = append(files, one)
	}
	for _, f := range append(files, all) {
		want, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Split(string(mustEncode(t, &catalog.Catalog{Format: catalog.Format, Files: []catalog.File{f}})), "\n")[1]
		if got != string(want) {
			t.Errorf("wrote\n%s, want\n%s", got, want)
		}
	}
}

// broken is a stream that ends early.
type broken struct{ data *strings.Reader }

func (b broken) Read(p []byte) (int, error) {
	if n, err := b.data.Read(p); err == nil {
		return n, nil
	}
	return 0, errBroken
}

var errBroken = errors.New("connection reset")

// A connection that breaks says nothing about the catalog.
func TestReadTellsABrokenStream(t *testing.T) {
	data := string(mustEncode(t, torch(listed("a"), listed("b"))))
	for n := range len(data) - 1 { // It ends with a line feed that nobody misses.
		_, err := catalog.Read(broken{strings.NewReader(data[:n])}, 0)
		if !errors.Is(err, errBroken) || strings.Contains(err.Error(), "restore") {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		if _, err := catalog.Decode([]byte(data[:n])); err == nil {
			t.Fatalf("half a catalog was read, %d bytes", n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	yanked := listed("x.whl")
	yanked.Bury(tombstone("a", v1alpha1.YankFlag))
	seed, err := torch(yanked, listed("y.whl")).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := catalog.Decode(data)
		if err != nil {
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := catalog.Decode(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, again)
		}
		if !c.SamePages(back) || len(c.Files) != len(back.Files) {
			t.Errorf("writing changed the catalog:\n%s\n%s", data, again)
		}
	})
}
