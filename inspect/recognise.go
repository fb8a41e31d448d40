package inspect

import (
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// recognise asks the protocols about the bytes of a direction, b being the newest. It returns true once the parser is set and b
// is still to be offered to it; the bytes kept before are then in s.left. Whatever is not settled at
// parse.MaxProbe bytes is unknown.
func (s *stream) recognise(dir flow.Direction, b []byte) bool {
	if len(s.turns) == 0 {
		if p := s.probe(dir, b); p != nil {
			s.start(p) // the usual case: settled by the first bytes, which are not copied
			return true
		}
		s.hear(dir, b)
		return false
	}
	s.hear(dir, b)
	if p := s.probe(dir, s.left[dir]); p != nil {
		s.settle(p)
	}
	return false
}

// maxTurns is how often the two sides may take turns in what is kept in order.
const maxTurns = 64

// hear keeps b, and who said it when.
func (s *stream) hear(dir flow.Direction, b []byte) {
	s.left[dir] = append(s.left[dir], b...)
	n := len(s.turns)
	if n == 0 {
		s.first = dir
	}
	speaker := s.first ^ flow.Direction(n&1) // of the next turn
	switch {
	case speaker != dir:
		s.turns[n-1] += len(b)
	case n < maxTurns:
		s.turns = append(s.turns, len(b))
	default:
		s.turns[n-2] += len(b)
	}
}

// probe returns the protocol of the stream, or nil while that is open.
func (s *stream) probe(dir flow.Direction, prefix []byte) *parse.Protocol {
	open := false
	for i := range s.inspector.cfg.Protocols {
		p := &s.inspector.cfg.Protocols[i]
		if s.ruled&(1<<i) != 0 || p.Proto != 0 && p.Proto != s.conn.Tuple.Proto {
			continue
		}
		switch p.Probe(dir, prefix[:min(len(prefix), parse.MaxProbe)]) {
		case parse.Yes:
			return p
		case parse.No:
			s.ruled |= 1 << i
		case parse.Maybe:
			open = open || len(prefix) < parse.MaxProbe
		}
	}
	if open && s.conn.Tuple.Proto != flow.UDP {
		return nil
	}
	return s.fallback()
}

// reconsider asks the protocols about a datagram of a connection that is unknown so far. Datagrams stand alone: whatever was sent
// before the first one of a known protocol must not hide it.
func (s *stream) reconsider(dir flow.Direction, b []byte) {
	s.ruled = 0
	if p := s.probe(dir, b); p != &s.inspector.cfg.Unknown {
		s.end()
		s.start(p)
	}
}

// settle starts the parser and offers it what recognition has kept, in the order in which it was said.
func (s *stream) settle(p *parse.Protocol) {
	if s.line != nil && p.Requests && len(s.turns) > 2 {
		s.line.outOfTurn()
	}
	left, gaps, turns := s.left, s.gap, s.turns
	s.left, s.gap, s.turns = [2][]byte{}, [2]gap{}, nil
	s.start(p)
	dir := s.first
	for _, n := range turns {
		if !s.over {
			s.take(dir, left[dir][:n])
		}
		left[dir] = left[dir][n:]
		dir = dir.Reverse()
	}
	for dir := range flow.Direction(2) {
		if gaps[dir].seen && !s.over && s.parser != nil {
			s.left[dir] = nil
			s.check(s.parser.Gap(dir, gaps[dir].n))
		}
	}
}

// gapUnrecognised settles a stream with a hole in its first bytes by what there is: behind a hole, its protocol may no longer show.
func (s *stream) gapUnrecognised(dir flow.Direction, n int) {
	if len(s.left[dir]) == 0 {
		return // what comes behind may be recognised on its own
	}
	s.gap[dir] = gap{true, n}
	s.settle(s.fallback())
}
