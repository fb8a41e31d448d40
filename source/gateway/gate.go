package gateway

import (
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// gate is one direction of a relay. What is forwarded in it is asked for and written by one goroutine at a time: that of its own pump, or
// that of the other, when something waits to be said here.
type gate struct {
	mu    sync.Mutex // guards what follows, and the order of what is handed on
	held  int        // bytes that the Stream holds back
	since time.Time  // when the first of them was held. Valid iff there are some
}

// hold notes how much is held back. Valid iff mu is held.
func (g *gate) hold(n int, at time.Time) {
	if g.held == 0 {
		g.since = at
	}
	g.held = n
}

// holdAnew is hold where nothing is held any more of what was. Valid iff mu is held.
func (g *gate) holdAnew(n int, at time.Time) { g.held, g.since = n, at }

// until is when what is held back will have been so for too long; ok is false if nothing is.
func (g *gate) until(limit time.Duration) (t time.Time, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.since.Add(limit), g.held > 0
}

// editor returns the Stream itself, or makes an Editor of one that only knows verdicts.
func editor(s source.Stream) source.Editor {
	if e, ok := s.(source.Editor); ok {
		return e
	}
	return &verdicts{Stream: s}
}

// verdicts is an Editor that keeps what its Stream wants to be held.
type verdicts struct {
	source.Stream
	held [2][]byte
}

// Edit obeys the verdict, which is about all that is held.
func (v *verdicts) Edit(dir flow.Direction, at time.Time, b []byte) source.Edit {
	if len(b) == 0 {
		return source.Edit{Held: len(v.held[dir])}
	}
	switch v.Data(dir, at, b) {
	case flow.Pass:
		if len(v.held[dir]) == 0 {
			return source.Edit{Forward: b}
		}
		v.held[dir] = append(v.held[dir], b...)
		return v.Release(dir, at)
	case flow.Hold:
		v.held[dir] = append(v.held[dir], b...)
		return source.Edit{Held: len(v.held[dir])}
	}
	return source.Edit{Drop: true}
}

// Release forwards what is held.
func (v *verdicts) Release(dir flow.Direction, _ time.Time) source.Edit {
	b := v.held[dir]
	v.held[dir] = nil
	return source.Edit{Forward: b}
}
