package governor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Meter reads what this process uses, all its threads and without its children. The extra functions add what the kernel uses
// on its behalf; both may be nil.
//
// BPF programs run in whatever process meets their hook: their CPU time is charged to that one and is not in this process's
// own. Who wants it in the budget adds the programs' run time by ExtraCPU (the kernel counts it while BPF statistics are on).
// The memory of BPF maps is the kernel's too; a ring buffer's pages count as resident once they are mapped here, so
// ExtraMemory is for all other maps.
type Meter struct {
	ExtraCPU    func() time.Duration // since any fixed moment
	ExtraMemory func() int64         // bytes, now
}

// Read returns what has been used up to now.
func (m *Meter) Read() (Reading, error) {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return Reading{}, fmt.Errorf("read CPU time: %w", err)
	}
	resident, err := residentMemory()
	if err != nil {
		return Reading{}, fmt.Errorf("read memory: %w", err)
	}
	r := Reading{CPU: time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), Memory: resident}
	if m.ExtraCPU != nil {
		r.CPU += m.ExtraCPU()
	}
	if m.ExtraMemory != nil {
		r.Memory += m.ExtraMemory()
	}
	return r, nil
}

// residentMemory returns the bytes of this process that are in memory: the second field of statm, in pages (proc_pid_statm(5)).
func residentMemory() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/self/statm has %d fields", len(fields))
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}
