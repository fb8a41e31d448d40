package inspect

import (
	"time"

	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// emit is the parser's Output.Emit.
func (s *stream) emit(body event.Body) {
	s.emitAs(s.name, body)
	s.find(body)
}

// maxAnomalies is how many anomalies one connection may report: hostile bytes must not flood the store.
const maxAnomalies = 64

// anomaly is the parser's Output.Anomaly.
func (s *stream) anomaly(code string) {
	s.inspector.stats.anomalies.Add(1)
	if s.anomalies++; s.anomalies <= maxAnomalies {
		s.emitAs(s.name, &event.Anomaly{Code: code})
	}
}

// become is the parser's Output.Become. It is carried out when the parser has returned.
func (s *stream) become(name string, upgrade *parse.Upgrade) { s.next = &turn{name, upgrade} }

// seen is the parser's Output.Seen.
func (s *stream) seen() time.Time { return s.at }

// exhausted is the parser's Output.Exhausted. The clock starts when it is first asked in a call.
func (s *stream) exhausted() bool {
	now := time.Now()
	if s.deadline.IsZero() {
		s.deadline = now.Add(s.inspector.cfg.Time)
	}
	return now.After(s.deadline)
}

func (s *stream) emitAs(protocol string, body event.Body) {
	s.inspector.stats.events.Add(1)
	s.ev = event.Event{
		ID: s.conn.EventID(s.at, s.events), Time: s.at, Origin: s.inspector.cfg.Origin,
		Conn: s.conn, Proto: protocol, Body: body,
	}
	s.events++
	s.inspector.cfg.Emit(&s.ev)
}

// emitConn tells of the connection as a whole.
func (s *stream) emitConn() {
	c := s.conn
	s.noteTLS(false)
	last := ""
	if n := len(s.protocols); n > 0 {
		last = s.protocols[n-1]
	}
	s.emitAs(last, &event.Conn{
		DurationUS:      max(0, s.at.Sub(c.Start).Microseconds()),
		PacketsToServer: c.Wire[flow.ToServer].Packets, PacketsToClient: c.Wire[flow.ToClient].Packets,
		BytesToServer: c.Wire[flow.ToServer].Bytes, BytesToClient: c.Wire[flow.ToClient].Bytes,
		GapBytes:       c.Wire[flow.ToServer].Gaps + c.Wire[flow.ToClient].Gaps,
		PlaintextBytes: s.plaintext, Protocols: s.protocols, Asked: c.Asked, Transactions: s.events,
	})
}
