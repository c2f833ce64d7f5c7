package wheel

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
)

// Limits that no honest wheel comes near: torch has about 15,000 entries and
// 2 MB of directory.
const (
	// MaxDirectory is the largest central directory, in bytes.
	MaxDirectory = 32 << 20
	// MaxEntries is the largest number of entries.
	MaxEntries = 200_000
)

// The tail that is read first: large enough for the end record with the
// longest comment, and for most directories.
const (
	minTail       = 128 << 10
	maxTail       = 2 << 20
	tailFraction  = 32
	maxCommentEnd = endLen + math.MaxUint16
)

// Records of the ZIP format (APPNOTE 4.3): signatures and fixed lengths.
const (
	localSignature     = "PK\x03\x04"
	directorySignature = "PK\x01\x02"
	endSignature       = "PK\x05\x06"
	end64Signature     = "PK\x06\x06"
	locatorSignature   = "PK\x06\x07"

	localLen     = 30
	directoryLen = 46
	endLen       = 22
	end64Len     = 56
	locatorLen   = 20
)

// Extra fields that matter (APPNOTE 4.5, 4.6).
const (
	extraZip64       = 0x0001
	extraUnicodePath = 0x7075
)

var le = binary.LittleEndian

// directory is the central directory of an archive.
type directory struct {
	entries []entry
	// start is the offset of the directory, where the entries end.
	start int64
}

// entry is one record of the central directory.
type entry struct {
	name           string
	flags, method  uint16
	crc            uint32
	compressed     int64 // bytes in the archive
	size           int64 // bytes when unpacked
	offset         int64 // of the local header
	knownRecordLen int64 // local header, name and data: all but the local extra field
}

// openDirectory reads the end of the archive and parses its directory.
func openDirectory(ctx context.Context, src *source) (directory, error) {
	size := src.file.Size
	if size < endLen {
		return directory{}, reject(ReasonZipMalformed, "the file has %d bytes, too few for a ZIP archive; "+uploadAnew, size)
	}
	tail, err := src.read(ctx, max(0, size-tailLen(size)), min(size, tailLen(size)))
	if err != nil {
		return directory{}, err
	}
	src.tail = tail
	end, err := findEnd(src)
	if err != nil {
		return directory{}, err
	}
	raw, err := src.at(ctx, end.start, end.length)
	if err != nil {
		return directory{}, err
	}
	entries, err := parseEntries(raw, end.entries)
	return directory{entries: entries, start: end.start}, err
}

func tailLen(size int64) int64 { return min(max(size/tailFraction, minTail), maxTail) }

// endRecord says where the directory is.
type endRecord struct {
	start, length, entries int64
}

// findEnd parses the end record. It must be the last one in the file, end the
// file and follow the directory without a gap.
func findEnd(src *source) (endRecord, error) {
	window := src.tail[max(0, len(src.tail)-maxCommentEnd):]
	at := bytes.LastIndex(window[:len(window)-endLen+len(endSignature)], []byte(endSignature))
	if at < 0 {
		return endRecord{}, reject(ReasonZipMalformed, "the file does not end like a ZIP archive; it may be cut short: "+uploadAnew)
	}
	rec := window[at:]
	if comment := int(le.Uint16(rec[20:])); endLen+comment != len(rec) {
		return endRecord{}, reject(ReasonZipAmbiguous, "%d bytes follow the end record of the archive, which declares %d; remove what was appended and build the wheel again", len(rec)-endLen, comment)
	}
	if le.Uint16(rec[4:]) != 0 || le.Uint16(rec[6:]) != 0 || le.Uint16(rec[8:]) != le.Uint16(rec[10:]) {
		return endRecord{}, reject(ReasonZipMalformed, "the archive is split over several disks; build the wheel as one file")
	}
	end := endRecord{
		entries: int64(le.Uint16(rec[10:])),
		length:  int64(le.Uint32(rec[12:])),
		start:   int64(le.Uint32(rec[16:])),
	}
	// position of the record that follows the directory
	follows := src.tailStart() + int64(len(src.tail)-len(rec))
	before := src.tail[:len(src.tail)-len(rec)]
	if n := len(before) - locatorLen; n >= 0 && bytes.HasPrefix(before[n:], []byte(locatorSignature)) {
		var err error
		if end, err = findEnd64(before, follows, end); err != nil {
			return endRecord{}, err
		}
		follows -= locatorLen + end64Len
	}
	switch {
	case end.length > MaxDirectory || end.entries > MaxEntries:
		return endRecord{}, reject(ReasonZipLimit, "the archive declares %d entries in a directory of %d bytes, the limits are %d and %d; build the wheel with fewer files", end.entries, end.length, MaxEntries, MaxDirectory)
	case end.start > follows || end.start+end.length != follows:
		return endRecord{}, reject(ReasonZipAmbiguous, "the archive's directory is declared at offset %d with %d bytes but should end at offset %d; something was put before or after it: build the wheel again", end.start, end.length, follows)
	case end.entries == 0:
		return endRecord{}, reject(ReasonZipMalformed, "the archive is empty; "+uploadAnew)
	}
	return end, nil
}

// findEnd64 parses the ZIP64 end record, which must lie between the directory
// and its locator, and agree with whatever the short record says. Readers look
// for the locator whether or not the short record calls for it, so we do too.
func findEnd64(before []byte, follows int64, short endRecord) (endRecord, error) {
	locator := before[len(before)-locatorLen:]
	at := len(before) - locatorLen - end64Len
	if at < 0 || !bytes.HasPrefix(before[at:], []byte(end64Signature)) ||
		clamp(le.Uint64(locator[8:])) != follows-locatorLen-end64Len ||
		le.Uint32(locator[4:]) != 0 || le.Uint32(locator[16:]) > 1 {
		return endRecord{}, reject(ReasonZipAmbiguous, "the archive's ZIP64 end record is not where its locator points; build the wheel again")
	}
	rec := before[at:]
	if le.Uint64(rec[4:]) != end64Len-12 || le.Uint32(rec[16:]) != 0 || le.Uint32(rec[20:]) != 0 ||
		le.Uint64(rec[24:]) != le.Uint64(rec[32:]) {
		return endRecord{}, reject(ReasonZipMalformed, "the archive's ZIP64 end record is malformed; build the wheel again")
	}
	end := endRecord{
		entries: clamp(le.Uint64(rec[32:])),
		length:  clamp(le.Uint64(rec[40:])),
		start:   clamp(le.Uint64(rec[48:])),
	}
	if (short.entries != math.MaxUint16 && short.entries != end.entries) ||
		(short.length != math.MaxUint32 && short.length != end.length) ||
		(short.start != math.MaxUint32 && short.start != end.start) {
		return endRecord{}, reject(ReasonZipAmbiguous, "the archive's two end records disagree; build the wheel again")
	}
	return end, nil
}

// clamp keeps sums of a few sizes and offsets from overflowing. What it cuts
// off is beyond every limit.
func clamp(n uint64) int64 { return int64(min(n, 1<<60)) }

// parseEntries parses a directory of exactly count entries.
func parseEntries(raw []byte, count int64) ([]entry, error) {
	malformed := func(i int64) error {
		return reject(ReasonZipMalformed, "entry %d of the archive's directory is malformed; build the wheel again", i+1)
	}
	// Each entry takes at least directoryLen bytes: a lie about the count
	// costs no memory.
	entries := make([]entry, 0, min(count, int64(len(raw)/directoryLen)))
	for i := range count {
		if len(raw) < directoryLen || !bytes.HasPrefix(raw, []byte(directorySignature)) {
			return nil, malformed(i)
		}
		nameLen, extraLen, commentLen := int(le.Uint16(raw[28:])), int(le.Uint16(raw[30:])), int(le.Uint16(raw[32:]))
		if len(raw) < directoryLen+nameLen+extraLen+commentLen || le.Uint16(raw[34:]) != 0 {
			return nil, malformed(i)
		}
		e := entry{
			flags:      le.Uint16(raw[8:]),
			method:     le.Uint16(raw[10:]),
			crc:        le.Uint32(raw[16:]),
			compressed: int64(le.Uint32(raw[20:])),
			size:       int64(le.Uint32(raw[24:])),
			offset:     int64(le.Uint32(raw[42:])),
			name:       string(raw[directoryLen:][:nameLen]),
		}
		if !e.applyExtra(raw[directoryLen+nameLen:][:extraLen]) {
			return nil, malformed(i)
		}
		e.knownRecordLen = localLen + int64(nameLen) + e.compressed
		entries = append(entries, e)
		raw = raw[directoryLen+nameLen+extraLen+commentLen:]
	}
	if len(raw) != 0 {
		return nil, reject(ReasonZipAmbiguous, "the archive's directory is %d bytes longer than its %d entries; build the wheel again", len(raw), count)
	}
	return entries, nil
}

// applyExtra reads the extra fields of a directory entry: ZIP64 sizes replace
// the ones that did not fit. It is false for malformed fields, and for those
// that give the entry a second name.
func (e *entry) applyExtra(extra []byte) bool {
	fields, ok := splitExtra(extra)
	if !ok {
		return false
	}
	seen64 := false
	for _, field := range fields {
		switch field.id {
		case extraUnicodePath:
			return false
		case extraZip64:
			if seen64 {
				return false
			}
			seen64 = true
			if !e.applyZip64(field.data) {
				return false
			}
		}
	}
	return seen64 || (e.size != math.MaxUint32 && e.compressed != math.MaxUint32 && e.offset != math.MaxUint32)
}

func (e *entry) applyZip64(data []byte) bool {
	for _, value := range []*int64{&e.size, &e.compressed, &e.offset} {
		if *value != math.MaxUint32 {
			continue
		}
		if len(data) < 8 {
			return false
		}
		*value = clamp(le.Uint64(data))
		data = data[8:]
	}
	return true
}

type extraField struct {
	id   uint16
	data []byte
}

func splitExtra(extra []byte) (fields []extraField, ok bool) {
	for len(extra) > 0 {
		if len(extra) < 4 || len(extra)-4 < int(le.Uint16(extra[2:])) {
			return nil, false
		}
		n := 4 + int(le.Uint16(extra[2:]))
		fields = append(fields, extraField{id: le.Uint16(extra), data: extra[4:n]})
		extra = extra[n:]
	}
	return fields, true
}
