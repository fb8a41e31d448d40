package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// base are the packages of every root file system: folders, accounts, a shell. base-files comes first, because in newer
// releases it makes /bin and /lib links that other packages unpack through.
var base = []string{"base-files", "base-passwd", "dash", "coreutils"}

// skipped are the folders that no test needs, and that make up half of a root file system.
var skipped = []string{"./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info", "./usr/share/i18n", "./usr/share/zoneinfo", "./usr/share/lintian"}

// Root returns a folder with a root file system that has the packages and all that they depend on. It is kept and shared:
// callers must not write to it. No maintainer script ran, so services have no accounts of their own but www-data and nobody.
func (r *Release) Root(ctx context.Context, names ...string) (string, error) {
	packages, err := r.Resolve(ctx, append(base[:len(base):len(base)], names...)...)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(r.dir, "root-"+digest(packages))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	files, err := r.Download(ctx, baseFirst(packages)...)
	if err != nil {
		return "", err
	}
	unlock, err := r.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil // another process was quicker
	}
	return dir, r.build(ctx, dir, files)
}

// digest names a root file system by exactly what is in it.
func digest(packages []Package) string {
	h := sha256.New()
	for _, p := range packages {
		fmt.Fprintln(h, p)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

func baseFirst(packages []Package) []Package {
	ordered := make([]Package, 0, len(packages))
	for _, p := range packages {
		if p.Name == base[0] {
			ordered = append(ordered, p)
		}
	}
	for _, p := range packages {
		if p.Name != base[0] {
			ordered = append(ordered, p)
		}
	}
	return ordered
}

// build makes dir, which is only ever there whole.
func (r *Release) build(ctx context.Context, dir string, files []string) error {
	tmp, err := os.MkdirTemp(r.dir, "build-*")
	if err != nil {
		return fmt.Errorf("make root file system: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("make root file system: %w", err)
	}
	for _, f := range files {
		if err := Unpack(ctx, f, tmp, skipped...); err != nil {
			return err
		}
	}
	if err := configure(tmp); err != nil {
		return fmt.Errorf("configure root file system: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("keep root file system: %w", err)
	}
	return nil
}

// configure does what maintainer scripts would do and programs can't be without.
func configure(root string) error {
	for from, to := range map[string]string{
		"usr/share/base-passwd/passwd.master": "etc/passwd",
		"usr/share/base-passwd/group.master":  "etc/group",
	} {
		text, err := os.ReadFile(filepath.Join(root, from))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(root, to), text, 0o644); err != nil {
			return err
		}
	}
	for _, d := range []string{"proc", "sys", "dev", "tmp", "run"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "etc/hosts"), []byte("127.0.0.1 localhost\n::1 localhost\n"), 0o644)
}

// Unpack writes what is in a package's file below dir, except for some folders (as "./usr/share/doc"). Links to folders that
// are there are followed, as dpkg does; tar keeps the rest from leaving dir.
func Unpack(ctx context.Context, file, dir string, except ...string) error {
	args := []string{"-x", "-C", dir, "--keep-directory-symlink", "--no-same-owner"}
	for _, e := range except {
		args = append(args, "--exclude="+e)
	}
	deb, tar := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file), exec.CommandContext(ctx, "tar", args...)
	var said [2]bytes.Buffer // one each: both write at once
	deb.Stderr, tar.Stderr = &said[0], &said[1]
	pipe, err := deb.StdoutPipe()
	if err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
	}
	tar.Stdin = pipe
	if err := deb.Start(); err != nil {
		return fmt.Errorf("unpack %s: %w", filepath.Base(file), err)
	}
	err = tar.Run()
	if err := errors.Join(err, deb.Wait()); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", filepath.Base(file), err, strings.TrimSpace(said[0].String()+said[1].String()))
	}
	return nil
}
