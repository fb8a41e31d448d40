package probe

import (
	"time"

	"golang.org/x/sys/unix"
)

// stopwatch measures the processor time of a goroutine that may be moved to another thread, by the clock of the thread that it is on.
// The goroutine must not be locked to a thread: a Sink's decoders are coroutines, which the goroutine that ends the stream must be able to
// continue (package iter, Pull).
type stopwatch struct {
	thread int
	begun  time.Duration
	last   time.Duration
}

func (s *stopwatch) start() { s.thread, s.begun = unix.Gettid(), threadTime() }

// stop returns the time since start. If the goroutine has been moved since then, that is unknown, and taken for what it was before.
func (s *stopwatch) stop() time.Duration {
	if end := threadTime(); unix.Gettid() == s.thread && end >= s.begun {
		s.last = end - s.begun
	}
	return s.last
}

func threadTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
