package enrich

import (
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
)

// Probe returns a Sink for the probe that hands everything on to next, ends of connections a little later.
func (j *Join) Probe(next source.Sink) source.Sink { return probeSink{j, next} }

// Sensor returns a Sink for the sensor that hands everything on to next but the plaintext of connections that the probe sees.
func (j *Join) Sensor(next source.Sink) source.Sink { return sensorSink{j, next} }

type probeSink struct {
	join *Join
	next source.Sink
}

// Open notes whose connection it is. With both ends on this machine it is the client's. The same end once more, with nothing open, is a
// new connection of the same addresses.
func (p probeSink) Open(c *flow.Conn) source.Stream {
	p.join.mu.Lock()
	s := p.join.open(c.Tuple)
	s.probe = true
	own := ownEndpoint(c)
	if s.process == nil || c.Local == flow.ClientSide || s.open == 1 && s.own == own {
		s.process, s.container, s.own, s.decryption = c.Process, c.Container, own, c.Decryption
	}
	p.join.mu.Unlock()
	return &probeStream{join: p.join, next: p.next.Open(c), conn: c, shared: s}
}

type probeStream struct {
	join   *Join
	next   source.Stream
	conn   *flow.Conn
	shared *shared
}

func (s *probeStream) Data(dir flow.Direction, at time.Time, b []byte) flow.Verdict {
	return s.next.Data(dir, at, b)
}

func (s *probeStream) Gap(dir flow.Direction, at time.Time, n int) { s.next.Gap(dir, at, n) }

func (s *probeStream) Close(at time.Time) {
	s.join.mu.Lock()
	defer s.join.mu.Unlock()
	if ownEndpoint(s.conn) == s.shared.own {
		s.shared.decryption = s.conn.Decryption
	}
	s.join.close(s.shared)
	s.join.ends = append(s.join.ends, ending{s, at, time.Now().Add(patience)})
}

type sensorSink struct {
	join *Join
	next source.Sink
}

func (p sensorSink) Open(c *flow.Conn) source.Stream {
	if c.Tuple.Proto != flow.TCP {
		return p.next.Open(c)
	}
	p.join.mu.Lock()
	s := p.join.open(c.Tuple)
	s.sensor = true
	p.join.mu.Unlock()
	return &sensorStream{join: p.join, next: p.next.Open(c), conn: c, shared: s}
}

type sensorStream struct {
	join   *Join
	next   source.Stream
	conn   *flow.Conn
	shared *shared
}

// seen tells whether the probe has the plaintext of the connection.
func (s *sensorStream) seen() bool {
	if s.conn.TLS == nil {
		return false
	}
	s.join.mu.Lock()
	defer s.join.mu.Unlock()
	return s.shared.probe
}

func (s *sensorStream) Data(dir flow.Direction, at time.Time, b []byte) flow.Verdict {
	if s.seen() {
		return flow.Pass
	}
	return s.next.Data(dir, at, b)
}

func (s *sensorStream) Gap(dir flow.Direction, at time.Time, n int) {
	if !s.seen() {
		s.next.Gap(dir, at, n)
	}
}

func (s *sensorStream) Close(at time.Time) {
	s.join.mu.Lock()
	if s.shared.probe {
		s.conn.Process, s.conn.Container, s.conn.Local = s.shared.process, s.shared.container, sideOf(s.shared.own, s.conn.Tuple)
		if s.conn.TLS != nil {
			s.conn.Decryption = s.shared.decryption
		}
	}
	s.join.close(s.shared)
	s.join.mu.Unlock()
	s.next.Close(at)
}
