package gateway

import (
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// gate keeps what of one direction may not be forwarded yet. It is as pure as a clock that is handed in allows.
type gate struct {
	limits Hold
	held   []byte
	since  time.Time // when the first of them was held. Valid iff there are some
}

// pass takes more bytes with their verdict, and returns those that may be forwarded now, in at most two pieces; both are valid until
// the next call. It reports false if nothing may be, ever again.
func (g *gate) pass(v flow.Verdict, at time.Time, b []byte) (before, now []byte, ok bool) {
	switch v {
	case flow.Pass:
		before, g.held = g.held, nil
		return before, b, true
	case flow.Hold:
		if len(g.held) == 0 {
			g.since = at
		}
		if len(g.held)+len(b) > g.limits.Bytes {
			before, g.held = g.held, nil
			return before, b, g.limits.Open
		}
		g.held = append(g.held, b...)
		return nil, nil, true
	}
	g.held = nil
	return nil, nil, false
}

// release is what becomes of held bytes when no verdict comes any more: at the end of the direction, or when they were held too long.
func (g *gate) release() (b []byte, ok bool) {
	b, g.held = g.held, nil
	if len(b) == 0 || g.limits.Open {
		return b, true
	}
	return nil, false
}

// until is when held bytes will have been held too long; ok is false if there are none.
func (g *gate) until() (t time.Time, ok bool) {
	return g.since.Add(g.limits.Time), len(g.held) > 0
}
