package wheel_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/pytorch/platform-lane-operator/controllers/wheel"
)

func zipOf(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write([]byte("machine code"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJudgeArchive(t *testing.T) {
	const name = "libtorch-cxx11-abi-shared-with-deps-2.9.0+spyre.zip"
	rules := wheel.Rules{Platform: "spyre", Packages: []string{"torch", "libtorch"}, MaxBytes: 1 << 20}
	good := zipOf(t, "libtorch/lib/libtorch.so", "libtorch/include/torch.h")
	for title, test := range map[string]struct {
		name  string
		data  []byte
		rules wheel.Rules
		want  wheel.Reason
	}{
		"good":               {name, good, rules, ""},
		"not on the list":    {name, good, wheel.Rules{Platform: "spyre", Packages: []string{"torch"}}, wheel.ReasonPackageNotAllowed},
		"of another lane":    {name, good, wheel.Rules{Platform: "tpu", Packages: rules.Packages}, wheel.ReasonLocalVersion},
		"too large":          {name, bytes.Repeat([]byte("x"), 1<<20+1), rules, wheel.ReasonFileTooLarge},
		"no archive":         {name, bytes.Repeat([]byte("x"), 100), rules, wheel.ReasonZipMalformed},
		"empty":              {name, zipOf(t), rules, wheel.ReasonZipMalformed},
		"something in front": {name, append([]byte("#!/bin/sh\n"), good...), rules, wheel.ReasonZipAmbiguous},
		"something behind":   {name, append(bytes.Clone(good), "more"...), rules, wheel.ReasonZipAmbiguous},
		"leaves its folder":  {name, zipOf(t, "libtorch/a", "../evil"), rules, wheel.ReasonZipEntryName},
		"absolute":           {name, zipOf(t, "/etc/evil"), rules, wheel.ReasonZipEntryName},
		"twice":              {name, zipOf(t, "libtorch/a", "libtorch/a"), rules, wheel.ReasonZipAmbiguous},
	} {
		reads := 0
		read := func(_ context.Context, offset, length int64) ([]byte, error) {
			reads++
			if offset < 0 || offset+length > int64(len(test.data)) {
				return nil, io.ErrUnexpectedEOF
			}
			return bytes.Clone(test.data[offset : offset+length]), nil
		}
		_, err := wheel.JudgeArchive(t.Context(), wheel.File{Name: test.name, Size: int64(len(test.data)), Read: read}, test.rules)
		var got wheel.Reason
		var rejection *wheel.Rejection
		if errors.As(err, &rejection) {
			got = rejection.Reason
		}
		if got != test.want || err != nil && rejection == nil || reads > 2 {
			t.Errorf("%s: %v after %d reads, want %q", title, err, reads, test.want)
		}
	}
	broken := errors.New("connection reset")
	_, err := wheel.JudgeArchive(t.Context(), wheel.File{Name: name, Size: 1000, Read: func(context.Context, int64, int64) ([]byte, error) { return nil, broken }}, rules)
	if !errors.Is(err, broken) {
		t.Errorf("a broken connection is %v", err)
	}
}
