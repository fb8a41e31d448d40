// Package tracefs finds tracepoints: where the kernel lists them, and how their records are laid out. It knows nothing of what is done
// with them.
package tracefs

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// dirs are where the file system may be. It is mounted at the first.
var dirs = [...]string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}

// With calls f where tracepoints can be found. Where nobody has mounted their file system, as in containers, it is mounted for
// one thread alone, which ends with f: nobody else sees it, and nothing stays.
func With(f func() error) error {
	for _, dir := range dirs {
		if _, err := os.Stat(dir + "/events"); err == nil {
			return f()
		}
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its mount namespace
		if err := mount(); err != nil {
			done <- fmt.Errorf("mount tracefs, as root can do by \"mount -t tracefs tracefs %s\": %w", dirs[0], err)
			return
		}
		done <- f()
	}()
	return <-done
}

func mount() error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	return unix.Mount("tracefs", dirs[0], "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

// Offsets returns where fields are in the records of a tracepoint, such as "tcp/tcp_rcv_space_adjust": kernels differ in that. It must
// run inside of With.
func Offsets(tracepoint string, fields ...string) ([]uint32, error) {
	var f *os.File
	var err error
	for _, dir := range dirs {
		if f, err = os.Open(filepath.Join(dir, "events", tracepoint, "format")); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read layout of tracepoint: %w", err)
	}
	defer f.Close()
	list, err := offsets(f, fields)
	if err != nil {
		return nil, fmt.Errorf("read layout of tracepoint %s: %w", tracepoint, err)
	}
	return list, nil
}

// formatField is a line of a tracepoint's format: a tab, "field:__u8 saddr_v6[16];", a tab, "offset:30;", and more.
var formatField = regexp.MustCompile(`^\tfield:.*\b(\w+)(?:\[\d+\])?;\toffset:(\d+);`)

func offsets(format io.Reader, fields []string) ([]uint32, error) {
	found := map[string]uint32{}
	lines := bufio.NewScanner(format)
	for lines.Scan() {
		if m := formatField.FindStringSubmatch(lines.Text()); m != nil {
			offset, err := strconv.ParseUint(m[2], 10, 32)
			if err != nil {
				return nil, err
			}
			found[m[1]] = uint32(offset)
		}
	}
	list := make([]uint32, len(fields))
	for i, name := range fields {
		offset, ok := found[name]
		if !ok {
			return nil, fmt.Errorf("it has no field %s", name)
		}
		list[i] = offset
	}
	return list, lines.Err()
}
