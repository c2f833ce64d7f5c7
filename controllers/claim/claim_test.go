package claim

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func owner(cluster, namespace, name string) Owner {
	return Owner{Cluster: cluster, Namespace: namespace, Name: name, UID: "uid-" + namespace + "-" + name}
}

func at(second int) time.Time { return time.Date(2026, 11, 23, 12, 0, second, 0, time.UTC) }

func recorded(o Owner) *Record { return &Record{Platform: "spyre", Owner: o, Since: at(0)} }

func TestDecide(t *testing.T) {
	a, b, c := owner("prod", "ns-a", "lane"), owner("prod", "ns-b", "lane"), owner("prod", "ns-b", "other")
	elsewhere := owner("staging", "ns-a", "lane")
	again := a
	again.UID = "uid-of-a-lane-created-again"
	for name, x := range map[string]struct {
		record     *Record
		contenders []Contender
		holder     Owner
		basis      Basis
		stale      bool
	}{
		"first comer":                       {nil, []Contender{{a, at(5), false}}, a, BasisOldest, true},
		"oldest":                            {nil, []Contender{{a, at(5), false}, {b, at(4), false}}, b, BasisOldest, true},
		"same age, by namespace":            {nil, []Contender{{b, at(5), false}, {a, at(5), false}}, a, BasisOldest, true},
		"same age and namespace, by name":   {nil, []Contender{{c, at(5), false}, {b, at(5), false}}, b, BasisOldest, true},
		"recorded beats oldest":             {recorded(a), []Contender{{a, at(5), false}, {b, at(4), false}}, a, BasisRecorded, false},
		"recorded and deleting holds on":    {recorded(a), []Contender{{a, at(5), true}, {b, at(6), false}}, a, BasisRecorded, false},
		"recorded is gone":                  {recorded(a), []Contender{{b, at(4), false}, {c, at(3), false}}, c, BasisOldest, true},
		"deleting takes nothing":            {recorded(a), []Contender{{b, at(4), true}, {c, at(5), false}}, c, BasisOldest, true},
		"only deleting":                     {nil, []Contender{{b, at(4), true}}, Owner{}, BasisNobody, false},
		"another cluster holds":             {recorded(elsewhere), []Contender{{a, at(1), false}}, elsewhere, BasisRecorded, false},
		"created again":                     {recorded(a), []Contender{{again, at(9), false}, {b, at(4), false}}, a, BasisRecorded, false},
		"nobody wants it":                   {nil, nil, Owner{}, BasisNobody, false},
		"nobody here, recorded for another": {recorded(elsewhere), nil, elsewhere, BasisRecorded, false},
	} {
		t.Run(name, func(t *testing.T) {
			want := Decision{Platform: "spyre", Holder: x.holder, Basis: x.basis, Stale: x.stale}
			if got := Decide("spyre", x.record, x.contenders); got != want {
				t.Errorf("Decide = %+v, want %+v", got, want)
			}
			slices.Reverse(x.contenders)
			if got := Decide("spyre", x.record, x.contenders); got != want {
				t.Errorf("in another order Decide = %+v, want %+v", got, want)
			}
		})
	}
}

func TestDecisionSpeaks(t *testing.T) {
	a, b, elsewhere := owner("prod", "ns-a", "lane"), owner("prod", "ns-b", "lane"), owner("staging", "ns-a", "lane")
	again := a
	again.UID = "another"
	held := Decide("spyre", recorded(a), []Contender{{a, at(1), false}, {b, at(1), false}})
	if !held.HeldBy(a) || !held.HeldBy(again) || held.HeldBy(b) || held.HeldBy(elsewhere) {
		t.Errorf("HeldBy is wrong about %+v", held)
	}
	nobody := Decide("spyre", nil, nil)
	if nobody.HeldBy(Owner{}) {
		t.Error("nobody's platform is held by the zero owner")
	}
	for want, got := range map[string]string{
		"held by the lane ns-a/lane; this lane takes over": held.Message(b),
		"this lane holds":                  held.Message(a),
		"nobody holds":                     nobody.Message(a),
		"_lanes/spyre/claim.json":          Decide("spyre", recorded(elsewhere), []Contender{{a, at(1), false}}).Message(a),
		"ns-a/lane of the cluster staging": Decide("spyre", recorded(elsewhere), []Contender{{a, at(1), false}}).Message(a),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("message %q lacks %q", got, want)
		}
	}
}

func TestRecordRoundTrip(t *testing.T) {
	want := Record{Platform: "spyre", Owner: owner("prod", "ns-a", "lane"), Since: at(7)}
	raw, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const golden = `{
  "version": 1,
  "platform": "spyre",
  "owner": {
    "cluster": "prod",
    "namespace": "ns-a",
    "name": "lane",
    "uid": "uid-ns-a-lane"
  },
  "since": "2026-11-23T12:00:07Z"
}
`
	if string(raw) != golden {
		t.Errorf("Encode = %s", raw)
	}
	got, err := Decode("spyre", raw)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Decode = %+v, %v", got, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	raw, err := Record{Platform: "spyre", Owner: owner("prod", "ns-a", "lane"), Since: at(7)}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	for name, c := range map[string]struct{ text, message string }{
		"empty":             {"", "not JSON"},
		"null":              {"null", "version 0"},
		"later version":     {strings.Replace(good, `"version": 1`, `"version": 2, "new": true`, 1), "upgrade the operator"},
		"unknown field":     {strings.Replace(good, `"since"`, `"extra": 1, "since"`, 1), "extra"},
		"unknown in owner":  {strings.Replace(good, `"uid"`, `"extra": 1, "uid"`, 1), "extra"},
		"two documents":     {good + good, "after"},
		"trailing garbage":  {good + "}", "after"},
		"another platform":  {strings.Replace(good, "spyre", "other", 1), "speaks of"},
		"no cluster":        {strings.Replace(good, `"prod"`, `""`, 1), "owner.cluster"},
		"control character": {strings.Replace(good, `"prod"`, `"a\nb"`, 1), "owner.cluster"},
		"not ASCII":         {strings.Replace(good, `"prod"`, `"prоd"`, 1), "owner.cluster"},
		"too long a name":   {strings.Replace(good, `"lane"`, `"`+strings.Repeat("a", 254)+`"`, 1), "owner.name"},
		"no time":           {strings.Replace(good, "2026-11-23T12:00:07Z", "0001-01-01T00:00:00Z", 1), "since"},
		"too large":         {good + strings.Repeat(" ", MaxRecordBytes), "limit"},
	} {
		if _, err := Decode("spyre", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.message)
		}
	}
	if _, err := (Record{Platform: "spyre"}).Encode(); err == nil {
		t.Error("a record without an owner was written")
	}
}

func TestReserved(t *testing.T) {
	for _, name := range []string{
		"nightly", "test", "variant", "preview", "cpu", "xpu", "libtorch", "platforms", "release", "pytorch",
		"cu", "cu118", "cu118full", "rocm", "rocm6", "rocmx", "torch", "torchvision", "torchnew", "numpy", "triton", "vllm", "zipp", "aiohttp",
	} {
		if why, reserved := Reserved(name); !reserved || !strings.Contains(why, name) {
			t.Errorf("%s is free, want reserved (%q)", name, why)
		}
	}
	for _, name := range []string{"spyre", "gaudi", "ascend", "custom", "cuda", "cpux", "xpu2", "tpu", "nightlyx"} {
		if why, reserved := Reserved(name); reserved {
			t.Errorf("%s is reserved: %s", name, why)
		}
	}
	if !slices.IsSorted(rootProjects) || len(slices.Compact(slices.Clone(rootProjects))) != len(rootProjects) {
		t.Error("rootProjects must be sorted and without duplicates: it is searched by halves")
	}
}

func FuzzDecode(f *testing.F) {
	raw, err := Record{Platform: "spyre", Owner: owner("prod", "ns-a", "lane"), Since: at(7)}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Decode("spyre", raw)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if back, err := Decode("spyre", again); err != nil || back.Owner != r.Owner {
			t.Fatalf("%+v became %+v (%v)", r, back, err)
		}
	})
}
