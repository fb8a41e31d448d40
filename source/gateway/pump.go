package gateway

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/wire"
)

// pump forwards one direction.
type pump struct {
	relay    *relay
	dir      flow.Direction
	from, to end
	follows  bool // the origin had ended its direction before this one ended
}

// run returns nil once the direction has ended in good order. It waits without a buffer: most connections do so most of the time.
func (p *pump) run() error {
	for more := true; more; {
		p.expect()
		err := p.from.wire.Wait()
		if err == nil {
			more, err = p.carry()
		} else if timedOut(err) {
			err = p.overdue(time.Now())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// chunk is what is read before it is forwarded.
type chunk = [wire.Chunk]byte

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// carry forwards what has come, and the end if that is behind it. It tells whether more may come.
func (p *pump) carry() (more bool, err error) {
	end, err := p.gather()
	p.follows = p.relay.left.Load() // before the origin hears of an end
	switch {
	case err != nil:
		return false, err
	case end == nil:
		return true, nil
	case errors.Is(end, io.ErrUnexpectedEOF), errors.Is(end, io.EOF) && p.from.wire.Ended(): // TLS was cut off: the other side must see it too
		return false, p.end(p.to.wire.CloseWrite)
	case errors.Is(end, io.EOF):
		return false, p.end(p.to.finish)
	}
	return false, end
}

// gather forwards what has come, a chunk at most, all at once. It returns what comes behind it; nil if that is not known yet.
func (p *pump) gather() (end, err error) {
	b := chunks.Get().(*chunk)
	defer chunks.Put(b)
	p.to.wire.Cork()
	for rest := b[:]; len(rest) >= maxPlaintext && end == nil && err == nil; {
		var n int
		if n, end = p.read(rest); n > 0 {
			err = p.forward(rest[:n])
		}
		rest = rest[n:]
	}
	if sent := p.to.wire.Uncork(); err == nil {
		err = sent
	}
	if wire.IsDry(end) {
		end = nil
	}
	return end, err
}

// maxPlaintext is how much is in a TLS record at the most, in bytes (RFC 8446 §5.1).
const maxPlaintext = 1 << 14

// read reads the next record, and those behind it as long as they are full and there is room for another: nobody would know of the rest of
// one. Others stay apart for the peer, too, where they would be apart without the gateway: curl 7.88 loses an early answer and the reset of its
// upload if both come as one. An error is what comes behind.
func (p *pump) read(b []byte) (n int, err error) {
	for m := maxPlaintext; m == maxPlaintext && err == nil && len(b)-n >= maxPlaintext; n += m {
		m, err = p.from.Read(b[n:])
	}
	return n, err
}

// expect sets how long a read may take.
func (p *pump) expect() {
	deadline := p.idleAt()
	if t, ok := p.turnAt(); ok {
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
