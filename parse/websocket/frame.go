package websocket

import (
	"encoding/binary"
	"slices"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// Opcodes, RFC 6455 section 11.8.
const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xa
)

// names are the opcodes of messages, as event.WebSocket spells them.
var names = [16]string{opText: "text", opBinary: "binary", opClose: "close", opPing: "ping", opPong: "pong"}

const (
	maxControl = 125 // bytes of a control frame's payload
	pieceSize  = 4096
	lostCode   = 3 // as message.seen: a close code that is missing is not made up from what follows
)

// side is one direction: a state that takes the next bytes, and what it needs.
type side struct {
	dir        flow.Direction
	state      func(p *parser, s *side, b []byte) (n int, more bool)
	compressed bool // permessage-deflate was agreed on
	takeover   bool // a compressed message may refer to those before it
	lost       bool // where frames begin is not known
	closed     bool // a close message was sent
	inflater   *content.Inflater
	noted      []string // anomalies, to tell of each once

	message *message // the data message that is open, nil between messages
	control *message // the control message that is open; it may come between the fragments of the other
	into    *message // where the current frame's payload goes; nil if it is skipped
	final   bool     // the current frame ends its message
	left    int64    // bytes of payload that are still to come
	mask    [4]byte  // as it applies to the next byte; valid iff masked
	masked  bool
	plain   []byte // for unmasking
}

type message struct {
	opcode byte
	sink   *content.Sink
	code   uint16 // of a close message
	seen   int    // bytes of a close message's code that were seen
}

// note tells of an anomaly, once a direction.
func (p *parser) note(s *side, code string) {
	if !slices.Contains(s.noted, code) {
		s.noted = append(s.noted, code)
		p.out.Anomaly(code)
	}
}

// header is the beginning of a frame, RFC 6455 section 5.2.
type header struct {
	final    bool
	reserved byte // RSV1 to RSV3 as 4, 2 and 1
	opcode   byte
	masked   bool
	mask     [4]byte
	length   uint64
	padded   bool // the length takes more bytes than it needs
}

// readHeader returns the header and its length, 0 if it is not all there.
func readHeader(b []byte) (h header, n int) {
	if len(b) < 2 {
		return h, 0
	}
	h = header{final: b[0]&0x80 != 0, reserved: b[0] >> 4 & 7, opcode: b[0] & 0xf, masked: b[1]&0x80 != 0, length: uint64(b[1] & 0x7f)}
	n = 2
	switch h.length {
	case 126:
		if n += 2; len(b) < n {
			return h, 0
		}
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
		h.padded = h.length < 126
	case 127:
		if n += 8; len(b) < n {
			return h, 0
		}
		h.length = binary.BigEndian.Uint64(b[2:])
		h.padded = h.length < 1<<16
	}
	if h.masked {
		if n += 4; len(b) < n {
			return h, 0
		}
		h.mask = [4]byte(b[n-4:])
	}
	return h, n
}

// frame reads the header of a frame and finds out which message it belongs to.
func (p *parser) frame(s *side, b []byte) (int, bool) {
	h, n := readHeader(b)
	if n == 0 {
		return 0, false
	}
	if h.length > 1<<63-1 {
		p.note(s, badLength)
		p.lose(s)
		return n, true
	}
	p.check(s, &h)
	s.final, s.masked, s.mask, s.left = h.final, h.masked, h.mask, int64(h.length)
	s.into = p.messageOf(s, &h)
	if s.state = (*parser).payload; s.left == 0 {
		p.passed(s, 0)
	}
	return n, true
}

// check tells of what is wrong with a frame that can be understood all the same.
func (p *parser) check(s *side, h *header) {
	switch {
	case s.dir == flow.ToServer && !h.masked:
		p.note(s, unmasked)
	case s.dir == flow.ToClient && h.masked:
		p.note(s, masked)
	}
	begins := h.opcode == opText || h.opcode == opBinary
	if h.reserved&3 != 0 || h.reserved&4 != 0 && !(begins && s.compressed) {
		p.note(s, reservedBits)
	}
	if h.padded {
		p.note(s, longLength)
	}
	if s.closed {
		p.note(s, afterClose)
	}
}

// messageOf returns the message that a frame belongs to, nil if to none.
func (p *parser) messageOf(s *side, h *header) *message {
	switch h.opcode {
	case opContinue:
		if s.message == nil {
			p.note(s, noMessage)
		}
		return s.message
	case opText, opBinary:
		if s.message != nil {
			p.note(s, twoMessages)
			m := s.message
			s.message = nil
			p.emit(s, m, event.Truncated)
		}
		s.message = &message{opcode: h.opcode, sink: p.sink(s, h.reserved&4 != 0 && s.compressed)}
		return s.message
	case opClose, opPing, opPong:
		if !h.final || h.length > maxControl {
			p.note(s, badControl)
			return nil
		}
		s.control = &message{opcode: h.opcode, sink: content.New(&p.out, "")}
		s.closed = s.closed || h.opcode == opClose
		return s.control
	}
	p.note(s, badOpcode)
	return nil
}

// sink returns where a data message goes.
func (p *parser) sink(s *side, compressed bool) *content.Sink {
	if !compressed {
		return content.New(&p.out, "")
	}
	if s.inflater == nil {
		s.inflater = content.NewInflater(&p.out)
	}
	return s.inflater.Message()
}

func (s *side) closeInflater() {
	if s.inflater != nil {
		s.inflater.Close()
		s.inflater = nil
	}
}

// payload takes bytes of the current frame.
func (p *parser) payload(s *side, b []byte) (int, bool) {
	n := int(min(int64(len(b)), s.left))
	for part := b[:n]; len(part) > 0; {
		k := len(part)
		if s.masked {
			k = min(k, pieceSize)
			s.write(s.unmask(part[:k]))
		} else {
			s.write(part)
		}
		part = part[k:]
	}
	p.passed(s, n)
	return n, true
}

// write hands plaintext to the message. The first two bytes of a close message are its code.
func (s *side) write(b []byte) {
	m := s.into
	if m == nil {
		return
	}
	for m.opcode == opClose && m.seen < 2 && len(b) > 0 {
		m.code = m.code<<8 | uint16(b[0])
		m.seen++
		b = b[1:]
	}
	if len(b) > 0 {
		m.sink.Write(b)
	}
}

// skip leaves out n missing bytes of the current frame.
func (s *side) skip(n int) {
	if s.into != nil {
		s.into.seen = lostCode
		s.into.sink.Gap(n)
	}
	s.turn(n)
}

// passed counts n bytes of payload, and ends the frame and its message with the last.
func (p *parser) passed(s *side, n int) {
	if s.left -= int64(n); s.left > 0 {
		return
	}
	s.state = (*parser).frame
	m := s.into
	s.into = nil
	if m == nil || !s.final {
		return
	}
	if m == s.control {
		s.control = nil
		p.checkClose(s, m)
		p.emit(s, m, event.Complete)
		return
	}
	s.message = nil
	p.emit(s, m, event.Complete)
	if !s.takeover {
		s.closeInflater()
	}
}

// checkClose looks at the code of a close message: none at all is fine (RFC 6455 section 7.4).
func (p *parser) checkClose(s *side, m *message) {
	if m.opcode != opClose {
		return
	}
	sendable := m.code >= 1000 && m.code <= 1014 && m.code != 1004 && m.code != 1005 && m.code != 1006 || m.code >= 3000 && m.code <= 4999
	if m.seen == 1 || m.seen == 2 && !sendable {
		p.note(s, badClose)
	}
	if m.seen == 1 {
		m.code = 0
	}
}

// end ends the messages that are open.
func (s *side) end(p *parser, state event.State) {
	for _, m := range [...]*message{s.control, s.message} {
		if m != nil {
			p.emit(s, m, state)
		}
	}
	s.control, s.message, s.into = nil, nil, nil
}

// unmask returns the plaintext of up to pieceSize bytes, valid until the next call.
func (s *side) unmask(b []byte) []byte {
	if s.plain == nil {
		s.plain = make([]byte, pieceSize)
	}
	plain := s.plain[:len(b)]
	half := uint64(binary.LittleEndian.Uint32(s.mask[:]))
	key := half<<32 | half
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(plain[i:], binary.LittleEndian.Uint64(b[i:])^key)
	}
	for ; i < len(b); i++ {
		plain[i] = b[i] ^ s.mask[i&3]
	}
	s.turn(len(b))
	return plain
}

// turn moves the mask on by n bytes.
func (s *side) turn(n int) {
	m := s.mask
	for i := range s.mask {
		s.mask[i] = m[(i+n)&3]
	}
}
