package dns

import (
	"encoding/binary"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// maxMalformed is how many unreadable messages in a row end parsing: what follows is not DNS.
const maxMalformed = 8

// tcpParser cuts a stream into messages. After a gap it goes on at the next message whose place is known, or else at the
// next bytes that look like one.
type tcpParser struct {
	*pairing
	half [2]half
}

type half struct {
	skip    int  // bytes of a message that began before a gap
	missing int  // bytes that the message on offer still lacks, -1 if its length is not known yet
	lost    bool // where messages begin is not known
	bad     int  // malformed messages in a row
}

func (p *tcpParser) Parse(dir flow.Direction, b []byte) (int, error) {
	h := &p.half[dir]
	n := 0
	for {
		if k := min(h.skip, len(b)-n); k > 0 {
			h.skip -= k
			n += k
		}
		if h.lost {
			n += h.resync(b[n:])
		}
		rest := b[n:]
		if h.missing = -1; h.lost || h.skip > 0 || len(rest) < 2 {
			return n, nil
		}
		size := 2 + int(binary.BigEndian.Uint16(rest))
		switch {
		case size > max(p.out.Limits.Header, headerSize):
			p.out.Anomaly(tooLarge)
			h.skip = size
			continue
		case size > len(rest):
			h.missing = size - len(rest)
			return n, nil
		case p.message(dir, rest[2:size]):
			h.bad = 0
		default:
			if h.bad++; h.bad == maxMalformed {
				return n, parse.ErrGiveUp
			}
		}
		n += size
	}
}

// resync returns how many bytes lie before the next thing that looks like a message.
func (h *half) resync(b []byte) int {
	for i := range b {
		switch probeHead(b[i:]) {
		case parse.Yes:
			h.lost = false
			return i
		case parse.Maybe:
			return i
		}
	}
	return len(b)
}

func (p *tcpParser) Gap(dir flow.Direction, n int) error {
	h := &p.half[dir]
	switch missing := max(h.skip, h.missing); {
	case h.lost:
	case n > 0 && n <= missing:
		h.skip = missing - n
	default:
		h.skip, h.lost = 0, true
	}
	h.missing = -1
	return nil
}

// probeHead looks at the length, the header and the question of a message in a stream.
func probeHead(b []byte) parse.Match {
	if len(b) < 2 {
		return parse.Maybe
	}
	return plausible(b[2:], int(binary.BigEndian.Uint16(b)))
}

// probeStream wants the whole first message.
func probeStream(b []byte) parse.Match {
	if m := probeHead(b); m != parse.Yes {
		return m
	}
	size := 2 + int(binary.BigEndian.Uint16(b))
	switch {
	case len(b) >= size:
		return probeMessage(b[2:size], false)
	case len(b) < parse.MaxProbe:
		return parse.Maybe
	}
	return parse.Yes
}
