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

// Yield gives all threads of this process the priority, and so those to come: threads inherit it. A process that has a lower one already
// keeps that. Threads wake less precisely from then on, by some milliseconds, where the process may ask for that (CAP_SYS_NICE): that alone
// is what a niceness of 0 does.
func Yield(niceness int) error {
	for changed := true; changed; { // a thread may have made another one meanwhile
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		changed = false
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			lowered, err := lower(id, niceness)
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("lower the priority of thread %d: %w", id, err)
			}
			changed = changed || lowered
		}
	}
	return nil
}

// lower gives a thread the priority, unless it has a lower one or another policy, and reports whether it had to.
func lower(thread, niceness int) (lowered bool, err error) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/timerslack_ns", thread), strconv.AppendInt(nil, int64(slack), 10), 0)
	attr, err := unix.SchedGetAttr(thread, 0)
	if err != nil || attr.Policy != unix.SCHED_NORMAL || attr.Nice >= int32(niceness) {
		return false, err
	}
	attr.Nice = int32(niceness)
	return true, unix.SchedSetAttr(thread, attr, 0)
}
