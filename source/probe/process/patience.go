package process

import (
	"errors"
	"time"
)

// ErrStuck tells that a process keeps those waiting who look at its memory.
var ErrStuck = errors.New("the process keeps its memory busy")

const (
	// maxWait is how long a process may take to show its memory or the list of its mappings.
	maxWait = 300 * time.Millisecond
	// maxStuck bounds how many reads may be waiting at once, each of which holds a thread. Beyond it nothing is read that may block.
	maxStuck = 64
)

// patience reads what may block. To show its command line or its mappings, the kernel locks a process's memory. A user can keep that lock
// taken for as long as he likes: he maps a file of his own FUSE file system, reads there through /proc/PID/mem, and never answers. A
// read that waits for it is left behind, and ends when the process does.
type patience struct {
	places chan struct{} // one for each read
}

func newPatience() patience { return patience{make(chan struct{}, maxStuck)} }

// patiently returns what read returns, or ErrStuck after maxWait.
func patiently[T any](p patience, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	select {
	case p.places <- struct{}{}:
	default:
		return *new(T), ErrStuck
	}
	go func() {
		defer func() { <-p.places }()
		value, err := read()
		done <- result{value, err}
	}()
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.value, r.err
	case <-timer.C:
		return *new(T), ErrStuck
	}
}
