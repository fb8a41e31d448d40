package http2

import (
	"encoding/binary"

	"github.com/vitrine-ndr/vitrine/flow"
)

// maxPieces is how many frames one header block may have. The largest that Limits.Header allows by default has 17.
const maxPieces = 64

// block is a header block that goes on in CONTINUATION frames.
type block struct {
	open     bool
	begin    frame  // the frame that began it
	promised uint32 // stream that begin promises
	bytes    []byte
	pieces   int
	cut      bool // it became too large: the rest of it is thrown away
}

func (b *block) drop() { *b = block{} }

// headers takes a HEADERS frame.
func (p *parser) headers(dir flow.Direction, h *half, f frame, b []byte) {
	b, ok := p.unpad(f, b)
	if ok && f.has(flagPriority) {
		if ok = len(b) >= 5; ok {
			b = b[5:]
		}
	}
	p.piece(dir, h, f, 0, b, ok)
}

// push takes a PUSH_PROMISE frame: a server's request to itself.
func (p *parser) push(dir flow.Direction, h *half, f frame, b []byte) {
	b, ok := p.unpad(f, b)
	if ok = ok && len(b) >= 4; !ok {
		p.piece(dir, h, f, 0, nil, false)
		return
	}
	promised := binary.BigEndian.Uint32(b) &^ (1 << 31)
	p.piece(dir, h, f, promised, b[4:], true)
}

// unpad returns the payload without its padding.
func (p *parser) unpad(f frame, b []byte) ([]byte, bool) {
	if !f.has(flagPadded) {
		return b, true
	}
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		p.out.Anomaly(badPadding)
		return nil, false
	}
	return b[1 : len(b)-int(b[0])], true
}

// piece takes the first piece of a header block. If it is not ok it cannot be read, and the table is out of step.
func (p *parser) piece(dir flow.Direction, h *half, f frame, promised uint32, b []byte, ok bool) {
	switch {
	case !ok:
		p.out.Anomaly(badFrame)
		p.missed(h, f)
	case f.has(flagEndHeaders):
		p.endBlock(dir, h, &block{begin: f, promised: promised, bytes: b})
	default:
		h.block = block{open: true, begin: f, promised: promised, bytes: append([]byte(nil), b...), pieces: 1}
	}
}

// continuation takes a further piece.
func (p *parser) continuation(dir flow.Direction, h *half, f frame, b []byte) {
	k := &h.block
	if !k.open || k.begin.stream != f.stream {
		if !h.gapped {
			p.out.Anomaly(interruptedBlock)
		}
		p.missed(h, f)
		return
	}
	k.pieces++
	switch {
	case k.cut:
	case k.pieces > maxPieces:
		p.cutBlock(dir, h, continuationFlood)
	case len(k.bytes)+len(b) > p.out.Limits.Header:
		p.cutBlock(dir, h, headersTooLarge)
	default:
		k.bytes = append(k.bytes, b...)
	}
	if f.has(flagEndHeaders) {
		if !k.cut {
			p.endBlock(dir, h, k)
		}
		k.drop()
	}
}

// cutBlock reads what there is of a header block that has become too large. Its other pieces are thrown away.
func (p *parser) cutBlock(dir flow.Direction, h *half, code string) {
	p.out.Anomaly(code)
	h.block.cut = true
	p.endBlock(dir, h, &h.block)
	h.block.bytes = nil
}

// interrupt gives up a header block that something else than its CONTINUATION follows.
func (p *parser) interrupt(h *half) {
	if h.block.open {
		p.out.Anomaly(interruptedBlock)
		p.missed(h, h.block.begin)
	}
}

// endBlock decodes a header block and hands it to its stream.
func (p *parser) endBlock(dir flow.Direction, h *half, k *block) {
	m := fields{room: p.out.Limits.Header, lost: k.cut}
	err := h.table.decode(k.bytes, m.add)
	if err != nil && !k.cut {
		p.out.Anomaly(badHPACK)
		m.lost = true
	}
	if m.lost && h.gapped && !h.hpackLost {
		h.hpackLost = true
		p.out.Anomaly(hpackLost)
	}
	if h.table.asked > h.allowed && !p.half[dir.Reverse()].gapped {
		p.out.Anomaly(tableTooLarge)
	}
	if err != nil || k.cut {
		h.table.forget()
	}
	for _, code := range m.odd {
		p.out.Anomaly(code)
	}
	if k.begin.typ == typePush {
		p.promise(dir, k, &m)
	} else {
		p.message(dir, k.begin, &m)
	}
}
