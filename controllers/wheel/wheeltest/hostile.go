package wheeltest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

// A HostileWheel must be refused.
type HostileWheel struct {
	// Title says what is wrong with it.
	Title string
	// Filename is the name to upload it under. Some hold slashes or bytes that
	// no key of a real store would have.
	Filename string
	Data     []byte
	// Reason is why package wheel refuses it, for a lane of the platform that
	// publishes torch.
	Reason wheel.Reason
}

// Hostile is a corpus of wheels that a lane of the platform must not list.
func Hostile(platform string) ([]HostileWheel, error) {
	base := Wheel{Project: "torch", Version: "2.9.0+" + platform, RequiresPython: ">=3.10"}
	good, err := base.Bytes()
	if err != nil {
		return nil, err
	}
	all := hostileNames(base, good)
	for _, more := range []func(Wheel) ([]HostileWheel, error){hostileMetadata, hostileContents} {
		cases, err := more(base)
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	prefixed, err := pack([]byte("#!/bin/sh\n"), base.files())
	if err != nil {
		return nil, err
	}
	return append(all, hostileBytes(base, good, prefixed)...), nil
}

// hostileNames are good wheels under names that must not be listed.
func hostileNames(base Wheel, good []byte) []HostileWheel {
	name, version := base.Filename(), base.Version
	renamed := func(from, to string) string { return strings.Replace(name, from, to, 1) }
	var all []HostileWheel
	add := func(title, filename string, reason wheel.Reason) {
		all = append(all, HostileWheel{title, filename, good, reason})
	}
	add("percent-encoded plus", renamed("+", "%2B"), wheel.ReasonFilenameCharacters)
	add("plus decoded to a blank", renamed("+", " "), wheel.ReasonFilenameCharacters)
	add("KELVIN SIGN", renamed("torch", "\u212aeras"), wheel.ReasonFilenameCharacters)
	add("dotless i", renamed("torch", "p\u0131p"), wheel.ReasonFilenameCharacters)
	add("right-to-left override", renamed("torch", "torch\u202e"), wheel.ReasonFilenameCharacters)
	add("not UTF-8", renamed("torch", "torch\xff"), wheel.ReasonFilenameCharacters)
	add("markup", renamed("torch", `torch"><script>alert(1)</script>`), wheel.ReasonFilenameCharacters)
	add("quote", renamed("torch", `torch"`), wheel.ReasonFilenameCharacters)
	add("ampersand", renamed("torch", "torch&amp;"), wheel.ReasonFilenameCharacters)
	add("fragment", name+"#sha256=00", wheel.ReasonFilenameCharacters)
	add("NUL", renamed("torch", "torch\x00"), wheel.ReasonFilenameCharacters)
	add("newline", name+"\n", wheel.ReasonFilenameCharacters)
	add("escape sequence", renamed("torch", "\x1b[2Jtorch"), wheel.ReasonFilenameCharacters)
	add("slash", "../"+name, wheel.ReasonFilenameCharacters)
	add("backslash", `..\`+name, wheel.ReasonFilenameCharacters)
	add("dots for a project", renamed("torch", ".."), wheel.ReasonFilenameProject)
	add("no project", renamed("torch", ""), wheel.ReasonFilenameProject)
	add("two underscores", renamed("torch", "torch__x"), wheel.ReasonFilenameProject)
	add("two extensions", name+".whl", wheel.ReasonFilenameExtension)
	add("two extensions in capitals", strings.TrimSuffix(name, ".whl")+".WHL.whl", wheel.ReasonFilenameExtension)
	add("extension in capitals", strings.TrimSuffix(name, ".whl")+".WHL", wheel.ReasonFilenameExtension)
	add("another extension", strings.TrimSuffix(name, ".whl")+".zip", wheel.ReasonFilenameExtension)
	add("nothing but the extension", ".whl", wheel.ReasonFilenameParts)
	add("empty", "", wheel.ReasonFilenameExtension)
	add("too few parts", "torch-"+version+"-py3-none.whl", wheel.ReasonFilenameParts)
	add("too many parts", renamed("-py3", "-1-2-py3"), wheel.ReasonFilenameParts)
	add("not a version", renamed(version, "latest"), wheel.ReasonFilenameVersion)
	add("build tag without a digit", renamed("-py3", "-x-py3"), wheel.ReasonFilenameBuild)
	add("empty tag", renamed("-none-", "--"), wheel.ReasonFilenameTags)
	add("empty member of a tag", renamed("py3", "py3..py2"), wheel.ReasonFilenameTags)
	add("more tags than allowed", renamed("py3-none-any", strings.Repeat("a.", 20)+"b-"+strings.Repeat("a.", 20)+"b-any"), wheel.ReasonFilenameTags)
	add("too long", renamed("any", strings.Repeat("a", 300)), wheel.ReasonFilenameTooLong)
	add("no local version", renamed(version, "2.9.0"), wheel.ReasonLocalVersion)
	add("platform as the beginning of a label", renamed(version, version+"x"), wheel.ReasonLocalVersion)
	add("platform as the second label", renamed("+", "+cpu."), wheel.ReasonLocalVersion)
	add("another package", renamed("torch", "pip"), wheel.ReasonPackageNotAllowed)
	add("package as the beginning of another", renamed("torch", "torchx"), wheel.ReasonPackageNotAllowed)
	add("second spelling of the version", renamed("2.9.0", "2.09.0"), wheel.ReasonFilenameNotNormalized)
	add("platform in capitals", renamed(version, strings.ToUpper(version)), wheel.ReasonFilenameNotNormalized)
	add("tags in capitals", renamed("py3", "PY3"), wheel.ReasonFilenameNotNormalized)
	return all
}

// hostileMetadata are well-formed archives with METADATA that lies.
func hostileMetadata(base Wheel) ([]HostileWheel, error) {
	text := string(base.MetadataBytes())
	renamed := func(from, to string) []byte { return []byte(strings.Replace(text, from, to, 1)) }
	var all []HostileWheel
	for _, c := range []struct {
		title    string
		metadata []byte
		reason   wheel.Reason
	}{
		{"METADATA of another project", renamed("Name: torch", "Name: pip"), wheel.ReasonMetadataMismatch},
		{"METADATA of another version", renamed("2.9.0+", "2.9.1+"), wheel.ReasonMetadataMismatch},
		{"METADATA without local version", renamed(base.Version, "2.9.0"), wheel.ReasonMetadataMismatch},
		{"METADATA with a second name", renamed("Version: 2.9", "NAME: pip\nVersion: 2.9"), wheel.ReasonMetadataMalformed},
		{"METADATA that begins with a continuation", append([]byte(" x\n"), text...), wheel.ReasonMetadataMalformed},
		{"METADATA with a NUL", renamed("Summary: ", "Summary: \x00"), wheel.ReasonMetadataMalformed},
		{"METADATA with a folded name", renamed("Name: torch", "Name:\n torch"), wheel.ReasonMetadataMalformed},
		{"METADATA without name", renamed("Name: torch\n", ""), wheel.ReasonMetadataMalformed},
		{"METADATA with a line that is no field", renamed("Summary:", "From x\nSummary:"), wheel.ReasonMetadataMalformed},
		{"METADATA with a lone carriage return", renamed("Summary: ", "Summary: x\rName: pip"), wheel.ReasonMetadataMalformed},
		{"METADATA that is not UTF-8", renamed("Summary: ", "Summary: \xff"), wheel.ReasonMetadataMalformed},
		{"METADATA that is empty", []byte{}, wheel.ReasonMetadataMalformed},
		{"METADATA of a future version", renamed("Metadata-Version: 2.1", "Metadata-Version: 3.0"), wheel.ReasonMetadataVersion},
		{"Requires-Python that is no specifier", renamed(">=3.10", "3.10"), wheel.ReasonRequiresPython},
		{"Requires-Python with markup", renamed(">=3.10", `>=3"><script>`), wheel.ReasonRequiresPython},
		{"METADATA that inflates without end", append([]byte(text), make([]byte, 48<<20)...), wheel.ReasonMetadataTooLarge},
	} {
		w := base
		w.Metadata = c.metadata
		data, err := w.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.title, err)
		}
		all = append(all, HostileWheel{c.title, base.Filename(), data, c.reason})
	}
	return all, nil
}

// hostileContents are archives whose list of entries is wrong.
func hostileContents(base Wheel) ([]HostileWheel, error) {
	var (
		dist     = base.DistInfo() + "/"
		metadata = File{Name: dist + "METADATA", Data: base.MetadataBytes()}
		plain    = func(name string) File { return File{Name: name, Data: []byte("x")} }
		all      []HostileWheel
		failed   error
	)
	// add builds the good wheel, changed by edit.
	add := func(title string, reason wheel.Reason, edit func([]File) []File) {
		data, err := Pack(edit(base.files()))
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", title, err)
		}
		all = append(all, HostileWheel{title, base.Filename(), data, reason})
	}
	with := func(more ...File) func([]File) []File {
		return func(files []File) []File { return append(more, files...) }
	}
	without := func(name string) func([]File) []File {
		return func(files []File) []File {
			return slices.DeleteFunc(files, func(f File) bool { return f.Name == dist+name })
		}
	}
	// change edits METADATA's entry.
	change := func(edit func(*File)) func([]File) []File {
		return func(files []File) []File {
			edit(&files[slices.IndexFunc(files, func(f File) bool { return f.Name == metadata.Name })])
			return files
		}
	}
	add("a second dist-info", wheel.ReasonDistInfoNotUnique, with(plain("pip-26.0.dist-info/METADATA")))
	add("a second dist-info in other case", wheel.ReasonDistInfoNotUnique, with(plain("Torch-1.DIST-INFO/METADATA")))
	add("a second dist-info through .data", wheel.ReasonDistInfoNotUnique,
		with(plain("torch-"+base.Version+".data/purelib/pip-26.0.dist-info/METADATA")))
	add("dist-info of another version", wheel.ReasonDistInfoMismatch, func(files []File) []File {
		for i := range files {
			files[i].Name = strings.Replace(files[i].Name, "torch-2.9.0", "torch-2.9.1", 1)
		}
		return files
	})
	add("no dist-info", wheel.ReasonDistInfoNotUnique, func(files []File) []File { return files[:1] })
	for _, name := range []string{"METADATA", "WHEEL", "RECORD"} {
		add("no "+name, wheel.ReasonDistInfoIncomplete, without(name))
	}
	add("METADATA twice", wheel.ReasonZipAmbiguous, with(metadata))
	add("METADATA as file and directory", wheel.ReasonZipAmbiguous, with(File{Name: metadata.Name + "/", Stored: true}))
	add("encrypted METADATA", wheel.ReasonZipEncrypted, change(func(f *File) { f.Flags = 1 }))
	add("METADATA that declares a smaller size", wheel.ReasonZipMalformed,
		change(func(f *File) { f.Data, f.Size = append(f.Data, make([]byte, 32<<20)...), 200 }))
	add("METADATA that declares 1 GiB", wheel.ReasonZipLimit, change(func(f *File) { f.Size = 1 << 30 }))
	add("METADATA that declares 8 MiB", wheel.ReasonMetadataTooLarge, change(func(f *File) { f.Size = 8 << 20 }))
	add("METADATA that declares a larger size", wheel.ReasonZipMalformed, change(func(f *File) { f.Size = uint64(len(f.Data) + 1) }))
	add("stored METADATA of two sizes", wheel.ReasonZipMalformed, change(func(f *File) { f.Stored, f.Size = true, 10 }))
	add("METADATA with junk behind it", wheel.ReasonZipAmbiguous, change(func(f *File) { f.Junk = []byte("junk") }))
	add("a stored entry of two sizes", wheel.ReasonZipMalformed, with(File{Name: "torch/x", Data: []byte("x"), Stored: true, Size: 2}))
	add("an entry of 1 EiB", wheel.ReasonZipLimit, with(File{Name: "torch/big", Data: []byte("x"), Size: 1 << 60}))
	add("a second name in an extra field", wheel.ReasonZipMalformed,
		with(File{Name: "torch/x", Extra: []byte("\x75\x70\x06\x00\x01\x00\x00\x00\x00y")}))
	add("an extra field without end", wheel.ReasonZipMalformed, change(func(f *File) { f.Extra = []byte("\xff\x00\xff\xff") }))
	for _, name := range []string{
		"../evil.py", "torch/../../evil.py", "/etc/evil", "torch//evil", "torch/./evil", `..\evil.py`, `C:\evil.py`, "C:evil.py",
		"torch/\x00", "torch/e\nvil", "torch/\xff", "torch/\u00e9",
	} {
		add(fmt.Sprintf("entry %q", name), wheel.ReasonZipEntryName, with(plain(name)))
	}
	add("a declared encoding that is another", wheel.ReasonZipEntryName,
		with(File{Name: "torch/\xff", Data: []byte("x"), Flags: 1 << 11}))
	add("a directory with content", wheel.ReasonZipEntryName, with(plain("torch/directory_")))
	last := &all[len(all)-1]
	last.Data = bytes.ReplaceAll(last.Data, []byte("directory_"), []byte("directory/"))
	return all, failed
}

// hostileBytes are the good wheel with its bytes tampered with, and the one
// with a prefix.
func hostileBytes(base Wheel, good, prefixed []byte) []HostileWheel {
	var all []HostileWheel
	add := func(title string, reason wheel.Reason, data []byte) {
		all = append(all, HostileWheel{title, base.Filename(), data, reason})
	}
	const endLen = 22
	le := binary.LittleEndian
	// patched is the good wheel with one byte range replaced.
	patched := func(at int, with ...byte) []byte {
		return append(append(bytes.Clone(good[:at]), with...), good[at+len(with):]...)
	}
	end := len(good) - endLen
	metadataName := []byte(base.DistInfo() + "/METADATA")
	localName := bytes.Index(good, metadataName)
	directoryName := bytes.LastIndex(good, metadataName)
	start := int(le.Uint32(good[end+16:]))

	add("empty file", wheel.ReasonZipMalformed, nil)
	add("a page of HTML", wheel.ReasonZipMalformed, []byte("<!DOCTYPE html><html><body>404</body></html>"))
	add("cut short", wheel.ReasonZipMalformed, good[:len(good)-endLen])
	add("cut within the end record", wheel.ReasonZipMalformed, good[:len(good)-1])
	add("bytes after the end", wheel.ReasonZipAmbiguous, append(bytes.Clone(good), "trailing"...))
	add("a second archive after the end", wheel.ReasonZipAmbiguous, append(bytes.Clone(good), good...))
	add("a second end record in the comment", wheel.ReasonZipAmbiguous, func() []byte {
		data := append(bytes.Clone(good), good[end:]...)
		le.PutUint16(data[end+20:], endLen)
		return data
	}())
	add("bytes before the beginning", wheel.ReasonZipAmbiguous, append([]byte("#!/bin/sh\n"), good...))
	add("a hidden entry before the directory", wheel.ReasonZipAmbiguous, insertHidden(good, start, end))
	add("bytes before the beginning that every offset counts", wheel.ReasonZipAmbiguous, prefixed)
	add("a hidden record in the directory", wheel.ReasonZipAmbiguous, func() []byte {
		record := good[directoryName-46 : directoryName+len(metadataName)]
		data := slices.Concat(good[:end], record, good[end:])
		put32(data[end+len(record)+12:], end-start+len(record))
		return data
	}())
	long := zip64(good, start, end)
	add("two end records that disagree", wheel.ReasonZipAmbiguous, func() []byte {
		data := bytes.Clone(long)
		put32(data[len(data)-6:], start-1)
		return data
	}())
	add("a ZIP64 locator that points elsewhere", wheel.ReasonZipAmbiguous, func() []byte {
		data := bytes.Clone(long)
		put64(data[len(data)-endLen-12:], end-1)
		return data
	}())
	add("an entry that overlaps", wheel.ReasonZipAmbiguous, patched(directoryName-26, 0xff, 0x7f))
	add("METADATA under two names", wheel.ReasonZipAmbiguous, patched(localName, 'x'))
	add("METADATA of two sizes", wheel.ReasonZipAmbiguous, patched(localName-8, good[localName-8]+1))
	add("METADATA of two checksums", wheel.ReasonZipAmbiguous, patched(localName-16, good[localName-16]+1))
	add("METADATA of two methods", wheel.ReasonZipAmbiguous, patched(localName-22, 0))
	add("METADATA of two sets of flags", wheel.ReasonZipAmbiguous, patched(localName-24, 2))
	add("METADATA that does not inflate", wheel.ReasonZipMalformed, patched(localName+len(metadataName), 0xff))
	add("METADATA not where it should be", wheel.ReasonZipMalformed, patched(localName-30, 'X'))
	add("unknown compression", wheel.ReasonZipCompression, patched(directoryName-36, 14))
	add("entries on another disk", wheel.ReasonZipMalformed, patched(end+4, 1))
	add("fewer entries than the directory", wheel.ReasonZipAmbiguous, patched(end+8, good[end+8]-1, 0, good[end+10]-1))
	add("more entries than the directory", wheel.ReasonZipMalformed, patched(end+8, good[end+8]+1, 0, good[end+10]+1))
	add("65534 entries declared", wheel.ReasonZipMalformed, patched(end+8, 0xfe, 0xff, 0xfe, 0xff))
	add("a directory of 4 GB declared", wheel.ReasonZipLimit, patched(end+12, 0xfe, 0xff, 0xff, 0xff))
	add("a directory elsewhere", wheel.ReasonZipAmbiguous, patched(end+16, 0))
	add("a ZIP64 locator that points nowhere", wheel.ReasonZipAmbiguous,
		append(append(bytes.Clone(good[:end]), "PK\x06\x07\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x00\x00\x00"...), good[end:]...))
	add("no entries", wheel.ReasonZipMalformed, append([]byte("PK\x05\x06"), make([]byte, endLen-4)...))
	return all
}

// zip64 is the good wheel with the long end record that it does not need.
func zip64(good []byte, start, end int) []byte {
	le := binary.LittleEndian
	short := good[end:]
	entries := uint64(le.Uint16(short[10:]))
	rec := append([]byte("PK\x06\x06"), make([]byte, 52)...)
	le.PutUint64(rec[4:], 44)
	le.PutUint64(rec[24:], entries)
	le.PutUint64(rec[32:], entries)
	put64(rec[40:], end-start)
	put64(rec[48:], start)
	locator := append([]byte("PK\x06\x07"), make([]byte, 16)...)
	put64(locator[8:], end)
	le.PutUint32(locator[16:], 1)
	return slices.Concat(good[:end], rec, locator, short)
}

// insertHidden puts an entry in front of the directory that the directory does
// not list: an installer that streams the archive would unpack it.
func insertHidden(good []byte, start, end int) []byte {
	hidden, err := Pack([]File{{Name: "evil.pth", Data: []byte("import evil")}})
	if err != nil {
		panic(err) // a constant archive
	}
	hidden = hidden[:bytes.LastIndex(hidden, []byte("PK\x01\x02"))]
	data := slices.Concat(good[:start], hidden, good[start:])
	put32(data[end+len(hidden)+16:], start+len(hidden))
	return data
}

// put32 and put64 write an offset into one of these archives, which are small.
func put32(to []byte, offset int) {
	binary.LittleEndian.PutUint32(to, uint32(offset)) //nolint:gosec // far below 4 GB
}

func put64(to []byte, offset int) {
	binary.LittleEndian.PutUint64(to, uint64(offset)) //nolint:gosec // not negative
}
