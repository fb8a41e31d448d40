package gateway

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// pump forwards one direction.
type pump struct {
	relay    *relay
	dir      flow.Direction
	from, to end
	small    [smallBuffer]byte
	large    *[largeBuffer]byte // while much comes
}

// Buffers are for one read each. Most connections wait most of the time, with a small one; while much comes, they have a large one, until
// there was a lull.
const (
	smallBuffer = 1 << 10
	largeBuffer = 32 << 10
	lull        = time.Second
)

var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// run returns nil once the direction has ended in good order.
func (p *pump) run() error {
	for {
		b := p.small[:]
		if p.large != nil {
			b = p.large[:]
		}
		p.expect()
		n, err := p.from.Read(b)
		if n > 0 {
			if err := p.forward(b[:n]); err != nil {
				return err
			}
		}
		switch {
		case timedOut(err):
			err = p.overdue(time.Now())
		case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF) && p.from.wire.ended.Load(): // TLS was cut off: the other side must see it too
			return p.end(p.to.wire.CloseWrite)
		case errors.Is(err, io.EOF):
			return p.end(p.to.finish)
		}
		if err != nil {
			return err
		}
		if n == smallBuffer && p.large == nil {
			p.large = largeBuffers.Get().(*[largeBuffer]byte)
		}
	}
}

// shrink gives the large buffer back.
func (p *pump) shrink() {
	if p.large != nil {
		largeBuffers.Put(p.large)
		p.large = nil
	}
}

// expect sets how long a read may take.
func (p *pump) expect() {
	deadline := p.idleAt()
	if t, ok := p.turnAt(); ok {
		deadline = t
	}
	if t := time.Now().Add(lull); p.large != nil && t.Before(deadline) {
		deadline = t
	}
	if t, ok := p.held(); ok && t.Before(deadline) {
		deadline = t
	}
	_ = p.from.wire.SetReadDeadline(deadline)
	if t := p.relay.lingers.Load(); t != 0 { // only now: who sets it sets a deadline, too
		_ = p.from.wire.SetReadDeadline(time.Unix(0, t))
	}
	if t := p.relay.turn; t != nil && t.begun.Load() { // likewise
		_ = p.from.wire.SetReadDeadline(past)
	}
}

// held is when what is held back in the direction will have been so for too long.
func (p *pump) held() (time.Time, bool) {
	r := p.relay
	return r.gates[p.dir].until(r.session.gateway.cfg.Hold.Time)
}

// turnAt is when what may be a ClientHello will have been kept too long; ok is false if nothing is kept.
func (p *pump) turnAt() (t time.Time, ok bool) {
	if p.relay.turn == nil || p.dir == flow.ToClient {
		return t, false
	}
	return p.relay.turn.until(p.relay.session.gateway.cfg.Handshake)
}

// idleAt is when both directions will have been silent for too long.
func (p *pump) idleAt() time.Time {
	return time.Unix(0, p.relay.active.Load()).Add(p.relay.session.gateway.cfg.Idle)
}

// overdue does what is to be done when a deadline has passed.
func (p *pump) overdue(now time.Time) error {
	p.shrink()
	if t := p.relay.lingers.Load(); t != 0 && now.UnixNano() < t {
		return nil
	} else if t != 0 {
		return errIdle
	}
	if t := p.relay.turn; t != nil && t.begun.Load() {
		return p.leave()
	}
	if t, ok := p.turnAt(); ok && !now.Before(t) {
		return p.relay.pass(p.dir, p.relay.turn.giveUp())
	}
	if t, ok := p.held(); ok && !now.Before(t) {
		if err := p.release(); err != nil {
			return err
		}
	}
	if now.Before(p.idleAt()) { // the other direction was not silent
		return nil
	}
	return errIdle
}

// leave ends a direction that goes on in TLS.
func (p *pump) leave() error {
	if err := p.release(); err != nil {
		return err
	}
	return errTurned
}

// forward passes on what is no TLS that begins.
func (p *pump) forward(b []byte) error {
	if p.relay.turn == nil {
		return p.relay.pass(p.dir, b)
	}
	now := time.Now()
	p.relay.active.Store(now.UnixNano())
	b, err := p.relay.turn.pass(p.dir, now, b)
	switch {
	case errors.Is(err, errTurned):
		return p.leave()
	case err != nil || len(b) == 0:
		return err
	}
	return p.relay.pass(p.dir, b)
}

// release forwards what is held back, if that is what limits do.
func (p *pump) release() error {
	g := &p.relay.gates[p.dir]
	g.mu.Lock()
	defer g.mu.Unlock()
	return p.relay.release(p.dir, time.Now())
}

// end hands on the end of the direction.
func (p *pump) end(finish func() error) error {
	if p.dir == flow.ToClient {
		p.relay.left.Store(true)
	}
	if err := p.release(); err != nil {
		return err
	}
	return finish()
}
