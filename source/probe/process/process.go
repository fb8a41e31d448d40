// Package process tells what the probe must know of the processes of this machine, all of it read from /proc and from files on
// the host: who a process is, which container it runs in, which files of code it has mapped, where TLS libraries are, and which
// sockets it has. A pid goes in, facts come out. Processes are hostile: they vanish midway, and whatever they name themselves,
// map or link to is bounded, checked and never followed out of their root directory. The package attaches nothing and knows
// nothing of TLS, ELF or BPF.
package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/vitrine-ndr/vitrine/flow"
)

// ErrGone tells that a process has ended, maybe while it was looked at.
var ErrGone = errors.New("the process has ended")

// maxCommandLine bounds a command line; the kernel's own bound is megabytes.
const maxCommandLine = 4 << 10

// Table reads facts of processes. All methods may be called by several goroutines at once.
type Table struct {
	proc       string // where the /proc of the host is
	host       uint64 // its mount namespace
	boot       bootTime
	patience   patience
	containers *containers
	listeners  listenerCache
}

// New returns the Table of the processes in proc, the mount point of a /proc that shows the host's pid namespace: "/proc", or where a
// container has the host's. The host's own files are found through it too, below 1/root; without the right to look there, they are
// looked for in the own root directory, where a container may have those that tell of other containers.
func New(proc string) *Table {
	host := filepath.Join(proc, "1/root")
	if _, err := os.Stat(host + "/etc"); err != nil {
		host = ""
	}
	return &Table{proc: proc, host: hostNamespace(proc), patience: newPatience(), containers: newContainers(host)}
}

// Process is what is known of a process. It does not change: an exec gives a new one.
type Process struct {
	Facts     *flow.Process
	Container *flow.Container // nil on the host itself
}

// PIDs lists the processes there are, in ascending order.
func (t *Table) PIDs() ([]int, error) {
	dir, err := os.Open(t.proc)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// Read tells who a process is. What may not be read for want of permission stays empty; the error wraps ErrGone if the process has ended.
func (t *Table) Read(pid int) (*Process, error) {
	p, err := t.read(pid)
	if err != nil {
		return nil, fmt.Errorf("read process %d: %w", pid, plain(err))
	}
	return p, nil
}

func (t *Table) read(pid int) (*Process, error) {
	// The open folder stands for this one process: when it ends, reads fail and never show a later process of the same pid.
	dir, err := os.OpenRoot(t.path(pid))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	text, err := readBounded(dir, "stat", maxStat)
	if err != nil {
		return nil, err
	}
	stat, err := parseStat(text)
	if err != nil {
		return nil, err
	}
	if text, err = readBounded(dir, "status", maxStatus); err != nil {
		return nil, err
	}
	uid := parseStatus(text)
	name, err := readBounded(dir, "comm", maxStat)
	if err != nil {
		return nil, err
	}
	p := &Process{Facts: &flow.Process{
		PID: pid, Name: valid(strings.TrimSuffix(string(name), "\n")), UID: uid, Start: t.boot.start(stat.start),
	}}
	if stat.flags&kernelThread == 0 {
		p.Facts.Exe, p.Facts.CommandLine = executable(dir), t.commandLine(dir)
		p.Container = t.containers.find(t.place(dir))
	}
	return p, nil
}

func (t *Table) path(pid int, name ...string) string {
	return filepath.Join(append([]string{t.proc, strconv.Itoa(pid)}, name...)...)
}

// executable returns the path as the process sees it, without the mark of a file that is gone.
func executable(dir *os.Root) string {
	path, _ := dir.Readlink("exe") // no permission, or a zombie
	path, _ = strings.CutSuffix(path, deletedMark)
	return valid(path)
}

// commandLine is empty if the process keeps its memory to itself.
func (t *Table) commandLine(dir *os.Root) string {
	text, _ := patiently(t.patience, func() ([]byte, error) { return readBounded(dir, "cmdline", maxCommandLine) })
	return valid(strings.TrimRight(strings.ReplaceAll(string(text), "\x00", " "), " "))
}

// namespace returns the number in the text "mnt:[4026531841]", or 0.
func namespace(dir *os.Root, kind string) uint64 {
	text, _ := dir.Readlink("ns/" + kind)
	n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(text, kind+":["), "]"), 10, 64)
	return n
}

// valid makes text of what a process may have filled with any bytes.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// plain turns the ways in which /proc says that a process has ended into ErrGone.
func plain(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return ErrGone
	}
	return err
}
