package sensor

import (
	"container/list"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt"
	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// opener is the Sink of reassembly: it puts decryption between a TLS connection and the next Sink, and passes on all others.
type opener struct {
	sensor *Sensor
	next   source.Sink
}

// Open begins a Stream that does not yet know whether it carries TLS.
func (o *opener) Open(c *flow.Conn) source.Stream {
	if o.sensor.ignores(c) {
		return ignored{}
	}
	return &stream{sensor: o.sensor, conn: c, next: o.next.Open(c), plain: c.Tuple.Proto != flow.TCP}
}

// ignored is a connection that leaves no trace.
type ignored struct{}

func (ignored) Data(flow.Direction, time.Time, []byte) flow.Verdict { return flow.Pass }
func (ignored) Gap(flow.Direction, time.Time, int)                  {}
func (ignored) Close(time.Time)                                     {}

// stream is one connection. Its first bytes decide whether it is passed on as it is or through a decrypt.Session; what is passed on as it
// is may still begin TLS later.
type stream struct {
	sensor  *Sensor
	conn    *flow.Conn
	next    source.Stream
	plain   bool // it is not TLS
	late    late // valid iff plain
	session *decrypt.Session
	roles   flow.Direction // ToClient if who accepted the connection is TLS's client, as in active FTP
	prefix  [2][]byte      // kept until that is decided, less than maxUndecided bytes each
	missing [2]hole        // before them
	learnt  int            // revision of the session's facts that conn has

	list  *list.List    // of the sensor, where the stream waits for a key; nil if it doesn't
	place *list.Element // in it
	since time.Time     // when ciphertext began to wait; valid iff list is not nil
	end   time.Time     // of the connection; zero until then
}

// Data passes on b, or what it decrypts to.
func (s *stream) Data(dir flow.Direction, at time.Time, b []byte) flow.Verdict {
	if s.session == nil && !s.plain {
		if b = s.decide(dir, at, b); b == nil {
			return flow.Pass
		}
	}
	if s.plain {
		if s.conn.Tuple.Proto == flow.TCP && s.hold(dir, at, b) {
			return flow.Pass
		}
		return s.next.Data(dir, at, b)
	}
	s.session.Data(dir^s.roles, at, b)
	s.wait(at)
	s.sensor.makeRoom(at)
	return flow.Pass
}

// decide looks at the first bytes and returns those that are to be passed on, or nil if it takes more of them to tell.
func (s *stream) decide(dir flow.Direction, at time.Time, b []byte) []byte {
	kept := s.prefix[dir]
	if len(kept) > 0 {
		b = append(kept, b...)
	}
	like := looksLikeTLS(b)
	if like == no && s.missing[dir].seen && len(b) < maxUndecided {
		like = undecided // it may begin within a record: the other direction knows
	}
	switch like {
	case undecided:
		s.prefix[dir] = append([]byte(nil), b...)
		return nil
	case yes:
		s.session = s.sensor.worker.NewSession(s)
		if b[0] == byte(handshake.Handshake) && b[handshake.HeaderLen] == byte(handshake.TypeClientHello) {
			s.roles = dir
		}
	case no:
		s.plain = true
	}
	s.prefix[dir] = nil
	for d, h := range s.missing {
		if h.seen {
			s.Gap(flow.Direction(d), at, h.n)
		}
	}
	if other := dir.Reverse(); len(s.prefix[other]) > 0 {
		early := s.prefix[other]
		s.prefix[other] = nil
		s.Data(other, at, early)
	}
	return b
}

// maxUndecided is how much of a direction whose beginning is missing is kept until the other one tells what it is.
const maxUndecided = 4096

// hole is bytes that are missing where a direction begins.
type hole struct {
	seen bool
	n    int
}

// Gap passes on a hole, or what of the plaintext is lost by it.
func (s *stream) Gap(dir flow.Direction, at time.Time, n int) {
	switch {
	case s.session != nil:
		s.session.Gap(dir^s.roles, at, n)
	case s.plain:
		s.release(at)
		s.next.Gap(dir, at, n)
	case len(s.prefix[dir]) > 0: // too little to tell, and behind the hole it will not be clearer
		s.flush(at)
		s.next.Gap(dir, at, n)
	default: // the first bytes are missing: what comes next decides
		s.missing[dir] = hole{true, s.missing[dir].n + n}
	}
}

// Close ends the connection, unless ciphertext still waits for its key: connections can be shorter than the way of a key. Then the end
// is told when the key has come, or no longer can.
func (s *stream) Close(at time.Time) {
	if s.session == nil {
		if s.plain {
			s.release(at)
		} else {
			s.flush(at)
		}
		s.next.Close(at)
		return
	}
	s.end = at
	s.session.Retry()
	if !s.session.Waiting() || s.sensor.complete {
		s.finish()
		return
	}
	s.moveTo(&s.sensor.ended)
	s.sensor.makeRoom(at)
}

// finish tells the end of a TLS connection.
func (s *stream) finish() {
	s.session.Close(s.end)
	s.learn()
	s.sensor.count(s.conn)
	s.moveTo(nil)
	s.next.Close(s.end)
}

// flush passes on what was kept, as it is.
func (s *stream) flush(at time.Time) {
	s.plain = true
	for dir := range flow.Direction(2) {
		if h := s.missing[dir]; h.seen {
			s.next.Gap(dir, at, h.n)
		}
		if len(s.prefix[dir]) > 0 {
			s.next.Data(dir, at, s.prefix[dir])
			s.prefix[dir] = nil
		}
	}
}

// Plain is where the session delivers plaintext.
func (s *stream) Plain(dir flow.Direction, at time.Time, b []byte) {
	if s.conn.TLS == nil || s.learnt != s.session.Revision() {
		s.learn()
	}
	s.next.Data(dir^s.roles, at, b)
}

// Lost is where the session tells of plaintext that it could not deliver.
func (s *stream) Lost(dir flow.Direction, at time.Time, n int) { s.next.Gap(dir^s.roles, at, n) }

// learn puts what the session knows by now into the flow.Conn.
func (s *stream) learn() {
	facts, decryption := s.session.Facts()
	s.conn.TLS, s.conn.Decryption, s.learnt = &facts, decryption, s.session.Revision()
}

// likeness is an answer that may have to wait.
type likeness int

const (
	no likeness = iota
	undecided
	yes
)

// looksLikeTLS tells whether a direction that begins with b carries TLS records: of a handshake, or, where the capture began later, of
// any kind.
func looksLikeTLS(b []byte) likeness {
	if b[0] < byte(handshake.ChangeCipherSpec) || b[0] > byte(handshake.ApplicationData) || len(b) > 1 && b[1] != 3 {
		return no
	}
	if len(b) < handshake.HeaderLen {
		return undecided
	}
	if h, err := handshake.ParseHeader(b); err != nil || h.Version > handshake.TLS13 || h.Length == 0 {
		return no
	}
	if len(b) == handshake.HeaderLen { // the next byte tells who sends it
		return undecided
	}
	return yes
}
