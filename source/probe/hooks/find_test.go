package hooks

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// findIn runs Find on a file of this machine.
func findIn(t testing.TB, path string, opts Options) ([]Library, error) {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		testkit.Skip(t, "%s is not installed", path)
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return Find(f, info.Size(), opts)
}

func TestFindInFilesWithoutLibraries(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		want    error
	}{
		"empty":      {"", ErrNoTLS},
		"a script":   {"#!/bin/sh\necho hello world\n", ErrNoTLS},
		"cut off":    {"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00", ErrNoTLS},
		"32-bit ELF": {"\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x03\x00", ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Find(bytes.NewReader([]byte(test.content)), int64(len(test.content)), Options{})
			if !errors.Is(err, test.want) || got != nil {
				t.Errorf("found %v, %v; want %v", got, err, test.want)
			}
		})
	}
}
