package export

import (
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

const (
	segmentData = 1448    // of PlainOptions: what an Ethernet packet of 1500 bytes holds, as most stacks fill it
	maxGap      = 1 << 30 // sequence numbers may jump by less than half of their range
)

// PlainOptions says which connections a PlainSink records.
type PlainOptions struct {
	OnlyTLS bool // leave out what was never encrypted
	Segment int  // most that a packet may hold of a stream; 0: 1448 bytes
}

// PlainSink returns a Sink that records the plaintext that passes on its way to next. It looks like packets of the
// original connection that had never been encrypted: IP without a link layer, a TCP handshake, segments with an
// acknowledgement for each, missing sequence numbers where bytes are missing, and an end. Datagrams stay what they are.
// A connection without any plaintext leaves no packets.
func PlainSink(next source.Sink, rec Recorder, o PlainOptions) source.Sink {
	if o.Segment < 1 || o.Segment > segmentData {
		o.Segment = segmentData
	}
	return &plainSink{next: next, rec: rec, options: o, bufs: sync.Pool{New: func() any { return new(plainPacket) }}}
}

type plainSink struct {
	next    source.Sink
	rec     Recorder
	options PlainOptions
	bufs    sync.Pool // of *plainPacket: few connections have one at a time
}

// plainPacket is a packet and the memory for its bytes.
type plainPacket struct {
	p   capture.Packet
	buf []byte
}

// Open implements source.Sink.
func (s *plainSink) Open(c *flow.Conn) source.Stream {
	next := s.next.Open(c)
	recorded := plainStream{sink: s, next: next, conn: c, ends: endsOf(c.Tuple)}
	if e, ok := next.(source.Editor); ok {
		return &plainEditor{recorded, e}
	}
	return &recorded
}

// plainStream records one connection.
type plainStream struct {
	sink *plainSink
	next source.Stream
	conn *flow.Conn
	ends [2]ends
	seq  [2]uint32 // the next byte of each direction
	last time.Time // of the newest packet: none is older than the one before
	open bool      // the handshake was recorded
}

// plainEditor records what was said, not what becomes of it.
type plainEditor struct {
	plainStream
	editor source.Editor
}

// Edit implements source.Editor.
func (s *plainEditor) Edit(dir flow.Direction, at time.Time, b []byte) source.Edit {
	s.data(dir, at, b)
	return s.editor.Edit(dir, at, b)
}

// Release implements source.Editor.
func (s *plainEditor) Release(dir flow.Direction, at time.Time) source.Edit {
	return s.editor.Release(dir, at)
}

// Data implements source.Stream.
func (s *plainStream) Data(dir flow.Direction, at time.Time, b []byte) flow.Verdict {
	s.data(dir, at, b)
	return s.next.Data(dir, at, b)
}

func (s *plainStream) data(dir flow.Direction, at time.Time, b []byte) {
	if len(b) > 0 && s.wanted() {
		p := s.sink.bufs.Get().(*plainPacket)
		if s.conn.Tuple.Proto == flow.UDP {
			p.buf = appendUDP(p.buf[:0], s.ends[dir], b[:min(len(b), maxUDP)])
			s.record(p, at)
		} else {
			s.segments(p, dir, at, b)
		}
		s.sink.bufs.Put(p)
	}
}

// Gap implements source.Stream. A gap of unknown length is shown as one of a single byte.
func (s *plainStream) Gap(dir flow.Direction, at time.Time, n int) {
	if s.conn.Tuple.Proto != flow.UDP && s.wanted() {
		p := s.sink.bufs.Get().(*plainPacket)
		s.handshake(p, at)
		s.seq[dir] += uint32(min(max(n, 1), maxGap))
		s.sink.bufs.Put(p)
	}
	s.next.Gap(dir, at, n)
}

// Close implements source.Stream.
func (s *plainStream) Close(at time.Time) {
	if s.open {
		p := s.sink.bufs.Get().(*plainPacket)
		s.segment(p, flow.ToServer, at, tcpFin|tcpAck, nil)
		s.seq[flow.ToServer]++
		s.segment(p, flow.ToClient, at, tcpFin|tcpAck, nil)
		s.seq[flow.ToClient]++
		s.segment(p, flow.ToServer, at, tcpAck, nil)
		s.sink.bufs.Put(p)
	}
	s.next.Close(at)
}

// wanted says whether the connection is recorded. One that turns to TLS later is recorded from there on.
func (s *plainStream) wanted() bool { return !s.sink.options.OnlyTLS || s.conn.TLS != nil }

// handshake records the beginning of a connection, once. It is at the time of the first byte, not of the connection:
// so the packets of a file are in the order of their times.
func (s *plainStream) handshake(p *plainPacket, at time.Time) {
	if s.open {
		return
	}
	s.open = true
	s.segment(p, flow.ToServer, at, tcpSyn, nil)
	s.seq[flow.ToServer]++
	s.segment(p, flow.ToClient, at, tcpSyn|tcpAck, nil)
	s.seq[flow.ToClient]++
	s.segment(p, flow.ToServer, at, tcpAck, nil)
}

// segments records bytes and their acknowledgements.
func (s *plainStream) segments(p *plainPacket, dir flow.Direction, at time.Time, b []byte) {
	s.handshake(p, at)
	for len(b) > 0 {
		n := min(len(b), s.sink.options.Segment)
		flags := byte(tcpAck)
		if n == len(b) {
			flags |= tcpPush
		}
		s.segment(p, dir, at, flags, b[:n])
		s.seq[dir] += uint32(n)
		s.segment(p, dir.Reverse(), at, tcpAck, nil)
		b = b[n:]
	}
}

// segment records one TCP segment.
func (s *plainStream) segment(p *plainPacket, dir flow.Direction, at time.Time, flags byte, data []byte) {
	ack := s.seq[dir.Reverse()]
	if flags&tcpAck == 0 {
		ack = 0
	}
	p.buf = appendTCP(p.buf[:0], s.ends[dir], s.seq[dir], ack, flags, data)
	s.record(p, at)
}

// record hands over the packet in p.buf.
func (s *plainStream) record(p *plainPacket, at time.Time) {
	if at.Before(s.last) {
		at = s.last
	}
	s.last = at
	p.p = capture.Packet{Time: at, Link: capture.RawIP, Length: len(p.buf), Data: p.buf, Interface: s.conn.Interface}
	s.sink.rec.Append(s.conn.ID, &p.p)
}
