package process

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrChanged tells that a path leads to another file than before, or to something that is no file.
var ErrChanged = errors.New("another file is there now")

// FileID tells files apart, whatever their paths: the device and the inode that stat shows.
type FileID struct{ Dev, Inode uint64 }

// File is a file of code.
type File struct {
	ID FileID
	// Path is the file's path as its users see it, which may be another file's path elsewhere.
	Path string
	// Deleted tells that no path leads to it any more: it was removed or replaced while in use.
	Deleted bool

	at string // a path by which this program gets at it
}

// Open opens the file for reading, if it still is what it was when it was found. What is opened is checked before it is read, so that
// nobody can slip in a device or a pipe. Probes can be put on the open file, by the path /proc/self/fd/N.
func (f File) Open() (*os.File, error) {
	file, err := openChecked(f.at, f.ID)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Path, err)
	}
	return file, nil
}

func openChecked(path string, want FileID) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, plain(err)
	}
	defer unix.Close(fd)
	facts, err := statFile(fd, "")
	if err != nil {
		return nil, err
	}
	if facts.id != want || !facts.regular {
		return nil, ErrChanged
	}
	return reopen(fd, 0)
}

// fileFacts are what is used of statx(2).
type fileFacts struct {
	id      FileID
	regular bool
	links   uint32
}

// statFile looks at the path below the folder fd, or at fd itself if the path is empty. It is content with what the kernel has in its
// memory: no server of a network file system is waited for.
func statFile(fd int, path string) (fileFacts, error) {
	var s unix.Statx_t
	err := unix.Statx(fd, path, unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO|unix.STATX_TYPE|unix.STATX_NLINK, &s)
	if err != nil {
		return fileFacts{}, err
	}
	return fileFacts{
		id:      FileID{unix.Mkdev(s.Dev_major, s.Dev_minor), s.Ino},
		regular: s.Mode&unix.S_IFMT == unix.S_IFREG,
		links:   s.Nlink,
	}, nil
}
