package governor

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Niceness is the priority of a program that must not be in others' way: nice(2), from 0 to 19. Where there is not enough processor time for
// all, it gets about a third of what another program gets; where there is, it gets all that it wants.
const Niceness = 5

// slack is by how much the kernel may put off what a thread sleeps for, so that it wakes for several things at once (prctl(2),
// PR_SET_TIMERSLACK). Go's runtime watches itself: while anything runs, it would wake each 20 µs.
const slack = 2 * time.Millisecond

// WakeLess has all threads of this process, and those to come, wake less precisely, by some milliseconds: that saves processor time. It returns
// why the process may not ask for it (CAP_SYS_NICE is missing); nil where it was started so.
func WakeLess() error {
	if own, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil && time.Duration(own) >= slack {
		return nil
	}
	return eachThread(func(id int) error {
		return os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", id), strconv.AppendInt(nil, int64(slack), 10), 0)
	})
}

// eachThread does something to all threads of this process. Those that have ended meanwhile are no error.
func eachThread(do func(id int) error) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list threads: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := do(id); err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("thread %d: %w", id, err)
		}
	}
	return nil
}

// Yield gives all threads of this process the priority, and so those to come: threads inherit it. A process that has a lower one already
// keeps that. They wake less, too, if they may.
func Yield(niceness int) error {
	_ = WakeLess()
	for changed := true; changed; { // a thread may have made another one meanwhile
		changed = false
		err := eachThread(func(id int) error {
			lowered, err := lower(id, niceness)
			changed = changed || lowered
			return err
		})
		if err != nil {
			return fmt.Errorf("lower the priority: %w", err)
		}
	}
	return nil
}

// lower gives a thread the priority, unless it has a lower one or another policy, and reports whether it had to.
func lower(thread, niceness int) (lowered bool, err error) {
	attr, err := unix.SchedGetAttr(thread, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL || attr.Nice >= int32(niceness) {
		return false, err
	}
	attr.Nice = int32(niceness)
	return true, unix.SchedSetAttr(thread, attr, 0)
}
