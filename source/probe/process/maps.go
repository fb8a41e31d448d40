package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxMaps bounds how much of /proc/PID/maps is read. The kernel allows 65,530 mappings by default.
	maxMaps = 32 << 20
	// maxFiles bounds the files of one process.
	maxFiles = 2048
)

// deletedMark is what the kernel appends to the path of a file that has none any more.
const deletedMark = " (deleted)"

// Mapped returns the files whose code a process has mapped, the executable first, each once.
//
// They are reached through /proc/PID/map_files, whose links lead to the very inodes that are mapped: past mount namespaces, and also
// when the path is gone or is another file's by now. That takes CAP_SYS_ADMIN or, since Linux 5.9, CAP_CHECKPOINT_RESTORE. Without
// it they are reached by path below /proc/PID/root, as far as the inode there is the mapped one; replaced files then are missing.
//
// The device and inode that maps itself shows identify nothing: on overlayfs and btrfs they are of another file system than stat's.
func (t *Table) Mapped(pid int) ([]File, error) {
	files, err := t.mapped(pid)
	if err != nil {
		return nil, fmt.Errorf("list mapped files of process %d: %w", pid, plain(err))
	}
	return files, nil
}

func (t *Table) mapped(pid int) ([]File, error) {
	maps, err := os.Open(t.path(pid, "maps"))
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	mappings, err := parseMaps(io.LimitReader(maps, maxMaps))
	if err != nil {
		return nil, err
	}
	var files []File
	seen := map[FileID]bool{}
	add := func(f File, err error) {
		if err == nil && !seen[f.ID] && len(files) < maxFiles {
			seen[f.ID] = true
			files = append(files, f)
		}
	}
	add(t.executable(pid))
	for _, m := range mappings {
		add(t.file(pid, m))
	}
	return files, nil
}

func (t *Table) executable(pid int) (File, error) {
	at := t.path(pid, "exe")
	facts, err := statFile(unix.AT_FDCWD, at)
	if err != nil {
		return File{}, err
	}
	path, err := os.Readlink(at)
	if err != nil {
		return File{}, err
	}
	return newFile(facts, path, at)
}

// file finds the file of a mapping.
func (t *Table) file(pid int, m mapping) (File, error) {
	at := t.path(pid, "map_files", m.span)
	facts, err := statFile(unix.AT_FDCWD, at)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		at = t.path(pid, "root") + m.path
		if facts, err = statFile(unix.AT_FDCWD, at); err == nil && facts.id.Inode != m.inode {
			err = ErrChanged
		}
	}
	if err != nil {
		return File{}, err
	}
	return newFile(facts, m.path, at)
}

func newFile(facts fileFacts, path, at string) (File, error) {
	if !facts.regular {
		return File{}, ErrChanged // a device
	}
	path, marked := strings.CutSuffix(path, deletedMark)
	return File{ID: facts.id, Path: valid(path), Deleted: marked && facts.links == 0, at: at}, nil
}

// mapping is one file of which code is mapped.
type mapping struct {
	span  string // addresses, as they name the link in map_files
	dev   string
	inode uint64
	path  string
}

// parseMaps reads /proc/PID/maps (proc_pid_maps(5)) and returns the executable mappings of files, one for each file. Paths may have any
// bytes; the kernel writes a newline in them as \012.
func parseMaps(r io.Reader) ([]mapping, error) {
	var found []mapping
	type key struct{ dev, path string }
	seen := map[key]uint64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		m, ok := parseMapping(lines.Text())
		if !ok {
			continue
		}
		k := key{m.dev, m.path}
		if inode, known := seen[k]; known && inode == m.inode || len(found) >= maxFiles {
			continue
		}
		seen[k] = m.inode
		found = append(found, m)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read maps: %w", err)
	}
	return found, nil
}

// parseMapping reads one line: span, permissions, offset, device, inode, spaces, path.
func parseMapping(line string) (m mapping, ok bool) {
	var fields [5]string
	rest := line
	for i := range fields {
		if fields[i], rest, ok = strings.Cut(rest, " "); !ok {
			return m, false
		}
	}
	inode, err := strconv.ParseUint(fields[4], 10, 64)
	perms, path := fields[1], strings.TrimLeft(rest, " ")
	if err != nil || inode == 0 || len(perms) < 4 || perms[2] != 'x' || !strings.HasPrefix(path, "/") {
		return m, false
	}
	return mapping{span: fields[0], dev: fields[3], inode: inode, path: strings.ReplaceAll(path, `\012`, "\n")}, true
}
