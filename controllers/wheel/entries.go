package wheel

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// Bits of an entry's flags and the compression methods that every installer
// knows (APPNOTE 4.4.4, 4.4.5).
const (
	flagEncryption = 1<<0 | 1<<6 | 1<<13
	flagDescriptor = 1 << 3
	flagPatch      = 1 << 5
	flagUTF8       = 1 << 11

	methodStore   = 0
	methodDeflate = 8
)

const (
	// maxInflation is how many times its size (plus freeInflation bytes) an
	// archive may unpack to. Wheels of torch unpack to about three times.
	maxInflation  = 100
	freeInflation = 64 << 20
	// maxEntryName is the longest name of an entry, in bytes.
	maxEntryName = 1024
	// hiddenEntry is the smallest space in which an entry that the directory
	// does not list could hide: a local header and a name of one byte.
	hiddenEntry = localLen + 1
	// maxLocalReads bounds the local headers that are read because the space
	// around them is large enough to hide something.
	maxLocalReads = 16
	// maxDescriptor is the longest data descriptor: signature, checksum and
	// two ZIP64 sizes.
	maxDescriptor = 24
)

// checkEntries refuses entries that no installer should unpack.
func checkEntries(entries []entry, fileSize int64) error {
	names := make(map[string]struct{}, len(entries))
	var unpacked int64
	for _, e := range entries {
		switch {
		case e.flags&flagEncryption != 0:
			return reject(ReasonZipEncrypted, "the entry %s is encrypted; build the wheel without encryption", quote(e.name))
		case e.flags&flagPatch != 0 || (e.method != methodStore && e.method != methodDeflate):
			return reject(ReasonZipCompression, "the entry %s uses compression method %d; installers read only stored (0) and deflated (8) entries", quote(e.name), e.method)
		case e.method == methodStore && e.compressed != e.size:
			return reject(ReasonZipMalformed, "the entry %s is stored but has two sizes, %d and %d; build the wheel again", quote(e.name), e.compressed, e.size)
		}
		if err := e.checkName(); err != nil {
			return err
		}
		key := strings.TrimSuffix(e.name, "/")
		if _, twice := names[key]; twice {
			return reject(ReasonZipAmbiguous, "the entry %s is in the archive twice; build the wheel again from a clean folder", quote(e.name))
		}
		names[key] = struct{}{}
		if unpacked += e.size; unpacked > freeInflation && unpacked/maxInflation > fileSize {
			return reject(ReasonZipLimit, "the archive unpacks to more than %d times its size; leave out the file that is all zeros", maxInflation)
		}
	}
	return nil
}

// checkName refuses names that leave the target directory, or that two
// installers could read differently.
func (e entry) checkName() error {
	bad := func(why string) error {
		return reject(ReasonZipEntryName, "the entry %s %s; build the wheel again", quote(e.name), why)
	}
	switch {
	case e.name == "" || len(e.name) > maxEntryName:
		return bad("has a name that is empty or too long")
	case !utf8.ValidString(e.name):
		return bad("has a name that is not UTF-8")
	case e.flags&flagUTF8 == 0 && strings.IndexFunc(e.name, func(r rune) bool { return r > 0x7e }) >= 0:
		return bad("has a name of undeclared encoding")
	case strings.ContainsFunc(e.name, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return bad("has control characters in its name")
	case strings.Contains(e.name, `\`):
		return bad("has a backslash in its name")
	case len(e.name) > 1 && e.name[1] == ':':
		return bad("begins with a drive letter")
	case strings.HasSuffix(e.name, "/") && e.size != 0:
		return bad("is a directory with content")
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(e.name, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			return bad("is an absolute path, or has an empty part or dots for a part")
		}
	}
	return nil
}

// checkLayout demands that the entries cover the file from its first byte to
// the directory, one after another: nothing overlaps, nothing hides between.
// What a local header adds to an entry is known only to the local header (its
// extra field, a data descriptor); as long as that space is too small for a
// hidden entry it need not be read.
func checkLayout(ctx context.Context, src *source, dir directory) error {
	sorted := slices.Clone(dir.entries)
	slices.SortFunc(sorted, func(a, b entry) int { return cmp.Compare(a.offset, b.offset) })
	if sorted[0].offset != 0 {
		return reject(ReasonZipAmbiguous, "the archive begins with %d bytes that belong to no entry; build the wheel again", sorted[0].offset)
	}
	reads := 0
	for i, e := range sorted {
		next := dir.start
		if i+1 < len(sorted) {
			next = sorted[i+1].offset
		}
		space := next - e.offset - e.knownRecordLen
		if space < 0 {
			return reject(ReasonZipAmbiguous, "the entry %s overlaps what follows it; build the wheel again", quote(e.name))
		}
		if space < hiddenEntry {
			continue
		}
		if reads++; reads > maxLocalReads {
			return reject(ReasonZipAmbiguous, "more than %d entries are followed by unused space; build the wheel again without padding or alignment", maxLocalReads)
		}
		header, err := src.at(ctx, e.offset, localLen+int64(len(e.name)))
		if err != nil {
			return err
		}
		extraLen, err := e.checkLocal(header)
		if err != nil {
			return err
		}
		if !e.fills(space - extraLen) {
			return reject(ReasonZipAmbiguous, "%d bytes between the entry %s and what follows belong to no entry; build the wheel again", space-extraLen, quote(e.name))
		}
	}
	return nil
}

// fills tells whether rest bytes after the data are a data descriptor, or none.
func (e entry) fills(rest int64) bool {
	if e.flags&flagDescriptor == 0 {
		return rest == 0
	}
	return slices.Contains([]int64{12, 16, 20, maxDescriptor}, rest)
}

// checkLocal compares a local header, given with the name that follows it,
// with the directory. It returns the length of the local extra field in bytes.
func (e entry) checkLocal(header []byte) (extraLen int64, err error) {
	disagree := func(what string) (int64, error) {
		return 0, reject(ReasonZipAmbiguous, "the entry %s has one %s in the archive's directory and another in its own header; build the wheel again", quote(e.name), what)
	}
	fixed, name := header[:localLen], header[localLen:]
	switch {
	case !bytes.HasPrefix(fixed, []byte(localSignature)):
		return 0, reject(ReasonZipMalformed, "the entry %s is not where the archive's directory says; build the wheel again", quote(e.name))
	case int(le.Uint16(fixed[26:])) != len(e.name) || string(name) != e.name:
		return disagree("name")
	case le.Uint16(fixed[6:]) != e.flags:
		return disagree("set of flags")
	case le.Uint16(fixed[8:]) != e.method:
		return disagree("compression method")
	}
	return int64(le.Uint16(fixed[28:])), nil
}

// findMetadata finds the METADATA of the one .dist-info directory, which must
// be named after the file and be complete.
func findMetadata(entries []entry, file Filename) (entry, error) {
	dirs := map[string]struct{}{}
	for _, e := range entries {
		if dir := distInfoDir(e.name); dir != "" {
			dirs[dir] = struct{}{}
		}
	}
	if len(dirs) != 1 {
		return entry{}, reject(ReasonDistInfoNotUnique, "the wheel has %d .dist-info directories and needs exactly one; build it again from a clean folder", len(dirs))
	}
	var dir string
	for dir = range dirs {
	}
	if !namedAfter(dir, file) {
		return entry{}, reject(ReasonDistInfoMismatch, "the directory %s does not belong to the file name %s; do not rename a wheel, build it as the version that its name says", quote(dir), quote(file.String()))
	}
	found := map[string]entry{}
	for _, e := range entries {
		found[e.name] = e
	}
	for _, name := range []string{"METADATA", "WHEEL", "RECORD"} {
		if _, there := found[dir+"/"+name]; !there {
			return entry{}, reject(ReasonDistInfoIncomplete, "the wheel has no %s in %s; build it again with a current tool", name, quote(dir))
		}
	}
	return found[dir+"/METADATA"], nil
}

// distInfoDir is the directory that an installer would take for the metadata
// of a distribution once the entry is unpacked: one at the top, or one that a
// .data directory moves to the top. It is empty for other entries.
func distInfoDir(name string) string {
	parts := strings.Split(name, "/")
	at := 0
	if len(parts) > 2 && strings.HasSuffix(strings.ToLower(parts[0]), ".data") {
		at = 2
	}
	if len(parts) < at+2 || !strings.HasSuffix(strings.ToLower(parts[at]), ".dist-info") {
		return ""
	}
	return strings.Join(parts[:at+1], "/")
}

// namedAfter tells whether a .dist-info directory has the file's project and
// version in its name.
func namedAfter(dir string, file Filename) bool {
	stem, found := strings.CutSuffix(dir, ".dist-info")
	project, version, dash := strings.Cut(stem, "-")
	if !found || !dash {
		return false
	}
	name, err := pep440.NormalizeProject(project)
	if err != nil || name != file.Project {
		return false
	}
	v, err := pep440.Parse(version)
	return err == nil && v.Equal(file.Version)
}
