package reassembly

import (
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// conn is a conversation that is being followed.
type conn struct {
	*flow.Conn
	key       key
	clientLow bool // the client is key's first endpoint
	stream    source.Stream
	closed    bool // stream was closed
	syn       bool // the client's SYN was seen: sequence numbers need no guessing
	reset     bool // a reset was seen, and no payload since
	offered   bool // a SYN for another connection between the same endpoints was seen
	offer     uint32
	seen      *[2]sightings // of UDP; nil until needed
	half      [2]half
	last      time.Time
	prev, nxt *conn // in one of its Assembler's lists
}

func (c *conn) direction(s *segment) flow.Direction {
	if s.fromLow == c.clientLow {
		return flow.ToServer
	}
	return flow.ToClient
}

// tcp takes a segment of a connection that is not closed.
func (c *conn) tcp(a *Assembler, dir flow.Direction, s *segment, at time.Time) {
	h, o := &c.half[dir], &c.half[dir.Reverse()]
	h.packets++
	o.packets++
	if s.flags&flagSYN != 0 && h.started && s.seq+1 != h.next {
		return // not of this connection
	}
	if s.flags&flagSYN != 0 {
		c.syn = c.syn || dir == flow.ToServer
		if !h.started {
			h.started, h.next = true, s.seq+1
		}
		s.seq++
	}
	if s.flags&flagACK != 0 {
		if !o.started && len(o.queue) == 0 {
			o.started, o.next = true, s.ack
		}
		h.acked = s.ack
	} else {
		s.ack = o.next
	}
	n := len(s.payload) + s.missing
	if !h.started && n > 0 && !c.syn {
		h.started, h.next = true, s.seq
	}
	if s.flags&flagFIN != 0 && !h.fin {
		h.fin, h.finSeq = true, s.seq+uint32(n)
	}
	if n > 0 {
		c.reset = false
		c.payload(a, dir, held{seq: s.seq, ack: s.ack, at: at, data: s.payload, missing: s.missing})
	}
	c.drain(a, at)
	if s.flags&flagRST != 0 && (!h.started || s.seq-h.next <= resetWindow || s.seq == o.acked) {
		c.reset = true
	}
	if c.half[0].done() && c.half[1].done() && c.finAcked() {
		c.close(a, at)
	}
}

// finAcked reports whether both sides have acknowledged the other's end, as the last packet of a connection does.
func (c *conn) finAcked() bool {
	return before(c.half[0].finSeq, c.half[1].acked) && before(c.half[1].finSeq, c.half[0].acked)
}

// payload delivers the segment if it is the next one, and holds it otherwise.
func (c *conn) payload(a *Assembler, dir flow.Direction, s held) {
	h := &c.half[dir]
	if h.started && before(s.seq, h.next) && !s.skip(int(h.next-s.seq)) {
		a.stats.Duplicates++
		return
	}
	if h.started && s.seq == h.next && len(h.queue) == 0 && c.caused(dir, s.ack) {
		c.deliver(a, dir, &s)
		return
	}
	a.stats.OutOfOrder++
	if h.hold(a, s) > 0 {
		a.stats.Conflicts++
	}
	a.waiting[c] = struct{}{}
}

// caused reports whether all bytes that the sender had received when it sent a segment with this acknowledgement were
// delivered. Waiting for them keeps requests before their responses where a capture has mixed up the two directions.
func (c *conn) caused(dir flow.Direction, ack uint32) bool {
	o := &c.half[dir.Reverse()]
	if !o.started {
		return true
	}
	ahead := ack - o.next
	if o.fin && ack == o.finSeq+1 {
		ahead--
	}
	return int32(ahead) <= 0 || ahead > maxCausal
}

// deliver hands over a segment that begins at next.
func (c *conn) deliver(a *Assembler, dir flow.Direction, s *held) {
	h := &c.half[dir]
	h.next = s.end()
	if len(s.data) > 0 {
		c.stream.Data(dir, s.at, s.data)
	}
	if s.missing > 0 {
		c.gap(a, dir, s.at, s.missing)
	}
}

func (c *conn) gap(a *Assembler, dir flow.Direction, at time.Time, n int) {
	c.Wire[dir].Gaps += uint64(n)
	a.stats.GapBytes += uint64(n)
	c.stream.Gap(dir, at, n)
}

// drain delivers what no longer has to wait, and gives up holes that have been waited for long enough.
func (c *conn) drain(a *Assembler, now time.Time) {
	if len(c.half[0].queue)+len(c.half[1].queue) == 0 {
		return
	}
	for {
		if c.step(a, flow.ToServer, false) || c.step(a, flow.ToClient, false) {
			continue
		}
		dir, ok := c.overdue(a, now)
		if !ok {
			break
		}
		c.step(a, dir, true)
	}
	if len(c.half[0].queue)+len(c.half[1].queue) == 0 {
		delete(a.waiting, c)
	}
}

// step delivers the first held segment of a direction if nothing is missing before it, or if it is forced, after a gap.
func (c *conn) step(a *Assembler, dir flow.Direction, force bool) bool {
	h := &c.half[dir]
	if len(h.queue) == 0 {
		return false
	}
	first := &h.queue[0]
	inOrder := h.started && !before(h.next, first.seq) && c.caused(dir, first.ack)
	if !inOrder && !force {
		return false
	}
	s := h.pop(a)
	buf := s.data
	if !h.started {
		h.started, h.next = true, s.seq
	}
	if before(h.next, s.seq) {
		c.gap(a, dir, s.at, int(s.seq-h.next))
		h.next = s.seq
	}
	if s.skip(int(h.next - s.seq)) {
		c.deliver(a, dir, &s)
	}
	a.release(buf)
	if len(h.queue) > 0 {
		h.since, h.packets = h.queue[0].at, 0
	}
	return true
}

// overdue names the direction whose first hole is to be given up.
func (c *conn) overdue(a *Assembler, now time.Time) (flow.Direction, bool) {
	full := a.stats.HeldBytes > a.cfg.TotalBytes
	for dir := range flow.Direction(2) {
		h, o := &c.half[dir], &c.half[dir.Reverse()]
		if len(h.queue) == 0 {
			continue
		}
		if full || h.bytes > a.cfg.ConnBytes || len(h.queue) > maxHeld {
			a.stats.OverMemory++
			return dir, true
		}
		sent := !h.started || before(h.next, o.acked) || !before(h.next, h.queue[0].seq)
		if sent && (now.Sub(h.since) > a.cfg.Reorder || h.packets > reorderPackets) {
			return dir, true
		}
	}
	return 0, false
}

// close delivers what is held, around its gaps, and closes the stream.
func (c *conn) close(a *Assembler, at time.Time) {
	if c.closed {
		return
	}
	for c.step(a, flow.ToServer, false) || c.step(a, flow.ToClient, false) ||
		c.step(a, flow.ToServer, true) || c.step(a, flow.ToClient, true) {
	}
	delete(a.waiting, c)
	c.closed = true
	c.stream.Close(at)
}
