package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxLine bounds a line of either file, in bytes: a day of the trace is one line.
const maxLine = 256 << 20

// row is a file as the history has it.
type row struct{ key, sha256, requiresPython string }

// day is a line of the trace.
type day struct {
	date                        time.Time
	added, removed, overwritten []row
}

// open reads a file, decompressed if it is compressed.
func open(path string) (io.Reader, func(), error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	done := func() { _ = f.Close() }
	r := bufio.NewReaderSize(f, 1<<16)
	magic, err := r.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		done()
		return nil, nil, err
	}
	if string(magic) != "\x1f\x8b" {
		return r, done, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return z, done, nil
}

// lines calls f for every line of a file that is not empty.
func lines(path string, f func(line []byte) error) error {
	r, done, err := open(path)
	if err != nil {
		return err
	}
	defer done()
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 1<<20), maxLine)
	for n := 1; scanner.Scan(); n++ {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		if err := f(scanner.Bytes()); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readBaseline calls f for every file of a baseline.
func readBaseline(path string, f func(row)) error {
	return lines(path, func(line []byte) error {
		columns := strings.Split(string(line), "\t")
		if len(columns) != 4 {
			return fmt.Errorf("%d columns, expected key, SHA-256, SHA-256 of METADATA and Requires-Python", len(columns))
		}
		f(row{columns[0], columns[1], columns[3]})
		return nil
	})
}

// readTrace calls f for every day of a trace.
func readTrace(path string, f func(day) error) error {
	return lines(path, func(line []byte) error {
		var raw struct {
			Day                         string
			Added, Removed, Overwritten []json.RawMessage
		}
		if err := json.Unmarshal(line, &raw); err != nil {
			return err
		}
		date, err := time.Parse(time.DateOnly, raw.Day)
		if err != nil {
			return err
		}
		d := day{date: date}
		for _, list := range []struct {
			from []json.RawMessage
			to   *[]row
		}{{raw.Added, &d.added}, {raw.Removed, &d.removed}, {raw.Overwritten, &d.overwritten}} {
			for _, entry := range list.from {
				r, err := readRow(entry)
				if err != nil {
					return err
				}
				*list.to = append(*list.to, r)
			}
		}
		return f(d)
	})
}

// readRow reads a key, or a row of a baseline's columns.
func readRow(raw json.RawMessage) (row, error) {
	var key string
	if json.Unmarshal(raw, &key) == nil {
		return row{key: key}, nil
	}
	var columns []string
	if err := json.Unmarshal(raw, &columns); err != nil || len(columns) == 0 {
		return row{}, fmt.Errorf("%.80q is neither a key nor a row", raw)
	}
	columns = append(columns, "", "", "")
	return row{columns[0], columns[1], columns[3]}, nil
}
