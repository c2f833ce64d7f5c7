package wheel_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/wheel"
	"github.com/pytorch/platform-lane-operator/controllers/wheel/wheeltest"
)

var rules = wheel.Rules{Platform: "spyre", Packages: []string{"torch", "Torch_XLA"}, MaxBytes: 1 << 40}

// stored is a wheel in memory that counts what is read from it.
type stored struct {
	data  []byte
	reads int
	bytes int64
}

func (s *stored) read(_ context.Context, offset, length int64) ([]byte, error) {
	s.reads++
	s.bytes += length
	if offset < 0 || length <= 0 || offset+length > int64(len(s.data)) {
		return nil, fmt.Errorf("range %d+%d of %d bytes was asked for", offset, length, len(s.data))
	}
	return bytes.Clone(s.data[offset:][:length]), nil
}

func judge(name string, data []byte) (wheel.Verdict, *stored, error) {
	s := &stored{data: data}
	verdict, err := wheel.Judge(context.Background(), wheel.File{Name: name, Size: int64(len(data)), Read: s.read}, rules)
	return verdict, s, err
}

func build(t *testing.T, w wheeltest.Wheel) []byte {
	t.Helper()
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestJudgeAcceptsGoodWheels(t *testing.T) {
	for _, w := range []wheeltest.Wheel{
		{Project: "torch", Version: "2.9.0+spyre"},
		{Project: "torch", Version: "2.9.0+spyre.1", RequiresPython: ">=3.10,<3.15"},
		{Project: "torch", Version: "2.10.0.dev20260101+spyre", Tag: "cp312-cp312-manylinux_2_28_x86_64"},
		{Project: "torch", Version: "2.9.0+spyre", Build: "1", Tag: "cp39.cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64"},
		{Project: "Torch.XLA", Version: "2.9.0+spyre"},
		{Project: "torch", Version: "2.9.0+spyre", PadTo: 300 << 10},
		{Project: "torch", Version: "2.9.0+spyre", RequiresPython: ">=3.9", // old tools, other systems
			Metadata: []byte("Metadata-Version: 2.4\r\nNAME: Torch\r\nLicense: one\r\n  two\r\n\tthree\r\nVersion:2.9+spyre \r\nRequires-Python: >=3.9\r\n\r\nName: x")},
	} {
		data := build(t, w)
		got, _, err := judge(w.Filename(), data)
		if err != nil {
			t.Errorf("%s: %v", w.Filename(), err)
			continue
		}
		sum := sha256.Sum256(w.MetadataBytes())
		if !bytes.Equal(got.Metadata, w.MetadataBytes()) || got.MetadataSHA256 != hex.EncodeToString(sum[:]) ||
			got.RequiresPython != w.RequiresPython || got.Filename.String() != w.Filename() {
			t.Errorf("%s: verdict %+v", w.Filename(), got)
		}
	}
}

func TestJudgeRefusesHostileWheels(t *testing.T) {
	corpus, err := wheeltest.Hostile("spyre")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range corpus {
		t.Run(h.Title, func(t *testing.T) {
			_, s, err := judge(h.Filename, h.Data)
			var rejection *wheel.Rejection
			if !errors.As(err, &rejection) || rejection.Reason != h.Reason {
				t.Fatalf("got %v, want %s", err, h.Reason)
			}
			if len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\x00\x1b\n\r\u202e") {
				t.Errorf("the message is not safe to print: %.2000q", err)
			}
			if s.reads > 3 {
				t.Errorf("it took %d reads", s.reads)
			}
		})
	}
}

// TestJudgeReadsLittle holds the budget: two reads for a large wheel, one for
// a small one, and never much more than the tail and METADATA.
func TestJudgeReadsLittle(t *testing.T) {
	for _, test := range []struct {
		padTo, reads int
		bytes        int64
	}{
		{0, 1, 4 << 10},
		{1 << 20, 2, 140 << 10},
		{64 << 20, 2, 2<<20 + 8<<10},
	} {
		w := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", PadTo: test.padTo}
		data := build(t, w)
		// METADATA stands before the padding: it is not in the tail.
		_, s, err := judge(w.Filename(), data)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) < test.padTo || len(data) > test.padTo+4<<10 {
			t.Errorf("asked for %d bytes, got a wheel of %d", test.padTo, len(data))
		}
		if s.reads != test.reads || s.bytes > test.bytes {
			t.Errorf("a wheel of %d bytes took %d reads of %d bytes, the budget is %d and %d", len(data), s.reads, s.bytes, test.reads, test.bytes)
		}
	}
}

// TestJudgeReadsLargeDirectories needs a third read for a directory that does
// not fit into the tail, and ZIP64 records for one of more than 65,535 entries.
func TestJudgeReadsLargeDirectories(t *testing.T) {
	for _, entries := range []int{20_000, 70_000} {
		w := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre"}
		dist := w.DistInfo() + "/"
		files := []wheeltest.File{{Name: dist + "METADATA", Data: w.MetadataBytes()}, {Name: dist + "WHEEL"}, {Name: dist + "RECORD"}}
		for i := range entries {
			files = append(files, wheeltest.File{Name: fmt.Sprintf("torch/include/file%d.h", i), Stored: true, Data: []byte("x")})
		}
		data, err := wheeltest.Pack(files)
		if err != nil {
			t.Fatal(err)
		}
		_, s, err := judge(w.Filename(), data)
		if err != nil {
			t.Fatalf("%d entries: %v", entries, err)
		}
		if s.reads != 3 {
			t.Errorf("%d entries took %d reads, want 3", entries, s.reads)
		}
	}
}

func TestJudgeTellsUnreadableFromBad(t *testing.T) {
	w := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre", PadTo: 1 << 20}
	data := build(t, w)
	lost := errors.New("connection reset")
	for failing := 1; failing <= 2; failing++ {
		for _, short := range []bool{false, true} {
			s := &stored{data: data}
			read := func(ctx context.Context, offset, length int64) ([]byte, error) {
				got, err := s.read(ctx, offset, length)
				if s.reads == failing && short {
					return got[:length/2], err
				}
				if s.reads == failing {
					return nil, lost
				}
				return got, err
			}
			want := lost
			if short {
				want = io.ErrUnexpectedEOF
			}
			_, err := wheel.Judge(t.Context(), wheel.File{Name: w.Filename(), Size: int64(len(data)), Read: read}, rules)
			var rejection *wheel.Rejection
			if !errors.Is(err, want) || errors.As(err, &rejection) {
				t.Errorf("read %d failed (short=%v): got %v", failing, short, err)
			}
		}
	}
}

// TestJudgeAcceptsLongExtraFields needs a second look at METADATA, whose
// contents begin later than the first read assumed.
func TestJudgeAcceptsLongExtraFields(t *testing.T) {
	w := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre"}
	dist := w.DistInfo() + "/"
	data, err := wheeltest.Pack([]wheeltest.File{
		{Name: dist + "METADATA", Data: w.MetadataBytes(), Extra: append([]byte{0xfe, 0xca, 0, 8}, make([]byte, 2048)...)},
		{Name: dist + "WHEEL"}, {Name: dist + "RECORD"},
		{Name: "torch/\u00e9.py", Flags: 1 << 11},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := judge(w.Filename(), data); err != nil {
		t.Error(err)
	}
}

// TestJudgeLooksBehindLargeGaps covers local headers that explain the space
// after their entry, and too many of them.
func TestJudgeLooksBehindLargeGaps(t *testing.T) {
	w := wheeltest.Wheel{Project: "torch", Version: "2.9.0+spyre"}
	dist := w.DistInfo() + "/"
	extra := append([]byte{0xfe, 0xca, 60, 0}, make([]byte, 60)...) // an unknown field of 64 bytes
	for padded, want := range map[int]wheel.Reason{3: "", 30: wheel.ReasonZipAmbiguous} {
		files := []wheeltest.File{
			{Name: dist + "METADATA", Data: w.MetadataBytes(), Extra: extra}, {Name: dist + "WHEEL"}, {Name: dist + "RECORD"},
		}
		for i := range padded {
			files = append(files, wheeltest.File{Name: fmt.Sprintf("torch/%d.py", i), Extra: extra})
		}
		data, err := wheeltest.Pack(files)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = judge(w.Filename(), data)
		var rejection *wheel.Rejection
		switch errors.As(err, &rejection); {
		case want == "" && err != nil:
			t.Errorf("%d padded entries: %v", padded, err)
		case want != "" && (rejection == nil || rejection.Reason != want):
			t.Errorf("%d padded entries: got %v, want %s", padded, err, want)
		}
	}
}

func TestJudgeRefusesLargeFiles(t *testing.T) {
	_, err := wheel.CheckListing("torch-2.9.0+spyre-py3-none-any.whl", rules.MaxBytes+1, rules)
	var rejection *wheel.Rejection
	if !errors.As(err, &rejection) || rejection.Reason != wheel.ReasonFileTooLarge {
		t.Errorf("got %v", err)
	}
	if _, err := wheel.CheckListing("torch-2.9.0+spyre-py3-none-any.whl", rules.MaxBytes, rules); err != nil {
		t.Errorf("a file of exactly the limit: %v", err)
	}
}
