package keylog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	// interval is how often files are looked at. Polling sees what is written over NFS, from other containers and through bind
	// mounts, where notifications do not reach; a look at an unchanged file costs a microsecond.
	interval = 40 * time.Millisecond
	// maxFiles bounds the files of a folder that are followed at once.
	maxFiles = 512
	readSize = 64 << 10 // bytes a read: some 300 lines
)

// Load reads a file into the store.
func Load(path string, store *Store) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read key log: %w", err)
	}
	defer file.Close()
	f := followed{file: file}
	if err := f.read(store, make([]byte, readSize)); err != nil {
		return fmt.Errorf("read key log: %w", err)
	}
	store.Add(f.partial)
	return nil
}

// Follow reads a key log into the store while it grows, or all files of a folder, until ctx is done. The path need not exist yet. Files
// may be truncated, replaced, rotated away or removed at any time. What cannot be read is logged once and tried again.
func Follow(ctx context.Context, path string, store *Store, log *slog.Logger) error {
	f := follower{path: path, store: store, log: log, files: make(map[string]*followed), buf: make([]byte, readSize), failing: make(map[string]bool)}
	defer f.close()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		f.pass(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// follower reads one path, a file or a folder.
type follower struct {
	path    string
	store   *Store
	log     *slog.Logger
	files   map[string]*followed
	failing map[string]bool // paths that could not be read the last time
	buf     []byte
}

// followed is one open file.
type followed struct {
	file     *os.File
	offset   int64  // of what was not read yet
	partial  []byte // the beginning of a line whose end has not come
	tooLong  bool   // the rest of a line beyond maxLine is skipped
	idle     int    // passes in which nothing came
	consumed bool   // partial was taken for a whole line
}

// pass looks at every file once.
func (f *follower) pass(ctx context.Context) {
	paths, err := f.paths()
	f.report(filepath.Join(f.path, "*"), err)
	present := make(map[string]bool, len(paths))
	for _, path := range paths {
		if ctx.Err() != nil {
			return
		}
		present[path] = true
		f.report(path, f.readFile(path))
	}
	for path, file := range f.files {
		if !present[path] { // what was written before it was removed is still there to be read
			_ = file.read(f.store, f.buf)
			file.file.Close()
			delete(f.files, path)
			delete(f.failing, path)
		}
	}
}

// paths returns the files to follow, some of them even with an error. A path that does not exist has none.
func (f *follower) paths() ([]string, error) {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return []string{f.path}, nil
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if len(paths) == maxFiles {
			return paths, fmt.Errorf("more than %d files: only the first are followed", maxFiles)
		}
		paths = append(paths, filepath.Join(f.path, e.Name()))
	}
	return paths, nil
}

// report logs an error when it begins, and its end.
func (f *follower) report(path string, err error) {
	switch {
	case err != nil && !f.failing[path]:
		f.failing[path] = true
		f.log.Warn("cannot read key log, will try again", "path", path, "error", err)
	case err == nil && f.failing[path]:
		delete(f.failing, path)
		f.log.Info("key log can be read again", "path", path)
	}
}

// readFile reads what is new in a file: first to the end of the one that is open, then the one that has taken its place.
func (f *follower) readFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // gone since it was listed
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return errors.New("not a regular file")
	}
	file := f.files[path]
	if file != nil {
		if err := file.read(f.store, f.buf); err != nil {
			return err
		}
		if same, err := file.unchanged(info); same || err != nil {
			return err
		}
		file.file.Close()
		delete(f.files, path)
	}
	opened, err := os.Open(path)
	if err != nil {
		return err
	}
	file = &followed{file: opened}
	f.files[path] = file
	return file.read(f.store, f.buf)
}

// unchanged reports whether the open file is the one that info is of, and has not been cut.
func (f *followed) unchanged(info fs.FileInfo) (bool, error) {
	opened, err := f.file.Stat()
	if err != nil {
		return false, err
	}
	return os.SameFile(opened, info) && opened.Size() >= f.offset, nil
}

// read takes all that has come since the last time. A line without an end is taken for whole after it has rested for two passes:
// should it go on after all, half a secret does no harm.
func (f *followed) read(store *Store, buf []byte) error {
	came := false
	for {
		n, err := f.file.ReadAt(buf, f.offset)
		f.offset += int64(n)
		if n > 0 {
			came = true
			f.add(store, buf[:n])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if came {
		f.idle, f.consumed = 0, false
		return nil
	}
	if f.idle++; f.idle == 2 && len(f.partial) > 0 && !f.consumed {
		f.consumed = true
		store.Add(f.partial)
	}
	return nil
}

// add hands over whole lines and keeps the beginning of the next.
func (f *followed) add(store *Store, b []byte) {
	if f.tooLong {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			return
		}
		f.tooLong, b = false, b[i+1:]
	}
	end := bytes.LastIndexByte(b, '\n') + 1
	if end > 0 && len(f.partial) > 0 {
		i := bytes.IndexByte(b, '\n') + 1
		store.Add(append(f.partial, b[:i]...))
		f.partial, b, end = f.partial[:0], b[i:], end-i
	}
	store.Add(b[:end])
	f.partial = append(f.partial, b[end:]...)
	if len(f.partial) > maxLine {
		f.partial, f.tooLong = f.partial[:0], true
	}
}

// close gives the open files back. What their last lines lack no longer comes.
func (f *follower) close() {
	for _, file := range f.files {
		file.file.Close()
	}
}
