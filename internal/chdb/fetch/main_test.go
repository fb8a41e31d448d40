package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archive writes a package that holds one file and returns its path and its hash.
func archive(t *testing.T, name, content string) (path, integrity string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.tgz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	zw := gzip.NewWriter(f)
	tw := tar.NewWriter(zw)
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := tw.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{tw, zw, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b)
	return path, base64.StdEncoding.EncodeToString(sum[:])
}

func TestCheckRefusesOtherArchives(t *testing.T) {
	path, integrity := archive(t, library, "code")
	if err := check(path, integrity); err != nil {
		t.Error(err)
	}
	other, _ := archive(t, library, "cade")
	if err := check(other, integrity); err == nil || !strings.Contains(err.Error(), "not the pinned one") {
		t.Errorf("another archive: %v", err)
	}
}

func TestUnpackAndPlace(t *testing.T) {
	path, _ := archive(t, library, "code")
	dir := t.TempDir()
	so := filepath.Join(dir, "a.so")
	if err := unpack(path, so); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "bin", "libchdb.so")
	for range 2 {
		if err := place(so, out); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(out); err != nil || string(b) != "code" {
		t.Errorf("placed %q, %v", b, err)
	}
	empty, _ := archive(t, "package/other", "x")
	if err := unpack(empty, so); err == nil {
		t.Error("an archive without the library gave no error")
	}
}
