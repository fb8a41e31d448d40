package process

import (
	"errors"
	"time"
)

// errStuck tells that a process keeps readers of its memory waiting.
var errStuck = errors.New("the process keeps its memory busy")

const (
	// maxWait is how long a process may take to show its memory or the list of its mappings.
	maxWait = 300 * time.Millisecond
	// maxStuck bounds how many reads may be waiting at once, each of which holds a thread. Beyond it nothing is read that may block.
	maxStuck = 64
)

// patience reads what may block. The kernel reads a command line from the memory of the process, and locks that memory to list the
// mappings: a process whose memory is a file of its own FUSE file system, or that stops in the midst of a fault, blocks whoever looks
// for as long as it likes. Such a read is left behind, and ends when the process does.
type patience struct {
	places chan struct{} // one for each read
}

func newPatience() patience { return patience{make(chan struct{}, maxStuck)} }

// patiently returns what read returns, or errStuck after maxWait.
func patiently[T any](p patience, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	select {
	case p.places <- struct{}{}:
	default:
		return *new(T), errStuck
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
		return *new(T), errStuck
	}
}
