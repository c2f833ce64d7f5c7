package simpleindex

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
)

// jsonReader goes through a JSON page key by key, so that a page of any size is
// read with little memory and every finding has its line.
type jsonReader struct {
	page   *Page
	f      *Findings
	limits Limits

	body []byte
	dec  *json.Decoder
	// line is that of the byte at counted.
	line    int
	counted int64
	minor   int
	tooMany bool
}

func readJSON(body []byte, page *Page, f *Findings, limits Limits) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	r := &jsonReader{page: page, f: f, limits: limits, body: body, dec: json.NewDecoder(bytes.NewReader(body)), line: 1}
	r.dec.UseNumber()
	err := r.top()
	if err == nil {
		if _, err = r.dec.Token(); errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			err = errors.New("something follows its end")
		}
	}
	if err != nil && !r.tooMany {
		f.Add("json-syntax", r.at(), "", "the JSON cannot be read (%s); nothing behind this place counts", printable(err.Error()))
	}
	page.checkStatus(0, f)
}

// at is the line that the decoder has reached.
func (r *jsonReader) at() int {
	offset := min(r.dec.InputOffset(), int64(len(r.body)))
	r.line += bytes.Count(r.body[r.counted:offset], []byte("\n"))
	r.counted = offset
	return r.line
}

// keys goes through an object; the decoder stands before it. take must consume
// the value of each key.
func (r *jsonReader) keys(what, file string, take func(key string) error) (seen map[string]bool, err error) {
	start, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	seen = map[string]bool{}
	if start != json.Delim('{') {
		r.f.Add("json-type", r.at(), file, "%s is not an object", what)
		return seen, r.skip(start)
	}
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return seen, err
		}
		key, ok := token.(string)
		if !ok {
			return seen, fmt.Errorf("%v is no key", token)
		}
		if seen[key] {
			r.f.Add("json-duplicate-key", r.at(), file, "%s has the key %s twice, and readers differ in which one they take; write it once", what, Quote(key))
		}
		seen[key] = true
		if err := take(key); err != nil {
			return seen, err
		}
	}
	_, err = r.dec.Token()
	return seen, err
}

// skip consumes the rest of a value that begins with a token.
func (r *jsonReader) skip(start json.Token) error {
	depth := 0
	for token := start; ; {
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if token, err = r.dec.Token(); err != nil {
			return err
		}
	}
}

// items goes through an array; the decoder stands before it. ok is false, with a
// finding, if it is none.
func (r *jsonReader) items(what string, take func() error) (ok bool, err error) {
	start, err := r.dec.Token()
	if err != nil {
		return false, err
	}
	if start != json.Delim('[') {
		r.f.Add("json-type", r.at(), "", "%s is not an array", what)
		return false, r.skip(start)
	}
	for count := 0; r.dec.More(); count++ {
		if count == r.limits.Links {
			r.tooMany = true
			r.f.Add("links-too-many", r.at(), "", "%s has more than %d entries; nothing behind them was read", what, r.limits.Links)
			return true, errTooMany
		}
		if err := take(); err != nil {
			return true, err
		}
	}
	_, err = r.dec.Token()
	return true, err
}

var errTooMany = errors.New("too many entries")

// value reads one value of a type; ok is false, with a finding, if it is of
// another.
func value[T any](r *jsonReader, what, file, want string) (out T, ok bool, err error) {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return out, false, err
	}
	if string(raw) == "null" || json.Unmarshal(raw, &out) != nil {
		r.f.Add("json-type", r.at(), file, "%s is %s; it must be %s", what, Quote(string(raw)), want)
		return out, false, nil //nolint:nilerr // the finding says it
	}
	return out, true, nil
}

func (r *jsonReader) str(what, file string) (string, error) {
	s, _, err := value[string](r, what, file, "a string")
	checkText(r.f, r.at(), file, what, s)
	return s, err
}

// unknown takes a key that the specification does not have.
func (r *jsonReader) unknown(where, key, file string) error {
	switch {
	case key == "tracks" || key == "alternate-locations":
		r.f.Add("rejected-extension", r.at(), file, "%s has the key %s of PEP 708, which was rejected; remove it", where, key)
	case !strings.HasPrefix(key, "_"):
		r.f.Add("json-unknown-key", r.at(), file, "%s has the key %s, which API version 1.%d does not know; begin keys of your own with an underscore", where, Quote(key), newestMinor)
	}
	var ignored json.RawMessage
	return r.dec.Decode(&ignored)
}

func (r *jsonReader) require(where, file string, seen map[string]bool, keys ...string) {
	for _, key := range keys {
		if !seen[key] {
			r.f.Add("json-required-key", r.at(), file, "%s has no %s; API version %s demands it", where, key, printable(r.page.APIVersion))
		}
	}
}

func (r *jsonReader) top() error {
	const where = "the page"
	files := len(r.page.Files)
	seen, err := r.keys(where, "", func(key string) (err error) {
		switch {
		case key == "meta":
			return r.meta()
		case key == "name" && !r.page.Root:
			r.page.Name, err = r.str("name", "")
			return err
		case key == "projects" && r.page.Root:
			_, err = r.items("projects", r.project)
			return err
		case key == "files" && !r.page.Root:
			r.page.HasFiles, err = r.items("files", r.file)
			return err
		case key == "versions" && !r.page.Root:
			r.page.hasVersions, err = r.items("versions", func() error {
				version, err := r.str("a version", "")
				r.page.Versions = append(r.page.Versions, version)
				return err
			})
			return err
		case key == "project-status" && !r.page.Root:
			return r.status()
		}
		return r.unknown(where, key, "")
	})
	if err != nil {
		return err
	}
	r.require(where, "", seen, "meta")
	if r.page.Root {
		r.require(where, "", seen, "projects")
		return nil
	}
	r.require(where, "", seen, "name", "files")
	if r.minor >= 1 {
		r.require(where, "", seen, "versions")
		r.sizes(files)
	}
	return nil
}

// sizes looks for files without a size, which API version 1.1 demands. It waits
// for the end of the page: meta may come last.
func (r *jsonReader) sizes(from int) {
	for i := range r.page.Files[from:] {
		if f := &r.page.Files[from+i]; f.Size < 0 {
			r.f.Add("json-required-key", f.Line, f.Name, "the file has no size; API version %s demands it", printable(r.page.APIVersion))
		}
	}
}

func (r *jsonReader) meta() error {
	seen, err := r.keys("meta", "", func(key string) (err error) {
		if key != "api-version" {
			return r.unknown("meta", key, "")
		}
		if r.page.APIVersion, err = r.str("meta.api-version", ""); err == nil {
			r.minor = r.page.checkAPIVersion(r.at(), r.f)
		}
		return err
	})
	if err == nil {
		r.require("meta", "", seen, "api-version")
	}
	return err
}

func (r *jsonReader) status() error {
	_, err := r.keys("project-status", "", func(key string) (err error) {
		switch key {
		case "status":
			r.page.Status, err = r.str("project-status.status", "")
			return err
		case "reason":
			r.page.StatusReason, err = r.str("project-status.reason", "")
			return err
		}
		return r.unknown("project-status", key, "")
	})
	return err
}

func (r *jsonReader) project() error {
	p := Project{Line: r.at()}
	seen, err := r.keys("a project", "", func(key string) (err error) {
		if key != "name" {
			return r.unknown("a project", key, p.Name)
		}
		p.Name, err = r.str("name", "")
		return err
	})
	if err != nil {
		return err
	}
	r.require("a project", "", seen, "name")
	p.Line = r.at()
	r.page.Projects = append(r.page.Projects, p)
	return nil
}

func (r *jsonReader) file() error {
	const where = "a file"
	file := File{Size: -1}
	var old *metadata
	seen, err := r.keys(where, "", func(key string) (err error) {
		switch key {
		case "filename":
			file.Name, err = r.str("filename", "")
		case "url":
			file.Href, err = r.str("url", file.Name)
		case "hashes":
			file.Hashes, err = r.hashes("hashes", file.Name)
		case "requires-python":
			file.RequiresPython, err = r.optional("requires-python", file.Name)
		case "core-metadata":
			var m metadata
			m, err = r.metadata(key, file.Name)
			file.Metadata, file.MetadataHashes = m.there, m.hashes
		case "dist-info-metadata", "data-dist-info-metadata":
			var m metadata
			m, err = r.metadata(key, file.Name)
			old = &m
			r.f.Add("core-metadata-old", r.at(), file.Name, "the file has the key %s: pip 22.3 to 23.1 fail on it, later ones do not read it; give core-metadata alone", key)
		case "gpg-sig":
			_, _, err = value[bool](r, key, file.Name, "true or false")
		case "yanked":
			err = r.yanked(&file)
		case "size":
			err = r.size(&file)
		case "upload-time":
			err = r.uploadTime(&file)
		case "provenance":
			file.Provenance, err = r.optional(key, file.Name)
		default:
			err = r.unknown(where, key, file.Name)
		}
		return err
	})
	if err != nil {
		return err
	}
	r.require(where, file.Name, seen, "filename", "url", "hashes")
	file.Line = r.at()
	if old != nil && seen["core-metadata"] && (old.there != file.Metadata || sha256Of(old.hashes) != file.MetadataSHA256()) {
		r.f.Add("core-metadata-disagree", file.Line, file.Name, "core-metadata and its older name say different things; give core-metadata alone")
	}
	if old != nil && !seen["core-metadata"] {
		file.Metadata, file.MetadataHashes = old.there, old.hashes
	}
	if file.Href != "" {
		file.URL, _ = r.page.resolve(r.f, file.Line, file.Name, file.Href)
	}
	r.page.Files = append(r.page.Files, file)
	return nil
}

// optional is a string that may be null.
func (r *jsonReader) optional(what, file string) (s string, err error) {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return "", err
	}
	if json.Unmarshal(raw, &s) != nil {
		r.f.Add("json-type", r.at(), file, "%s is %s; it must be a string", what, Quote(string(raw)))
	}
	checkText(r.f, r.at(), file, what, s)
	return s, nil
}

func (r *jsonReader) hashes(what, file string) (map[string]string, error) {
	out := map[string]string{}
	_, err := r.keys(what, file, func(algorithm string) error {
		hash, err := r.str("the "+printable(algorithm)+" hash", file)
		if len(out) < 32 {
			out[algorithm] = hash
		}
		return err
	})
	return out, err
}

// metadata is what core-metadata says.
type metadata struct {
	there  bool
	hashes map[string]string
}

// metadata reads core-metadata: a boolean or an object of hashes.
func (r *jsonReader) metadata(key, file string) (metadata, error) {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return metadata{}, err
	}
	var there bool
	var hashes map[string]string
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &there) == nil:
		return metadata{there: there}, nil
	case json.Unmarshal(raw, &hashes) == nil:
		return metadata{there: true, hashes: hashes}, nil
	}
	r.f.Add("core-metadata", r.at(), file, "%s is %s; write true, false or an object of hashes", key, Quote(string(raw)))
	return metadata{}, nil
}

func (r *jsonReader) yanked(file *File) error {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return err
	}
	switch {
	case string(raw) == "null":
	case json.Unmarshal(raw, &file.Yanked) == nil:
		return nil
	case json.Unmarshal(raw, &file.YankReason) == nil:
		file.Yanked = file.YankReason != ""
		if !file.Yanked {
			r.f.Add("yanked-empty", r.at(), file.Name, "yanked is an empty string, which some readers take for no and some for yes; write true, false or a reason")
		}
		checkText(r.f, r.at(), file.Name, "the reason of the yank", file.YankReason)
		return nil
	}
	r.f.Add("json-type", r.at(), file.Name, "yanked is %s; it must be true, false or a reason", Quote(string(raw)))
	return nil
}

func (r *jsonReader) size(file *File) error {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		return err
	}
	var size int64
	if json.Unmarshal(raw, &size) != nil || string(raw) == "null" || size < 0 {
		file.Size = 0 // It is there, if wrong.
		r.f.Add("size", r.at(), file.Name, "the size is %s; write the number of bytes", Quote(string(raw)))
		return nil //nolint:nilerr // the finding says it
	}
	file.Size = size
	return nil
}

var uploadTimeRE = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$`)

func (r *jsonReader) uploadTime(file *File) error {
	text, err := r.optional("upload-time", file.Name)
	if err != nil || text == "" {
		return err
	}
	when, bad := time.Parse(time.RFC3339Nano, text)
	if bad != nil || !uploadTimeRE.MatchString(text) {
		r.f.Add("upload-time", r.at(), file.Name, "upload-time is %s; write it in UTC as 2006-01-02T15:04:05.000000Z", Quote(text))
		return nil //nolint:nilerr // the finding says it
	}
	file.UploadTime = when
	return nil
}

// sortedNames are the keys of a map of hashes, in order.
func sortedNames(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
