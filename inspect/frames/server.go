package frames

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// Server edits what a server sends: it only adds to it. Its answers must not take what the server may send the client from it, so they have a
// body only where the client has asked for so much that this does not matter.
type Server struct {
	head    []byte // what there is of a frame's header; it was forwarded
	left    int    // bytes of the frame that are still to come
	inBlock bool   // a header block goes on in the next frame
	begun   bool   // the server's first frame was seen
	pending []byte
	window  int64                        // bytes of DATA that the client takes on all streams
	initial int64                        // on a new stream
	ended   func(stream uint32, by ends) // is told of streams that the server ends or resets
	debt    int64                        // of those, what answers have used, and the server does not know of
}

// NewServer returns an editor for what comes from the first byte of a connection on.
func NewServer() *Server {
	return &Server{window: 65_535, initial: 65_535, ended: func(uint32, ends) {}}
}

// spare is how much more than an answer the client must take for that to have a body.
const spare = 16 << 10

// settings notes what the client takes.
func (s *Server) settings(f frame, b []byte) {
	const initialWindow = 0x4
	for ; !f.has(ack) && len(b) >= 6; b = b[6:] {
		if binary.BigEndian.Uint16(b) == initialWindow {
			s.initial = int64(binary.BigEndian.Uint32(b[2:]))
		}
	}
}

// widen takes a WINDOW_UPDATE of the connection, by n, and appends what of it the server may use.
func (s *Server) widen(b, sent []byte, n uint32) []byte {
	s.window += int64(n)
	used := min(s.debt, int64(n))
	s.debt -= used
	switch used {
	case 0:
		return append(b, sent...)
	case int64(n):
		return b
	}
	return appendWindow(b, 0, int(int64(n)-used))
}

// credit gives the client back what it has sent of streams that were dropped.
func (s *Server) credit(n int) {
	if n > 0 {
		s.pending = appendWindow(s.pending, 0, n)
	}
}

// answer queues the answer to a stream.
func (s *Server) answer(stream uint32, lines [][2]string, body []byte) {
	f := frame{0, headers, 0, stream}
	n := int64(len(body))
	if n == 0 || n > s.initial || n+spare > s.window || n > maxPayload {
		f.flags, n = endStream, 0
	}
	var block []byte
	for _, l := range lines {
		block = appendField(block, hpack.HeaderField{Name: l[0], Value: l[1]})
	}
	s.pending = appendBlock(s.pending, f, nil, block)
	if n > 0 {
		s.pending = append(frame{int(n), data, endStream, stream}.append(s.pending), body...)
		s.window -= n
		s.debt += n
	}
}

// reset queues the end of a stream.
func (s *Server) reset(stream, code uint32) { s.pending = appendReset(s.pending, stream, code) }

// ping queues the question whether the client has read what was said before.
func (s *Server) ping(stream uint32) {
	s.pending = append(frame{8, ping, 0, 0}.append(s.pending), pingMark...)
	s.pending = binary.BigEndian.AppendUint32(s.pending, stream)
}

// Waiting tells whether something can be said now.
func (s *Server) Waiting() bool { return len(s.pending) > 0 && s.between() }

// between tells whether the server's next byte begins a frame before which another one may be.
func (s *Server) between() bool { return s.begun && s.left == 0 && len(s.head) == 0 && !s.inBlock }

// Edit takes what the server has said, and returns it with what waits in between. heard is told all of it, in its order. It is b itself
// where nothing waits.
func (s *Server) Edit(b []byte, heard func([]byte)) []byte {
	var out []byte
	from := 0
	for at := 0; ; {
		if s.Waiting() {
			heard(b[from:at])
			heard(slices.Clone(s.pending))
			out = append(append(out, b[from:at]...), s.pending...)
			from, s.pending = at, nil
		}
		if at == len(b) {
			break
		}
		at += s.step(b[at:])
	}
	if heard(b[from:]); from == 0 && out == nil {
		return b
	}
	return append(out, b[from:]...)
}

// step follows the server's frames.
func (s *Server) step(b []byte) int {
	if s.left > 0 {
		n := min(len(b), s.left)
		s.left -= n
		return n
	}
	n := min(len(b), headerSize-len(s.head))
	if s.head = append(s.head, b[:n]...); len(s.head) < headerSize {
		return n
	}
	f := frameOf(s.head)
	s.head, s.left, s.begun = s.head[:0], f.length, true
	switch f.typ {
	case headers, push, continuation:
		s.inBlock = !f.has(endHeaders)
	case data:
		s.window -= int64(f.length)
	case resetStream:
		s.ended(f.stream, byClient|byServer)
	}
	if (f.typ == headers || f.typ == data) && f.has(endStream) {
		s.ended(f.stream, byServer)
	}
	return n
}
