package wheel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
)

// A RangeReader reads exactly length bytes that begin at offset of one
// immutable object, or fails. Judge never asks beyond the size it was given.
// An object that may be overwritten in between must be pinned by the reader
// (If-Match), or a verdict could mix two uploads.
type RangeReader func(ctx context.Context, offset, length int64) ([]byte, error)

// A File is an uploaded wheel.
type File struct {
	// Name is the last part of the key.
	Name string
	// Size in bytes, as listed.
	Size int64
	Read RangeReader
}

// A Verdict is what a wheel that may be listed says about itself.
type Verdict struct {
	Filename Filename
	// Metadata is the METADATA file as it is in the wheel, to be published as
	// the .metadata file beside it (PEP 658).
	Metadata []byte
	// MetadataSHA256 is its hash in lower-case hexadecimal.
	MetadataSHA256 string
	// RequiresPython is a valid specifier set as written in METADATA, empty
	// when there is none. It still needs HTML escaping.
	RequiresPython string
}

// Judge decides whether a wheel may be listed. A [*Rejection] says why not;
// any other error says that the wheel could not be read, which proves nothing
// about it.
//
// An ordinary wheel costs two ranged reads, a small one costs one. Reads and
// memory are bounded whatever the wheel holds: at most 20 reads, MaxDirectory
// bytes of directory and MaxMetadata bytes of METADATA.
func Judge(ctx context.Context, file File, rules Rules) (Verdict, error) {
	name, err := CheckListing(file.Name, file.Size, rules)
	if err != nil {
		return Verdict{}, err
	}
	src := &source{file: file}
	dir, err := openDirectory(ctx, src)
	if err != nil {
		return Verdict{}, err
	}
	if err := checkEntries(dir.entries, file.Size); err != nil {
		return Verdict{}, err
	}
	if err := checkLayout(ctx, src, dir); err != nil {
		return Verdict{}, err
	}
	entry, err := findMetadata(dir.entries, name)
	if err != nil {
		return Verdict{}, err
	}
	data, err := readMetadata(ctx, src, entry)
	if err != nil {
		return Verdict{}, err
	}
	requiresPython, err := checkMetadata(data, name)
	if err != nil {
		return Verdict{}, err
	}
	sum := sha256.Sum256(data)
	return Verdict{
		Filename:       name,
		Metadata:       data,
		MetadataSHA256: hex.EncodeToString(sum[:]),
		RequiresPython: requiresPython,
	}, nil
}

// source serves ranges of the file, from its tail where that was read already.
type source struct {
	file File
	tail []byte // the last bytes of the file
}

// tailStart is the offset of the first byte of the tail.
func (s *source) tailStart() int64 { return s.file.Size - int64(len(s.tail)) }

// at returns the length bytes at offset. The caller has checked that they lie
// within the file.
func (s *source) at(ctx context.Context, offset, length int64) ([]byte, error) {
	start := s.tailStart()
	switch {
	case offset >= start:
		return s.tail[offset-start:][:length], nil
	case offset+length > start: // the first part is missing
		head, err := s.read(ctx, offset, start-offset)
		if err != nil {
			return nil, err
		}
		return append(head, s.tail[:offset+length-start]...), nil
	default:
		return s.read(ctx, offset, length)
	}
}

// read always asks the reader.
func (s *source) read(ctx context.Context, offset, length int64) ([]byte, error) {
	data, err := s.file.Read(ctx, offset, length)
	if err == nil && int64(len(data)) != length {
		err = fmt.Errorf("got %d bytes: %w", len(data), io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, fmt.Errorf("read %d bytes at offset %d of %s: %w", length, offset, quote(s.file.Name), err)
	}
	return data, nil
}
