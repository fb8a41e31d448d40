package reassembly

import (
	"time"

	"github.com/vitrine-ndr/vitrine/capture"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// Assembler follows the conversations of one sequence of packets. It is not safe for concurrent use.
type Assembler struct {
	cfg     Config
	sink    source.Sink
	conns   map[key]*conn
	waiting map[*conn]struct{} // those that hold segments
	lists   [classes]list
	free    [][]byte // buffers of bufferSize
	seg     segment
	stats   Stats
	expired time.Time // when silent conversations were last looked for
}

// New returns an Assembler that opens a Stream on sink for each conversation.
func New(cfg Config, sink source.Sink) *Assembler {
	a := &Assembler{cfg: cfg, sink: sink, conns: map[key]*conn{}, waiting: map[*conn]struct{}{}}
	for i, patience := range [classes]time.Duration{
		closing: cfg.Linger, reset: cfg.TCPReset, opening: cfg.TCPOpening, datagrams: cfg.UDPIdle, established: cfg.TCPIdle,
	} {
		a.lists[i].init(patience)
	}
	return a
}

// Stats returns the counts so far.
func (a *Assembler) Stats() Stats {
	s := a.stats
	s.Open = len(a.conns)
	return s
}

// Packet takes the next packet and returns the conversation that it belongs to, or nil. The Conn may be closed already: then
// this is a late packet of it.
func (a *Assembler) Packet(p *capture.Packet) *flow.Conn {
	a.stats.Packets++
	s := &a.seg
	if d := decode(p, s); d != dropNone {
		a.stats.Dropped[d]++
		return nil
	}
	a.stats.Segments++
	if p.Time.Sub(a.expired) >= time.Second {
		a.Advance(p.Time)
	}
	c := a.conns[s.key]
	if c != nil && a.reused(c, s) {
		a.remove(c, p.Time)
		c = nil
	}
	if c == nil {
		if c = a.open(s, p); c == nil {
			return nil
		}
	}
	dir := c.direction(s)
	c.Wire[dir].Packets++
	c.Wire[dir].Bytes += uint64(len(s.payload) + s.missing)
	switch {
	case c.closed:
	case s.proto == flow.TCP:
		c.tcp(a, dir, s, p.Time)
	case c.repeated(dir, s, p):
		a.stats.Repeated++
	default:
		c.stream.Data(dir, p.Time, s.payload)
		if s.missing > 0 {
			c.gap(a, dir, p.Time, s.missing)
		}
	}
	c.last = p.Time
	a.lists[c.class()].touch(c)
	return c.Conn
}

// reused reports whether s belongs to a new connection between the endpoints of c. A SYN alone ends none that lives: hosts ignore it
// (RFC 9293 §3.10.7.4), and so whoever forges one would blind us. It takes the peer's answer.
func (a *Assembler) reused(c *conn, s *segment) bool {
	if s.proto != flow.TCP {
		return false
	}
	h := &c.half[c.direction(s)]
	over := c.class() <= reset
	switch s.flags & (flagSYN | flagACK | flagRST) {
	case flagSYN:
		if h.started && s.seq+1 == h.next {
			return false // sent again
		}
		c.offer, c.offered = s.seq+1, true
		return over
	case flagSYN | flagACK:
		return c.offered && s.ack == c.offer && h.started && s.seq+1 != h.next
	case flagACK:
		return c.closed && len(s.payload) > 0 && h.started && !before(s.seq, h.next) && !(h.fin && s.seq == h.finSeq)
	}
	return false
}

// open begins to follow a conversation, or returns nil for the remains of one: a packet that carries nothing opens none.
func (a *Assembler) open(s *segment, p *capture.Packet) *conn {
	fromClient := true
	switch {
	case s.proto == flow.UDP:
		fromClient = !serverPort(s, true)
	case s.flags&flagRST != 0:
		return nil
	case s.flags&flagSYN != 0:
		fromClient = s.flags&flagACK == 0
	case len(s.payload)+s.missing == 0:
		return nil
	default: // its beginning was before the capture
		fromClient = !serverPort(s, false)
	}
	if len(a.conns) >= a.cfg.Conns {
		a.stats.Evicted++
		a.remove(a.quietest(), p.Time)
	}
	c := &conn{key: s.key, clientLow: s.fromLow == fromClient, last: p.Time}
	client, server := 0, 1
	if !c.clientLow {
		client, server = 1, 0
	}
	c.Conn = flow.NewConn(a.cfg.Seed, flow.Tuple{Proto: s.proto, Client: s.key.endpoint(client), Server: s.key.endpoint(server)}, p.Time)
	c.Interface = p.Interface
	c.stream = a.sink.Open(c.Conn)
	a.conns[s.key] = c
	a.stats.Conns++
	return c
}

// serverPort guesses whether the sender of s is the server: the side with the well-known port, else, unless the first to speak is
// the client, the side with the lower one.
func serverPort(s *segment, firstIsClient bool) bool {
	from, to := s.key.port[0], s.key.port[1]
	if !s.fromLow {
		from, to = to, from
	}
	if (from < 1024) != (to < 1024) {
		return from < 1024
	}
	return !firstIsClient && from < to
}

// Advance tells that it is now, in capture time: what has waited for too long is given up, silent conversations end.
func (a *Assembler) Advance(now time.Time) {
	a.expired = now
	for c := range a.waiting {
		c.drain(a, now)
	}
	for i := range a.lists {
		l := &a.lists[i]
		for c := l.first(); c != nil && now.Sub(c.last) > l.patience; c = l.first() {
			a.remove(c, c.last)
		}
	}
}

// quietest returns the conversation that is missed least: one that is over, else the one silent for longest.
func (a *Assembler) quietest() *conn {
	for i := range a.lists {
		if c := a.lists[i].first(); c != nil {
			return c
		}
	}
	return nil
}

// Close ends all conversations.
func (a *Assembler) Close() {
	for c := a.quietest(); c != nil; c = a.quietest() {
		a.remove(c, c.last)
	}
}

func (a *Assembler) remove(c *conn, at time.Time) {
	c.close(a, at)
	c.unlink()
	delete(a.conns, c.key)
}

const (
	bufferSize = 2048 // a segment of an Ethernet frame
	maxFree    = 4096
)

// buffer returns an empty slice with room for n bytes.
func (a *Assembler) buffer(n int) []byte {
	if n > bufferSize {
		return make([]byte, 0, n)
	}
	if k := len(a.free); k > 0 {
		b := a.free[k-1]
		a.free = a.free[:k-1]
		return b
	}
	return make([]byte, 0, bufferSize)
}

func (a *Assembler) release(b []byte) {
	if cap(b) == bufferSize && len(a.free) < maxFree {
		a.free = append(a.free, b[:0])
	}
}
