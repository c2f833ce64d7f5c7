package wheel

import (
	"bytes"
	"compress/flate"
	"context"
	"hash/crc32"
	"io"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/pytorch/platform-lane-operator/controllers/pep440"
)

// MaxMetadata is the largest METADATA, in bytes after inflation.
const MaxMetadata = 4 << 20

// readMetadata reads, verifies and unpacks the METADATA entry.
func readMetadata(ctx context.Context, src *source, e entry) ([]byte, error) {
	if e.size > MaxMetadata || e.compressed > MaxMetadata {
		return nil, reject(ReasonMetadataTooLarge, "METADATA unpacks to %d bytes, the limit is %d; shorten the description", e.size, MaxMetadata)
	}
	// One read for everything: the layout is known to leave room for the
	// local header, and its extra field is nearly always small.
	const ordinaryExtra = 256
	limit := src.file.Size - e.offset
	raw, err := src.at(ctx, e.offset, min(limit, e.knownRecordLen+ordinaryExtra))
	if err != nil {
		return nil, err
	}
	extraLen, err := e.checkLocal(raw[:localLen+len(e.name)])
	if err != nil {
		return nil, err
	}
	if need := e.knownRecordLen + extraLen; need > int64(len(raw)) {
		if raw, err = src.at(ctx, e.offset, min(limit, need)); err != nil {
			return nil, err
		}
	}
	if err := e.checkLocalSizes(raw, extraLen); err != nil {
		return nil, err
	}
	start := localLen + int64(len(e.name)) + extraLen
	return e.unpack(raw[start:][:e.compressed])
}

// checkLocalSizes compares sizes and checksum in the local header with the
// directory. With a data descriptor they may be left zero.
func (e entry) checkLocalSizes(raw []byte, extraLen int64) error {
	start := localLen + int64(len(e.name))
	if int64(len(raw)) < start+extraLen+e.compressed {
		return reject(ReasonZipMalformed, "METADATA is longer than the archive; "+uploadAnew)
	}
	fields, ok := splitExtra(raw[start:][:extraLen])
	local := entry{
		crc:        le.Uint32(raw[14:]),
		compressed: int64(le.Uint32(raw[18:])),
		size:       int64(le.Uint32(raw[22:])),
	}
	for _, field := range fields {
		switch field.id {
		case extraUnicodePath:
			ok = false
		case extraZip64:
			ok = ok && local.applyZip64(field.data)
		}
	}
	if !ok {
		return reject(ReasonZipMalformed, "METADATA has a malformed header in the archive; build the wheel again")
	}
	if e.flags&flagDescriptor != 0 && local.crc == 0 && local.compressed == 0 && local.size == 0 {
		return nil
	}
	if local.crc != e.crc || local.compressed != e.compressed || local.size != e.size {
		return reject(ReasonZipAmbiguous, "METADATA has one size or checksum in the archive's directory and another in its own header; build the wheel again")
	}
	return nil
}

// unpack inflates what the entry holds and checks it against the directory.
// The result shares no memory with data.
func (e entry) unpack(data []byte) ([]byte, error) {
	packed := bytes.NewReader(data)
	var unpacker io.Reader = packed
	if e.method == methodDeflate {
		unpacker = flate.NewReader(packed)
	}
	// One byte more than declared tells that the declaration is a lie.
	unpacked, err := io.ReadAll(io.LimitReader(unpacker, e.size+1))
	switch {
	case err != nil:
		return nil, reject(ReasonZipMalformed, "METADATA does not inflate (%v); "+uploadAnew, err)
	case int64(len(unpacked)) != e.size || crc32.ChecksumIEEE(unpacked) != e.crc:
		return nil, reject(ReasonZipMalformed, "METADATA does not match the size and checksum in the archive's directory; "+uploadAnew)
	case packed.Len() != 0:
		return nil, reject(ReasonZipAmbiguous, "METADATA is followed by %d bytes within its entry; build the wheel again", packed.Len())
	}
	return unpacked, nil
}

// checkMetadata compares METADATA with the file name and returns its
// Requires-Python, empty when there is none.
func checkMetadata(data []byte, file Filename) (requiresPython string, err error) {
	fields, err := parseMetadata(data)
	if err != nil {
		return "", err
	}
	for _, required := range []string{"metadata-version", "name", "version"} {
		if _, there := fields[required]; !there {
			return "", reject(ReasonMetadataMalformed, "METADATA has no %s; build the wheel again with a current tool", required)
		}
	}
	if v := fields["metadata-version"]; !metadataVersionRE.MatchString(v) {
		return "", reject(ReasonMetadataVersion, "METADATA is of version %s, known are 1.x and 2.x; build the wheel with a tool that writes one of those", quote(v))
	}
	if name, err := pep440.NormalizeProject(fields["name"]); err != nil || name != file.Project {
		return "", reject(ReasonMetadataMismatch, "METADATA names the project %s, the file is named %s; do not rename a wheel, build it under its name", quote(fields["name"]), quote(file.String()))
	}
	if v, err := pep440.Parse(fields["version"]); err != nil || !v.Equal(file.Version) {
		return "", reject(ReasonMetadataMismatch, "METADATA says version %s, the file is named %s; do not rename a wheel, build it as that version", quote(fields["version"]), quote(file.String()))
	}
	requiresPython = fields["requires-python"]
	if _, err := pep440.ParseSpecifiers(requiresPython); err != nil {
		return "", reject(ReasonRequiresPython, "Requires-Python of METADATA: %v; correct it in the project's build configuration", err)
	}
	return requiresPython, nil
}

var (
	metadataVersionRE = regexp.MustCompile(`^[12]\.[0-9]{1,2}$`)
	fieldRE           = regexp.MustCompile(`^([!-9;-~]+):(.*)$`)
)

// singleFields are the fields that are read; each may occur once, on one line.
var singleFields = map[string]struct{}{"metadata-version": {}, "name": {}, "version": {}, "requires-python": {}}

// parseMetadata reads the header block of METADATA (core metadata, an RFC 822
// message) and returns the fields that are judged, by lower-case name. Where
// the parsers of installers would differ it refuses: a second value, a folded
// one, a line that is no field.
func parseMetadata(data []byte) (map[string]string, error) {
	malformed := func(what string, line int) (map[string]string, error) {
		return nil, reject(ReasonMetadataMalformed, "line %d of METADATA %s; build the wheel again with a current tool", line, what)
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, reject(ReasonMetadataMalformed, "METADATA is not UTF-8 text; build the wheel again with a current tool")
	}
	fields := map[string]string{}
	last, number := "", 0
	for line := range strings.SplitSeq(string(data), "\n") {
		number++
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			break
		}
		if strings.Contains(line, "\r") {
			return malformed("has a carriage return within it", number)
		}
		if line[0] == ' ' || line[0] == '\t' {
			if _, single := singleFields[last]; single || last == "" {
				return malformed("continues a field that has one line", number)
			}
			continue
		}
		m := fieldRE.FindStringSubmatch(line)
		if m == nil {
			return malformed("is neither a field nor the continuation of one", number)
		}
		last = strings.ToLower(m[1])
		if _, single := singleFields[last]; !single {
			continue
		}
		if _, twice := fields[last]; twice {
			return malformed("gives "+quote(m[1])+" a second time", number)
		}
		if len(m[2]) > math.MaxUint16 {
			return malformed("is too long", number)
		}
		fields[last] = strings.Trim(m[2], " \t")
	}
	return fields, nil
}
