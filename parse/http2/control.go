package http2

import (
	"encoding/binary"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
)

// Settings that matter here (RFC 9113, section 6.5.2).
const (
	settingTableSize = 0x1
	settingMaxFrame  = 0x5
)

// A stream that was reset is kept for a while, unless too many are.
const (
	linger       = 2 * time.Second
	maxLingering = 64
)

// A client that resets so many streams within the window before they were answered does nothing else.
const (
	manyResets  = 100
	resetWindow = time.Second
)

// control takes a whole frame that is no DATA.
func (p *parser) control(dir flow.Direction, h *half, f frame, b []byte) {
	if !f.valid() {
		p.out.Anomaly(badFrame)
		p.missed(h, f)
		return
	}
	if f.typ != typeContinuation {
		p.interrupt(h)
	}
	p.sweep()
	switch f.typ {
	case typeHeaders:
		p.headers(dir, h, f, b)
	case typePush:
		p.push(dir, h, f, b)
	case typeContinuation:
		p.continuation(dir, h, f, b)
	case typeReset:
		p.reset(dir, f)
	case typeSettings:
		p.settings(dir, f, b)
	}
}

// settings notes what the other side may send from now on. It may still send by the old ones for a while: so only
// the largest values count.
func (p *parser) settings(dir flow.Direction, f frame, b []byte) {
	other := &p.half[dir.Reverse()]
	for ; len(b) >= 6; b = b[6:] {
		value := int(binary.BigEndian.Uint32(b[2:]))
		switch binary.BigEndian.Uint16(b) {
		case settingTableSize:
			other.allowed = max(other.allowed, value)
		case settingMaxFrame:
			other.longest = max(other.longest, min(value, 1<<24-1))
		}
	}
}

// reset ends the side of a stream that sends it. What the other side has sent before it knows is still on its way: a client
// can cancel a request and read the answer all the same.
func (p *parser) reset(dir flow.Direction, f frame) {
	s := p.streams[f.stream]
	if s == nil {
		return
	}
	now := p.out.Seen()
	if dir == flow.ToServer && !s.side[flow.ToClient].headers {
		if now.Sub(p.resetsFrom) > resetWindow {
			p.resets, p.resetsFrom = 0, now
		}
		if p.resets++; p.resets == manyResets {
			p.out.Anomaly(rapidReset)
		}
	}
	if p.endSide(s, dir, event.Truncated); p.streams[s.id] == s && s.reset.IsZero() {
		s.reset = now
		p.lingering = append(p.lingering, s)
		p.sweep()
	}
}

// sweep emits streams that were reset and whose other side has had its time.
func (p *parser) sweep() {
	for len(p.lingering) > 0 {
		s := p.lingering[0]
		open := p.streams[s.id] == s
		if open && len(p.lingering) <= maxLingering && p.out.Seen().Sub(s.reset) <= linger {
			return
		}
		p.lingering = p.lingering[1:]
		if open {
			p.finish(s)
		}
	}
}
