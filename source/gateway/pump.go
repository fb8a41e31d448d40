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
	gate     gate
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
	if t, ok := p.gate.until(); ok && t.Before(deadline) {
		deadline = t
	}
	_ = p.from.wire.SetReadDeadline(deadline)
	if t := p.relay.turn; t != nil && t.begun.Load() { // perhaps before the deadline was set
		_ = p.from.wire.SetReadDeadline(past)
	}
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
	if t := p.relay.turn; t != nil && t.begun.Load() {
		return p.leave()
	}
	if t, ok := p.turnAt(); ok && !now.Before(t) {
		return p.judge(now, p.relay.turn.giveUp())
	}
	if t, ok := p.gate.until(); ok && !now.Before(t) {
		return p.release()
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

// forward writes what is no TLS that begins, and is let through.
func (p *pump) forward(b []byte) error {
	now := time.Now()
	p.relay.active.Store(now.UnixNano())
	if p.relay.turn == nil {
		return p.judge(now, b)
	}
	b, err := p.relay.turn.pass(p.dir, now, b)
	switch {
	case errors.Is(err, errTurned):
		return p.leave()
	case err != nil || len(b) == 0:
		return err
	}
	return p.judge(now, b)
}

// judge writes what the verdict lets through.
func (p *pump) judge(now time.Time, b []byte) error {
	verdict := flow.Pass
	if p.relay.look {
		verdict = p.relay.session.look(p.dir, now, b)
	}
	before, b, ok := p.gate.pass(verdict, now, b)
	if !ok {
		return errDropped
	}
	if err := p.write(before); err != nil {
		return err
	}
	return p.write(b)
}

func (p *pump) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_ = p.to.wire.SetWriteDeadline(time.Now().Add(p.relay.session.gateway.cfg.Idle))
	_, err := p.to.Write(b)
	return err
}

// release forwards what was held, if that is what limits do.
func (p *pump) release() error {
	b, ok := p.gate.release()
	if !ok {
		return errDropped
	}
	return p.write(b)
}

// end hands on the end of the direction.
func (p *pump) end(finish func() error) error {
	if err := p.release(); err != nil {
		return err
	}
	return finish()
}
