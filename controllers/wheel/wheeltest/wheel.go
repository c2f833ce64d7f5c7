package wheeltest

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
)

// A Wheel describes a stand-in wheel. Project and Version are required.
type Wheel struct {
	// Project is the project's name, in any spelling.
	Project string
	// Version is written as given; use the normalised form.
	Version string
	// Build is the build tag, usually empty.
	Build string
	// Tag is "python-abi-platform", possibly compressed; py3-none-any if empty.
	Tag string
	// RequiresPython is left out of METADATA if empty.
	RequiresPython string
	// PadTo is the size in bytes that the wheel should reach, with bytes that
	// do not compress; a wheel that is larger anyway gets no padding.
	PadTo int
	// Metadata replaces the METADATA file if it is not nil.
	Metadata []byte
}

// Filename is the name under which the wheel is published.
func (w Wheel) Filename() string {
	parts := []string{w.module(), w.Version}
	if w.Build != "" {
		parts = append(parts, w.Build)
	}
	return strings.Join(append(parts, w.tag()), "-") + ".whl"
}

// Bytes builds the wheel. It fails only for a description that no archive can
// hold.
func (w Wheel) Bytes() ([]byte, error) {
	files := w.files()
	data, err := Pack(files)
	if err != nil || len(data) >= w.PadTo {
		return data, err
	}
	padding := File{Name: w.module() + "/lib/padding.bin", Stored: true}
	// The padding's own headers and RECORD line cost under 1 KiB.
	padding.Data = noise(w.Filename(), max(0, w.PadTo-len(data)))
	return Pack(w.record(append(files[:len(files)-1], padding)))
}

// MetadataBytes is the METADATA file of the wheel.
func (w Wheel) MetadataBytes() []byte {
	if w.Metadata != nil {
		return w.Metadata
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Metadata-Version: 2.1\nName: %s\nVersion: %s\n", w.Project, w.Version)
	b.WriteString("Summary: Stand-in for tests\n")
	if w.RequiresPython != "" {
		fmt.Fprintf(&b, "Requires-Python: %s\n", w.RequiresPython)
	}
	b.WriteString("\nA stand-in: it holds nothing but its version.\n")
	return []byte(b.String())
}

func (w Wheel) tag() string {
	if w.Tag == "" {
		return "py3-none-any"
	}
	return w.Tag
}

// module is the name of the package that the wheel installs, which is also the
// project's part of the file name.
func (w Wheel) module() string {
	return strings.ToLower(strings.NewReplacer("-", "_", ".", "_").Replace(w.Project))
}

// DistInfo is the wheel's metadata directory, without a slash.
func (w Wheel) DistInfo() string { return w.module() + "-" + w.Version + ".dist-info" }

// files are the wheel's entries, RECORD last.
func (w Wheel) files() []File {
	return w.record([]File{
		{Name: w.module() + "/__init__.py", Data: fmt.Appendf(nil, "__version__ = %q\n", w.Version)},
		{Name: w.DistInfo() + "/METADATA", Data: w.MetadataBytes()},
		{Name: w.DistInfo() + "/WHEEL", Data: w.wheelFile()},
	})
}

func (w Wheel) wheelFile() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Wheel-Version: 1.0\nGenerator: wheeltest\nRoot-Is-Purelib: %t\n", strings.HasSuffix(w.tag(), "-any"))
	if w.Build != "" {
		fmt.Fprintf(&b, "Build: %s\n", w.Build)
	}
	sets := strings.Split(w.tag(), "-")
	if len(sets) == 3 {
		for python := range strings.SplitSeq(sets[0], ".") {
			for abi := range strings.SplitSeq(sets[1], ".") {
				for platform := range strings.SplitSeq(sets[2], ".") {
					fmt.Fprintf(&b, "Tag: %s-%s-%s\n", python, abi, platform)
				}
			}
		}
	}
	return []byte(b.String())
}

// record appends RECORD, which lists every file with its hash and size.
func (w Wheel) record(files []File) []File {
	name := w.DistInfo() + "/RECORD"
	var b strings.Builder
	for _, f := range files {
		sum := sha256.Sum256(f.Data)
		fmt.Fprintf(&b, "%s,sha256=%s,%d\n", f.Name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.Data))
	}
	b.WriteString(name + ",,\n")
	return append(files[:len(files):len(files)], File{Name: name, Data: []byte(b.String())})
}

// noise is n bytes that do not compress, always the same for one seed.
func noise(seed string, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(data) // never fails
	return data
}

// A File is one entry of an archive.
type File struct {
	Name string
	Data []byte
	// Stored entries are not compressed.
	Stored bool
	// Flags are added to the flags of both headers.
	Flags uint16
	// Extra is the extra field of both headers.
	Extra []byte
	// Size replaces the declared unpacked size if it is not zero.
	Size uint64
	// Junk follows the data within the entry.
	Junk []byte
}

// Pack builds an archive of the files in their order, the way zip tools do
// that know the sizes in advance: no data descriptors, no gaps.
func Pack(files []File) ([]byte, error) { return pack(nil, files) }

// pack builds an archive whose offsets count from the beginning of prefix.
func pack(prefix []byte, files []File) ([]byte, error) {
	out := bytes.NewBuffer(prefix)
	archive := zip.NewWriter(out)
	archive.SetOffset(int64(len(prefix)))
	for _, f := range files {
		header := &zip.FileHeader{
			Name:               f.Name,
			Method:             zip.Deflate,
			Flags:              f.Flags,
			Extra:              f.Extra,
			CRC32:              crc32.ChecksumIEEE(f.Data),
			UncompressedSize64: uint64(len(f.Data)),
		}
		header.SetMode(0o644)
		packed := f.Data
		if f.Stored {
			header.Method = zip.Store
		} else {
			var err error
			if packed, err = deflate(f.Data); err != nil {
				return nil, err
			}
		}
		packed = append(packed[:len(packed):len(packed)], f.Junk...)
		header.CompressedSize64 = uint64(len(packed))
		if f.Size != 0 {
			header.UncompressedSize64 = f.Size
		}
		w, err := archive.CreateRaw(header)
		if err != nil {
			return nil, fmt.Errorf("add %q: %w", f.Name, err)
		}
		if _, err := w.Write(packed); err != nil {
			return nil, fmt.Errorf("add %q: %w", f.Name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("finish the archive: %w", err)
	}
	return out.Bytes(), nil
}

func deflate(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
