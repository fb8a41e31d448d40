package inspect

import (
	"slices"
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// stream inspects one connection. It is in one of three states: recognising (parser is nil), parsing, or over.
type stream struct {
	inspector *Inspector
	conn      *flow.Conn
	out       parse.Output

	name   string // of the parser's protocol
	parser parse.Parser
	over   bool           // the parser gave up: what follows is only counted
	left   [2][]byte      // what the parser has left, or what recognition has kept; owned
	open   parse.Memory   // what the parser holds
	waits  parse.Memory   // what left holds
	next   *turn          // the parser has asked to become another
	ruled  uint64         // protocols that recognition has ruled out, by bit
	first  flow.Direction // who spoke first; valid iff there are turns
	turns  []int          // bytes that were said while recognising, by the first and by the other in turn
	gap    [2]gap         // told while recognising

	announced *expectation // a connection that this one has announced
	expected  *expectation // this connection, as another has announced it

	line   *line   // what decides on forwarding; nil: everything is
	noQUIC *noQUIC // what takes announcements out of what is forwarded; nil: they stay

	at        time.Time
	deadline  time.Time // of the current call's decompression; zero until asked for
	events    uint64
	anomalies uint64
	plaintext uint64
	protocols []string // from the outside in
	inside    int      // how many of them are not inside TLS, TLS included; 0 if there is none so far
	ev        event.Event
}

// turn is a change of protocol.
type turn struct {
	name    string
	upgrade *parse.Upgrade
}

// gap is a hole behind the bytes that recognition has kept.
type gap struct {
	seen bool
	n    int
}

// Data parses b as far as that is possible. Passive protocols are never held up: the verdict is always Pass.
func (s *stream) Data(dir flow.Direction, at time.Time, b []byte) flow.Verdict {
	s.at, s.deadline = at, time.Time{}
	if s.plaintext == 0 {
		s.await(at) // it was perhaps not announced yet when it was opened
	}
	s.noteTLS(true)
	s.plaintext += uint64(len(b))
	s.inspector.stats.plaintext.Add(uint64(len(b)))
	if len(b) > 0 && !s.over { // an empty datagram says nothing
		s.guard(func() {
			s.take(dir, b)
			s.charge()
		})
	}
	return flow.Pass
}

// Gap tells the parser of missing bytes.
func (s *stream) Gap(dir flow.Direction, at time.Time, n int) {
	s.at, s.deadline = at, time.Time{}
	if s.over {
		return
	}
	s.guard(func() {
		if s.parser == nil {
			s.gapUnrecognised(dir, n)
			s.charge()
			return
		}
		s.left[dir] = s.left[dir][:0]
		s.check(s.parser.Gap(dir, n))
		s.turn()
		s.charge()
	})
}

// Close ends the parser and tells of the connection.
func (s *stream) Close(at time.Time) {
	s.at, s.deadline = at, time.Time{}
	if !s.over {
		s.guard(func() {
			if s.parser == nil && len(s.left[0])+len(s.left[1]) > 0 {
				s.settle(s.fallback())
			}
			s.end()
		})
	}
	s.over, s.parser, s.left = true, nil, [2][]byte{}
	s.inspector.expected.withdraw(s.announced)
	s.waits.Release()
	if s.conn.Told {
		return
	}
	if s.conn.TLS != nil {
		s.emitAs("tls", &event.TLS{Facts: s.conn.TLS, Decryption: s.conn.Decryption})
	}
	s.emitConn()
}

// take offers b, behind what was left of its direction, to recognition or to the parser.
func (s *stream) take(dir flow.Direction, b []byte) {
	if s.parser == nil && !s.recognise(dir, b) {
		return
	}
	if s.conn.Tuple.Proto == flow.UDP && s.name == s.inspector.cfg.Unknown.Name {
		s.reconsider(dir, b)
	}
	if len(s.left[dir]) > 0 {
		s.left[dir] = append(s.left[dir], b...)
		n := s.offer(dir, s.left[dir])
		s.left[dir] = slices.Delete(s.left[dir], 0, n)
	} else if n := s.offer(dir, b); n < len(b) && s.keeps() {
		s.left[dir] = append(s.left[dir], b[n:]...)
	}
	s.turn()
	if max := s.inspector.cfg.Limits.Header; !s.over && s.parser != nil && len(s.left[dir]) > 2*max {
		s.inspector.stats.stalled.Add(1)
		s.giveUp(s.name + "_message_too_long")
	}
}

// keeps reports whether what a parser leaves is offered again. Datagrams stand alone.
func (s *stream) keeps() bool { return s.conn.Tuple.Proto != flow.UDP && !s.over }

// offer calls the parser until it no longer consumes and returns how much it has.
func (s *stream) offer(dir flow.Direction, b []byte) (n int) {
	for n < len(b) && !s.over && s.next == nil {
		k, err := s.parser.Parse(dir, b[n:])
		n += k
		s.check(err)
		if k == 0 || s.conn.Tuple.Proto == flow.UDP {
			break
		}
	}
	return n
}

func (s *stream) check(err error) {
	if err != nil {
		s.inspector.stats.gaveUp.Add(1)
		s.giveUp(s.name + "_gave_up")
	}
}

// giveUp ends parsing, not the connection. What the parser had open is told all the same.
func (s *stream) giveUp(code string) {
	s.over, s.next = true, nil
	s.left[0], s.left[1] = nil, nil
	s.waits.Release()
	s.anomaly(code)
	s.guard(s.end)
}

// end ends the parser, which is called exactly once for that, even after a panic: it may hold what only it can let go.
func (s *stream) end() {
	if p := s.parser; p != nil {
		s.parser = nil
		defer s.open.Release() // even if End fails
		p.End()
	}
}

// turn carries out what the parser asked for by Become.
func (s *stream) turn() {
	for s.next != nil && !s.over {
		t := s.next
		s.next = nil
		s.end()
		s.ruled, s.gap = 0, [2]gap{}
		s.out.Upgrade = t.upgrade
		left := s.left
		s.left = [2][]byte{}
		if p := s.inspector.protocol[t.name]; p != nil {
			s.start(p)
		}
		for _, dir := range [...]flow.Direction{flow.ToServer, flow.ToClient} {
			if len(left[dir]) > 0 && !s.over {
				s.take(dir, left[dir])
			}
		}
	}
}

// noteTLS puts TLS among the protocols where it begins: around all others, or, behind STARTTLS and its like, inside what was spoken before,
// which goes on inside TLS if there is plaintext of it.
func (s *stream) noteTLS(goesOn bool) {
	switch {
	case s.conn.TLS == nil || s.inside > 0:
	case s.plaintext == 0:
		s.protocols, s.inside = slices.Insert(s.protocols, 0, "tls"), 1
	default:
		s.protocols = append(s.protocols, "tls")
		s.inside = len(s.protocols)
		if goesOn && s.parser != nil {
			s.protocols = append(s.protocols, s.name)
		}
	}
}

func (s *stream) start(p *parse.Protocol) {
	if p == &s.inspector.cfg.Unknown {
		s.inspector.stats.unknown.Add(1)
	}
	s.name, s.parser = p.Name, p.New(s.out)
	if !slices.Contains(s.protocols[s.inside:], p.Name) {
		s.protocols = append(s.protocols, p.Name)
	}
}
