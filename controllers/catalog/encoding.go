package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// About how many bytes of a stored line are not the file's own text: enough for
// most catalogs to be written without growing their buffer.
const (
	lineBytes      = 288
	tombstoneBytes = 512
)

// ordinaryLine is about how long a file's line is, in bytes, and maxStream what
// is believed of a stream's length: both only save memory.
const (
	ordinaryLine = 512
	maxStream    = 256 << 20
)

// Encode is the stored form: deterministic, one file a line, so that a person
// can read and compare it. It refuses what Decode would refuse, for nothing
// could be read or repaired from it any more.
func (c *Catalog) Encode() ([]byte, error) {
	if c.Format != Format {
		return nil, fmt.Errorf("write catalog: format %d, this operator writes format %d", c.Format, Format)
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("write catalog: %w", err)
	}
	head := *c
	head.Files = nil
	h, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("write catalog: %w", err)
	}
	b := make([]byte, 0, len(h)+c.textBytes())
	b = append(b, bytes.TrimSuffix(h, []byte("null}"))...)
	b = append(b, '[')
	for i := range c.Files {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '\n')
		if b, err = c.Files[i].appendTo(b); err != nil {
			return nil, fmt.Errorf("write catalog: %q: %w", c.Files[i].Name, err)
		}
	}
	return append(b, "\n]}\n"...), nil
}

// textBytes is about how long all lines are.
func (c *Catalog) textBytes() (n int) {
	for i := range c.Files {
		f := &c.Files[i]
		n += lineBytes + len(f.Name) + len(f.ETag) + len(f.VersionID) + len(f.SHA256) + len(f.Version) + len(f.RequiresPython) +
			len(f.MetadataSHA256) + len(f.MetadataETag) + len(f.Provenance) + len(f.ProvenanceETag) + len(f.ProvenanceUnder) + len(f.ProvenanceReason) + len(f.ProvenanceMessage) + len(f.Reason) + len(f.Message) + tombstoneBytes*len(f.Tombstones)
	}
	return n
}

// appendTo appends what json.Marshal makes of the file. Written by hand it
// leaves no garbage behind: a catalog may have 100,000 lines.
func (f *File) appendTo(b []byte) (_ []byte, err error) {
	b = append(b, `{"name":`...)
	b = appendText(b, f.Name)
	b = append(b, `,"etag":`...)
	b = appendText(b, f.ETag)
	b = appendField(b, `,"versionID":`, f.VersionID)
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, f.Size, 10)
	b = appendField(b, `,"sha256":`, f.SHA256)
	b = appendField(b, `,"version":`, f.Version)
	if b, err = appendTime(b, `,"uploadTime":`, f.UploadTime); err != nil {
		return nil, err
	}
	b = appendField(b, `,"requiresPython":`, f.RequiresPython)
	b = appendField(b, `,"metadataSHA256":`, f.MetadataSHA256)
	b = appendField(b, `,"metadataETag":`, f.MetadataETag)
	b = appendField(b, `,"provenance":`, f.Provenance)
	b = appendField(b, `,"provenanceETag":`, f.ProvenanceETag)
	b = appendField(b, `,"provenanceUnder":`, f.ProvenanceUnder)
	b = appendField(b, `,"provenanceReason":`, f.ProvenanceReason)
	b = appendField(b, `,"provenanceMessage":`, f.ProvenanceMessage)
	b = append(b, `,"state":`...)
	b = appendText(b, string(f.State))
	b = appendField(b, `,"reason":`, f.Reason)
	b = appendField(b, `,"message":`, f.Message)
	if !f.DueTime.IsZero() {
		if b, err = appendTime(b, `,"dueTime":`, f.DueTime); err != nil {
			return nil, err
		}
	}
	b = appendField(b, `,"published":`, f.Published)
	if f.Link != nil {
		link, err := json.Marshal(f.Link)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"link":`...), link...)
	}
	if len(f.Tombstones) > 0 {
		tombstones, err := json.Marshal(f.Tombstones)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"tombstones":`...), tombstones...)
	}
	return append(b, '}'), nil
}

// appendField appends a field that is left out when it is empty.
func appendField(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, key...), value)
}

// appendText appends a JSON string as json.Marshal writes it.
func appendText(b []byte, s string) []byte {
	start := len(b)
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '<', c == '>', c == '&': // Requires-Python has them.
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c >= ' ' && c <= '~' && c != '"' && c != '\\':
			b = append(b, c)
		default:
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always has a JSON form
			}
			return append(b[:start], quoted...)
		}
	}
	return append(b, '"')
}

func appendTime(b []byte, key string, t time.Time) ([]byte, error) {
	b = append(append(b, key...), '"')
	b, err := t.AppendText(b)
	return append(b, '"'), err
}

// Decode reads the stored form. It refuses what it does not wholly understand:
// acting on half a catalog could list a file that was taken back.
func Decode(data []byte) (*Catalog, error) {
	return Read(bytes.NewReader(data), int64(len(data)))
}

// Read is Decode for a stream of about that many bytes. It holds one file's line
// at a time beside what it has read. What goes wrong with the stream itself is in
// the error's chain.
func Read(r io.Reader, size int64) (*Catalog, error) {
	source := &source{r: r}
	in := &reader{dec: json.NewDecoder(source), likely: min(max(size, 0), maxStream) / ordinaryLine}
	in.dec.DisallowUnknownFields()
	err := in.catalog()
	switch {
	case source.err != nil:
		return nil, fmt.Errorf("read catalog: %w", source.err)
	case in.formatKnown && in.c.Format != Format:
		return nil, fmt.Errorf("read catalog: format %d, this operator reads format %d; run the operator version that wrote it", in.c.Format, Format)
	case err == nil:
		err = in.c.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("read catalog: %w; restore an older version of the object", err)
	}
	return &in.c, nil
}

// source remembers why a stream ended before its end.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// reader reads one catalog.
type reader struct {
	dec         *json.Decoder
	c           Catalog
	formatKnown bool
	// likely is how many files there may be.
	likely int64
}

// catalog reads the one object of the stream. It stops at a format that it does
// not know: what follows may be anything.
func (r *reader) catalog() error {
	if err := r.expect('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		if seen[key] {
			return fmt.Errorf("the field %q is there twice", key)
		}
		seen[key] = true
		if err := r.field(key); err != nil {
			return err
		}
		if r.formatKnown && r.c.Format != Format {
			return nil
		}
	}
	if err := r.expect('}'); err != nil {
		return err
	}
	if !r.formatKnown {
		r.formatKnown = true // It is 0.
		return nil
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows its end")
	}
	return nil
}

// field reads the value of one field.
func (r *reader) field(key string) error {
	c := &r.c
	var into any
	switch key {
	case "format":
		r.formatKnown = true
		into = &c.Format
	case "platform":
		into = &c.Platform
	case "channel":
		into = &c.Channel
	case "project":
		into = &c.Project
	case "revision":
		into = &c.Revision
	case "purgedRevision":
		into = &c.PurgedRevision
	case "retired":
		into = &c.Retired
	case "retention":
		into = &c.Retention
	case "upstream":
		into = &c.Upstream
	case "stale":
		into = &c.Stale
	case "files":
		return r.files()
	default:
		return fmt.Errorf("unknown field %q", key)
	}
	return r.dec.Decode(into)
}

// files reads the list of files, one by one.
func (r *reader) files() error {
	token, err := r.dec.Token()
	if err != nil || token == nil { // null is an empty list.
		return err
	}
	if token != json.Delim('[') {
		return fmt.Errorf("files is no list but %v", token)
	}
	if r.dec.More() {
		r.c.Files = make([]File, 0, r.likely+1)
	}
	for r.dec.More() {
		var f File
		if err := r.dec.Decode(&f); err != nil {
			return err
		}
		if n := len(r.c.Files); n > 0 {
			f.share(&r.c.Files[n-1])
		}
		r.c.Files = append(r.c.Files, f)
	}
	return r.expect(']')
}

// share makes a file use the memory of texts that it has in common with another.
func (f *File) share(o *File) {
	if f.Version == o.Version {
		f.Version = o.Version
	}
	if f.RequiresPython == o.RequiresPython {
		f.RequiresPython = o.RequiresPython
	}
	if f.State == o.State {
		f.State = o.State
	}
}

func (r *reader) expect(delim json.Delim) error {
	token, err := r.dec.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err == nil && token != delim {
		return fmt.Errorf("found %v where %v was expected", token, delim)
	}
	return err
}

// validate checks what every reader relies on.
func (c *Catalog) validate() error {
	for i, name := range c.Stale {
		if name == "" || i > 0 && c.Stale[i-1] >= name {
			return fmt.Errorf("stale names are not sorted at %q", name)
		}
	}
	for i := range c.Files {
		f := &c.Files[i]
		switch f.State {
		case StateListed, StateRejected, StateOverwritten, StateUnattested, StateGone, StateExpired:
		default:
			return fmt.Errorf("%q has the unknown state %q", f.Name, f.State)
		}
		if i > 0 && c.Files[i-1].Name >= f.Name {
			return fmt.Errorf("files are not sorted by name at %q", f.Name)
		}
		for _, t := range f.Tombstones {
			if t.Mode.Rank() == 0 || t.UID == "" {
				return fmt.Errorf("%q has a tombstone without mode or uid", f.Name)
			}
		}
	}
	return nil
}
