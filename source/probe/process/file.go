package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrChanged tells that a path leads to another file than before, or to something that is no file.
var ErrChanged = errors.New("another file is there now")

// FileID tells files apart, whatever their paths. Files with equal IDs have one inode in the kernel: a probe on one is on both.
type FileID struct {
	Dev, Inode uint64 // as stat shows them; for a file on overlayfs those of the file beneath, or 0
	born       int64  // ns since 1970, 0 where the file system does not tell: numbers of inodes are used again
	handle     string // for a file on overlayfs, of the file beneath, where Dev and Inode can't be told
}

// File is a file of code.
type File struct {
	ID FileID
	// Path is the file's path as its users see it, which may be another file's path elsewhere.
	Path string
	// Deleted tells that no path leads to it any more: it was removed or replaced while in use.
	Deleted bool

	at   string // a path by which this program gets at it
	seen FileID // what stat shows there
}

// Open opens the file for reading, if it still is what it was when it was found. What is opened is checked before it is read, so that
// nobody can slip in a device or a pipe. Probes can be put on the open file, by the path /proc/self/fd/N. Reading may block for as
// long as whoever serves the file system likes.
func (f File) Open() (*os.File, error) {
	fd, err := openPath(f.at)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Path, plain(err))
	}
	defer unix.Close(fd)
	facts, err := statFile(fd, "")
	if err == nil && (facts.seen != f.seen || !facts.regular) {
		err = ErrChanged
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Path, err)
	}
	return reopen(fd, 0)
}

func openPath(path string) (fd int, err error) { return unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0) }

// reopen opens what was opened with O_PATH, for reading.
func reopen(fd, flags int) (*os.File, error) {
	return os.OpenFile("/proc/self/fd/"+strconv.Itoa(fd), os.O_RDONLY|flags, 0)
}

// fileFacts are what is used of statx(2).
type fileFacts struct {
	id, seen FileID
	regular  bool
	links    uint32
}

// statFile looks at the path below the folder fd, or at fd itself if the path is empty. It is content with what the kernel has in its
// memory: no server of a network file system is waited for.
func statFile(fd int, path string) (fileFacts, error) {
	var s unix.Statx_t
	err := unix.Statx(fd, path, unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_INO|unix.STATX_TYPE|unix.STATX_NLINK|unix.STATX_BTIME, &s)
	if err != nil {
		return fileFacts{}, err
	}
	id := FileID{Dev: unix.Mkdev(s.Dev_major, s.Dev_minor), Inode: s.Ino, born: s.Btime.Sec*1e9 + int64(s.Btime.Nsec)}
	return fileFacts{id: id, seen: id, regular: s.Mode&unix.S_IFMT == unix.S_IFREG, links: s.Nlink}, nil
}

// lookAt is statFile of a path, with the identity of the file beneath if it is on overlayfs.
func lookAt(path string) (fileFacts, error) {
	facts, err := statFile(unix.AT_FDCWD, path)
	if err != nil || unix.Major(facts.seen.Dev) != 0 {
		return facts, err // on a disk
	}
	fd, err := openPath(path)
	if err != nil {
		return facts, err
	}
	defer unix.Close(fd)
	return lookBeneath(fd)
}

// atHandleFID is AT_HANDLE_FID of include/uapi/linux/fcntl.h: a handle that only names the file.
const atHandleFID = 0x200

// lookBeneath is statFile of an open file, with the identity of the file beneath if it is on overlayfs: containers of one image have the
// same files, which each shows under a device of its own. Linux 6.6 and later tell the identity by a handle; before 6.8, a mapping shows
// it. The handle of a file that a container has changed is that of the image's (ovl_check_encode_origin in fs/overlayfs/export.c), but
// the changed copy was born later.
func lookBeneath(fd int) (fileFacts, error) {
	facts, err := statFile(fd, "")
	if err != nil || !facts.regular || !onOverlay(fd) {
		return facts, err
	}
	if handle, _, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH|atHandleFID); err == nil {
		facts.id = FileID{handle: fmt.Sprint(facts.id.born, handle.Bytes())}
	} else if beneath, err := mappedID(fd); err == nil {
		beneath.born = facts.id.born
		facts.id = beneath
	}
	return facts, nil
}

func onOverlay(fd int) bool {
	var fs unix.Statfs_t
	return unix.Fstatfs(fd, &fs) == nil && int64(fs.Type) == unix.OVERLAYFS_SUPER_MAGIC
}
