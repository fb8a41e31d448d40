package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// archive writes an initramfs: a cpio archive of the kind "newc" (the kernel's Documentation/driver-api/early-userspace/
// buffer-format.rst), uncompressed, for unpacking is what costs time under emulation. All files belong to root.
type archive struct {
	w     *bufio.Writer
	inode uint32
	err   error // the first one; nothing is written after it
}

func newArchive(w io.Writer) *archive { return &archive{w: bufio.NewWriterSize(w, 1<<20)} }

// Close ends the archive and returns the first error of all.
func (a *archive) Close() error {
	a.entry("TRAILER!!!", 0, 0, 0, 0)
	if a.err == nil {
		a.err = a.w.Flush()
	}
	return a.err
}

// entry writes the header of a file, which has size bytes to follow. mode has the file's type as in stat(2).
func (a *archive) entry(name string, mode uint32, size int64, major, minor uint32) {
	if size > 1<<32-1 {
		a.fail(fmt.Errorf("%s is too large for an initramfs", name))
	}
	if a.err != nil {
		return
	}
	a.inode++
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(name)+1, 0, name)
	_, err := a.w.WriteString(header)
	a.fail(err)
	a.pad(len(header))
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad(n int) {
	_, err := a.w.Write(make([]byte, (4-n%4)%4))
	a.fail(err)
}

func (a *archive) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// device adds a character device.
func (a *archive) device(name string, major, minor uint32) {
	a.entry(name, unix.S_IFCHR|0o600, 0, major, minor)
}

func (a *archive) folder(name string) {
	a.entry(name, unix.S_IFDIR|0o755, 0, 0, 0)
}

// text adds a small file.
func (a *archive) text(name string, content []byte, perm fs.FileMode) {
	a.entry(name, unix.S_IFREG|uint32(perm.Perm()), int64(len(content)), 0, 0)
	if a.err == nil {
		_, err := a.w.Write(content)
		a.fail(err)
		a.pad(len(content))
	}
}

// copyFile adds the file at path.
func (a *archive) copyFile(name, path string) {
	if a.err != nil {
		return
	}
	a.fail(func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		a.entry(name, unix.S_IFREG|uint32(info.Mode().Perm()), info.Size(), 0, 0)
		n, err := io.Copy(a.w, f)
		a.pad(int(n % 4))
		if err == nil && n != info.Size() {
			err = errors.New("the file changes")
		}
		return err
	}())
}

// tree adds all that is below dir: folders, files and links. skip leaves paths out, with all below them.
func (a *archive) tree(dir string, skip func(name string) bool) {
	a.fail(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if skip(name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch d.Type() {
		case fs.ModeDir:
			a.folder(name)
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			a.link(name, target)
		case 0:
			a.copyFile(name, path)
		}
		return a.err
	}))
}

func (a *archive) link(name, target string) {
	a.entry(name, unix.S_IFLNK|0o777, int64(len(target)), 0, 0)
	if a.err == nil {
		_, err := a.w.WriteString(target)
		a.fail(err)
		a.pad(len(target))
	}
}
