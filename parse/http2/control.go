package http2

import (
	"encoding/binary"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
)

// Settings that matter here (RFC 9113, section 6.5.2).
const (
	settingTableSize = 0x1
	settingMaxFrame  = 0x5
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

// reset ends a stream in both directions.
func (p *parser) reset(dir flow.Direction, f frame) {
	s := p.streams[f.stream]
	if s == nil {
		return
	}
	if dir == flow.ToServer && !s.side[flow.ToClient].headers {
		now := p.out.Seen()
		if now.Sub(p.resetsFrom) > resetWindow {
			p.resets, p.resetsFrom = 0, now
		}
		if p.resets++; p.resets == manyResets {
			p.out.Anomaly(rapidReset)
		}
	}
	p.finish(s)
}
