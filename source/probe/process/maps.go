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
	files, err := patiently(t.patience, func() ([]File, error) { return t.mapped(pid) })
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
	path, err := os.Readlink(at)
	if err != nil {
		return File{}, err
	}
	facts, err := lookAt(at)
	return newFile(facts, err, path, at)
}

// file finds the file of a mapping.
func (t *Table) file(pid int, m mapping) (File, error) {
	at := t.path(pid, "map_files", m.span)
	facts, err := lookAt(at)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		at = t.path(pid, "root") + m.path
		if facts, err = lookAt(at); err == nil && facts.seen.Inode != m.id.Inode {
			err = ErrChanged
		}
	}
	return newFile(facts, err, m.path, at)
}

// newFile returns what was found at a path, or the error of looking.
func newFile(facts fileFacts, err error, path, at string) (File, error) {
	if err == nil && !facts.regular {
		err = ErrChanged // a device
	}
	if err != nil {
		return File{}, err
	}
	path, marked := strings.CutSuffix(path, deletedMark)
	return File{ID: facts.id, Path: valid(path), Deleted: marked && facts.links == 0, at: at, seen: facts.seen}, nil
}

// mapping is a file that is mapped.
type mapping struct {
	span string // addresses, as they name the link in map_files
	code bool   // may be executed
	id   FileID // as the kernel shows it here
	path string
}

// parseMaps reads /proc/PID/maps (proc_pid_maps(5)) and returns the executable mappings of files, one for each file.
func parseMaps(r io.Reader) ([]mapping, error) {
	var found []mapping
	type key struct {
		id   FileID
		path string
	}
	seen := map[key]bool{}
	lines := bufio.NewScanner(r)
	for lines.Scan() && len(found) < maxFiles {
		if m, ok := parseMapping(lines.Text()); ok && m.code && !seen[key{m.id, m.path}] {
			seen[key{m.id, m.path}] = true
			found = append(found, m)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read maps: %w", err)
	}
	return found, nil
}

// parseMapping reads one line: span, permissions, offset, device, inode, spaces, path. It fails for what is no file. A path may have any
// bytes; the kernel writes a newline as \012.
func parseMapping(line string) (m mapping, ok bool) {
	var fields [5]string
	rest := line
	for i := range fields {
		if fields[i], rest, ok = strings.Cut(rest, " "); !ok {
			return m, false
		}
	}
	major, minor, _ := strings.Cut(fields[3], ":")
	dev1, err1 := strconv.ParseUint(major, 16, 32)
	dev2, err2 := strconv.ParseUint(minor, 16, 32)
	inode, err3 := strconv.ParseUint(fields[4], 10, 64)
	path := strings.TrimLeft(rest, " ")
	if errors.Join(err1, err2, err3) != nil || inode == 0 || len(fields[1]) < 4 || !strings.HasPrefix(path, "/") {
		return m, false
	}
	m = mapping{span: fields[0], code: fields[1][2] == 'x', id: FileID{Dev: unix.Mkdev(uint32(dev1), uint32(dev2)), Inode: inode}}
	m.path = strings.ReplaceAll(path, `\012`, "\n")
	return m, true
}

// mappedID maps a file, without reading it, to see which file the kernel shows for the mapping.
func mappedID(fd int) (FileID, error) {
	file, err := reopen(fd, 0)
	if err != nil {
		return FileID{}, err
	}
	defer file.Close()
	area, err := unix.Mmap(int(file.Fd()), 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return FileID{}, err
	}
	defer func() { _ = unix.Munmap(area) }()
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return FileID{}, err
	}
	defer maps.Close()
	start := fmt.Sprintf("%p-", &area[0])[len("0x"):]
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		if m, ok := parseMapping(lines.Text()); ok && strings.HasPrefix(m.span, start) {
			return m.id, nil
		}
	}
	return FileID{}, errors.New("the mapping is not listed")
}
