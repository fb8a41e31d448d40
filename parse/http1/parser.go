package http1

import (
	"bytes"
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
	"github.com/vitrine-ndr/vitrine/parse/content"
)

// parser follows one connection.
type parser struct {
	out   parse.Output
	sides [2]side     // by flow.Direction
	open  []*exchange // whose responses are still to come, in their order
	tx    uint64      // number of the next transaction
	held  int         // bytes that those hold
	early int         // requests that were emitted before their responses came, all older than those in open
	over  bool        // the connection became something else
}

// exchange is one transaction.
type exchange struct {
	*content.HTTP
	method   string
	next     string // what the client would like to speak afterwards: CONNECT, or the value of its Upgrade header
	doubtful bool   // its response may have been lost in a gap
	held     int    // bytes that it may hold until the response comes
	taken    int    // of Output.Memory, for its head
}

// side is one direction: a state that takes the next bytes, and what it needs.
type side struct {
	dir flow.Direction
	// state consumes a prefix of b and says whether there is more to do with what follows. b is never empty.
	state   func(p *parser, s *side, b []byte) (n int, more bool)
	skipped func(p *parser, s *side, b []byte) (n int, more bool) // state to go back to
	scanned int                                                   // bytes of the unfinished line that are known to hold no line end
	began   time.Time                                             // when the first byte of the message was seen; zero before
	from    int64                                                 // position of that byte; valid iff began is
	at      int64                                                 // position of the next byte that a state takes
	offered int64                                                 // how many bytes there were so far, of which some may be left
	x       *exchange                                             // what the current message belongs to; nil before its head is known
	head    head
	left    int64    // bytes that are still to come of a body or chunk, -1 if it lasts until the end; 0 outside of both
	chunked bool     // left is that of a chunk
	noted   []string // anomalies of this message, to tell of each once

	waitsFor *exchange // whose answer decides what the bytes behind its request are
	waiting  []byte    // copy of those bytes, which are left meanwhile
	ahead    int       // how many of those left have been parsed from the copy
}

func newParser(out parse.Output) parse.Parser {
	p := &parser{out: out}
	for dir := range p.sides {
		p.sides[dir] = side{dir: flow.Direction(dir), state: (*parser).start}
	}
	return p
}

// Parse takes the next bytes of a direction.
func (p *parser) Parse(dir flow.Direction, b []byte) (int, error) {
	s := &p.sides[dir]
	n := min(s.ahead, len(b))
	s.ahead -= n
	s.offered = s.at + int64(len(b)-n-s.ahead)
	return n + p.run(s, b[n:]), nil
}

func (p *parser) run(s *side, b []byte) int {
	n := 0
	for more := true; more && n < len(b) && !p.over; {
		var k int
		k, more = s.state(p, s, b[n:])
		n += k
		s.at += int64(k)
	}
	return n
}

// Tail tells how far the client's request at hand goes back. What only its answer can explain counts as not judged.
func (p *parser) Tail() (request, unjudged int) {
	s := &p.sides[flow.ToServer]
	left := int(s.offered - s.at)
	switch {
	case s.began.IsZero():
		return left, left
	case s.x == nil:
		request = int(s.offered - s.from)
		return request, request
	}
	return int(s.offered - s.from), left
}

// Gap tells of missing bytes. A body goes on behind them if they are surely its own; else the next start line is looked for.
func (p *parser) Gap(dir flow.Direction, n int) error {
	s := &p.sides[dir]
	s.scanned, s.ahead, s.waiting = 0, 0, nil
	if s.left < 0 || n > 0 && int64(n) <= s.left {
		s.gap(n)
		p.passed(s, n)
		return nil
	}
	if s.left > 0 {
		s.gap(min(n, int(s.left)))
	}
	if dir == flow.ToClient {
		for _, x := range p.open {
			x.doubtful = true
		}
		p.early = 0
	}
	p.lose(s, event.HasGap)
	return nil
}

// End ends both directions. A body that lasts until the connection is closed is complete by that.
func (p *parser) End() {
	if client := &p.sides[flow.ToServer]; client.waitsFor != nil && client.waitsFor.method != connect {
		p.answered(client.waitsFor) // never, so what followed were requests
	}
	for i := range p.sides {
		if s := &p.sides[i]; s.left < 0 {
			p.end(s, event.Complete)
		} else {
			p.lose(s, event.Truncated)
		}
	}
	for len(p.open) > 0 {
		p.emitOldest(event.Truncated)
	}
	p.over = true
}

// end ends the current message, and its transaction if that was the last that belongs to it.
func (p *parser) end(s *side, state event.State) {
	x := s.x
	if x != nil {
		x.End(s.dir, state) // while Tail knows where the message began
	}
	s.reset()
	if x == nil {
		return
	}
	if s.dir == flow.ToClient && len(p.open) > 0 && p.open[0] == x {
		p.pop()
	}
	switch {
	case x.Ended(flow.ToServer) && x.Ended(flow.ToClient):
		x.Emit()
	case s.dir == flow.ToServer && state == event.Complete && x.next != "":
		s.state, s.waitsFor = (*parser).wait, x
	}
	if s.dir == flow.ToClient {
		p.answered(x)
	}
}

// pop takes the oldest transaction out of those that wait.
func (p *parser) pop() *exchange {
	x := p.open[0]
	p.open[0], p.open = nil, p.open[1:]
	p.held -= x.held
	p.out.Memory.Give(x.taken)
	return x
}

// emitOldest gives up waiting for the response of the oldest transaction.
func (p *parser) emitOldest(state event.State) {
	x := p.pop()
	if client := &p.sides[flow.ToServer]; client.x == x {
		client.x = nil // the rest of its body is skipped
	}
	x.End(flow.ToClient, state)
	x.Emit()
	p.answered(x)
}

// lose gives up the current message and looks for the next one.
func (p *parser) lose(s *side, state event.State) {
	if s.x == nil && s.head.started {
		p.know(s)
	}
	p.end(s, state)
	s.state, s.waitsFor = (*parser).lost, nil
}

// reset makes ready for the next message.
func (s *side) reset() {
	s.state, s.x, s.began, s.left, s.chunked, s.noted = (*parser).start, nil, time.Time{}, 0, false, s.noted[:0]
	s.head.reset()
}

// note tells of an anomaly, once a message.
func (p *parser) note(s *side, code string) {
	if !slices.Contains(s.noted, code) {
		s.noted = append(s.noted, code)
		p.out.Anomaly(code)
		if s.dir == flow.ToServer && slices.Contains(doubts, code) {
			p.doubt(s, code)
		}
	}
}

func (p *parser) doubt(s *side, code string) {
	switch j := p.out.Judge; {
	case s.x != nil:
		s.x.Doubt(code)
	case j != nil:
		j.Doubt(nil, code)
	}
}

// lost looks for a line that begins a message.
func (p *parser) lost(s *side, b []byte) (int, bool) {
	if b[0] == '\r' || b[0] == '\n' {
		return 1, true
	}
	switch probe(s.dir, b) {
	case parse.Yes:
		s.state = (*parser).start
	case parse.No:
		s.state = (*parser).lostLine
	case parse.Maybe:
		return 0, false
	}
	return 0, true
}

// lostLine skips the rest of a line.
func (p *parser) lostLine(s *side, b []byte) (int, bool) {
	n, ended := restOfLine(b)
	if ended {
		s.state = (*parser).lost
	}
	return n, true
}

// restOfLine returns how many bytes of b belong to its first line, and whether the end of that is among them.
func restOfLine(b []byte) (int, bool) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1, true
	}
	return len(b), false
}
