package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vitrine-ndr/vitrine/internal/testkit"
)

// TestArchive has cpio unpack what the kernel is to unpack.
func TestArchive(t *testing.T) {
	t.Parallel()
	cpio := testkit.Need(t, "cpio")
	from, to := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"etc/odd": "seven b", "etc/empty": "", "usr/bin/tool": "#!/bin/sh\n", "left/out": "x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/bin", filepath.Join(from, "bin")); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	a := newArchive(&buf)
	a.tree(from, func(name string) bool { return strings.HasPrefix(name, "left") })
	a.folder("test")
	a.text("test/plan", []byte("abc"), 0o600)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	unpack := exec.Command(cpio, "-i", "--quiet")
	unpack.Dir, unpack.Stdin = to, &buf
	if out, err := unpack.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for name, want := range map[string]string{"etc/odd": "seven b", "etc/empty": "", "bin/tool": "#!/bin/sh\n", "test/plan": "abc"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(to, "test/plan")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("test/plan: %v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(to, "left")); !os.IsNotExist(err) {
		t.Errorf("what was to be left out: %v", err)
	}
}

func TestArchiveTellsOfMissingFiles(t *testing.T) {
	t.Parallel()
	a := newArchive(&bytes.Buffer{})
	a.copyFile("init", filepath.Join(t.TempDir(), "none"))
	a.text("more", []byte("x"), 0o600)
	if err := a.Close(); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
}
