package process

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of files that the kernel keeps small by itself. The groups of a process are in status: up to 65,536 of up to 10 digits.
const (
	maxStat   = 4 << 10
	maxStatus = 1 << 20
)

// kernelThread is PF_KTHREAD of include/linux/sched.h.
const kernelThread = 0x00200000

// ticksPerSecond is USER_HZ, which is 100 on amd64 and arm64 whatever the kernel was built for.
const ticksPerSecond = 100

// stat is what is used of /proc/PID/stat.
type stat struct {
	flags uint64
	start uint64 // clock ticks since boot
}

// parseStat reads fields 9 and 22 (proc_pid_stat(5)). The name in parentheses may hold spaces, parentheses and newlines itself: what
// counts is behind the last closing one, since no later field has any.
func parseStat(text []byte) (s stat, err error) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const first, flags, start = 3, 9, 22
	if len(fields) <= start-first {
		return s, errors.New("stat is too short")
	}
	if s.flags, err = strconv.ParseUint(string(fields[flags-first]), 10, 64); err != nil {
		return s, errors.New("stat has no flags")
	}
	if s.start, err = strconv.ParseUint(string(fields[start-first]), 10, 64); err != nil {
		return s, errors.New("stat has no start time")
	}
	return s, nil
}

// parseStatus returns the effective user of /proc/PID/status, by whom the kernel and ps judge a process, from the line "Uid:". The name in
// the first line can't fake one: the kernel escapes newlines there.
func parseStatus(text []byte) (uid int) {
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(string(line), ":")
		if fields := strings.Fields(value); key == "Uid" && len(fields) == 4 {
			uid, _ = strconv.Atoi(fields[1])
		}
	}
	return uid
}

// maxDrift is how far the wall clock may move against the clock since boot before times are told by its new setting.
const maxDrift = time.Second

// bootTime keeps the wall clock's time of boot, so that a process has the same start whenever it is read.
type bootTime struct{ nanos atomic.Int64 }

// start returns the time of a number of ticks since boot. /proc counts them by CLOCK_BOOTTIME, which goes on while a machine sleeps.
func (b *bootTime) start(ticks uint64) time.Time {
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &since); err != nil {
		return time.Time{} // no such clock: before Linux 2.6.39
	}
	boot := time.Now().Add(-time.Duration(since.Nano())).Round(time.Millisecond).UnixNano() // both clocks are steered alike
	if kept := b.nanos.Load(); kept != 0 && time.Duration(boot-kept).Abs() < maxDrift {
		boot = kept
	} else {
		b.nanos.Store(boot)
	}
	const tick = int64(time.Second) / ticksPerSecond
	return time.Unix(0, boot+int64(ticks)*tick).UTC()
}

// readBounded reads at most limit bytes of a file.
func readBounded(dir *os.Root, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, limit)
}

// readAll reads at most limit bytes.
func readAll(f *os.File, limit int64) ([]byte, error) { return io.ReadAll(io.LimitReader(f, limit)) }
