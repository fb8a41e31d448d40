package process

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxLinks   = 40   // symbolic links on the way to one file, as in the kernel
	maxParts   = 256  // parts of one path
	maxEntries = 8192 // of a folder
)

var errTooDeep = errors.New("too many links or folders on the way")

// tree is a folder that is somebody's root directory. Links are followed as its owner would follow them: an absolute one begins at the
// tree's root, and ".." does not lead out. os.Root refuses absolute links, and openat2(2) is newer than the oldest kernel.
type tree struct {
	root string // without a slash at its end
}

// walk resolves a path and calls visit with the file or folder at its end, opened with O_PATH, and its path without links.
func (t tree) walk(name string, visit func(fd int, path string) error) error {
	root, err := unix.Open(t.root+"/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	w := walk{folders: []folder{{root, "/"}}}
	defer w.close()
	w.todo = strings.Split(name, "/")
	for len(w.todo) > 0 {
		if err := w.step(); err != nil {
			return err
		}
	}
	last := w.folders[len(w.folders)-1]
	return visit(last.fd, last.path)
}

// walk is a path on the way to its end. All folders on it are open, so that ".." is the one that was come from, wherever it is moved.
type walk struct {
	folders []folder
	todo    []string
	links   int
}

type folder struct {
	fd   int
	path string
}

func (w *walk) close() {
	for _, f := range w.folders {
		unix.Close(f.fd)
	}
}

// step goes one part of the path further.
func (w *walk) step() error {
	name := w.todo[0]
	w.todo = w.todo[1:]
	last := len(w.folders) - 1
	switch name {
	case "", ".":
		return nil
	case "..":
		if last > 0 {
			unix.Close(w.folders[last].fd)
			w.folders = w.folders[:last]
		}
		return nil
	}
	at := w.folders[last]
	fd, err := unix.Openat(at.fd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	// An empty path reads the link that fd itself is. That fails with ENOENT for anything else.
	text := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", text)
	if err != nil {
		if w.folders = append(w.folders, folder{fd, path.Join(at.path, name)}); len(w.folders) > maxParts {
			return errTooDeep
		}
		return nil
	}
	unix.Close(fd)
	return w.follow(string(text[:n]))
}

// follow puts a link's text before what is left of the path.
func (w *walk) follow(link string) error {
	if w.links++; w.links > maxLinks || strings.Count(link, "/")+len(w.todo) > maxParts {
		return errTooDeep
	}
	w.todo = append(strings.Split(link, "/"), w.todo...)
	if strings.HasPrefix(link, "/") {
		for _, f := range w.folders[1:] {
			unix.Close(f.fd)
		}
		w.folders = w.folders[:1]
	}
	return nil
}

// list returns the names in a folder, none if there is no such folder.
func (t tree) list(name string) (names []string) {
	_ = t.walk(name, func(fd int, _ string) error {
		dir, err := reopen(fd, unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer dir.Close()
		names, err = dir.Readdirnames(maxEntries)
		return err
	})
	return names
}

// read returns at most limit bytes of a regular file.
func (t tree) read(name string, limit int64) (text []byte, err error) {
	err = t.walk(name, func(fd int, _ string) error {
		if facts, err := statFile(fd, ""); err != nil || !facts.regular {
			return errors.Join(err, fs.ErrInvalid)
		}
		f, err := reopen(fd, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		text, err = readAll(f, limit)
		return err
	})
	return text, err
}

// file returns the regular file at the end of a path.
func (t tree) file(name string) (f File, err error) {
	err = t.walk(name, func(fd int, path string) error {
		facts, err := lookBeneath(fd)
		f, err = newFile(facts, err, path, t.root+path)
		return err
	})
	return f, err
}
