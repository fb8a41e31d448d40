package sensor

import (
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
)

const (
	// maxUnanswered is how much a client may send, from its ClientHello on, before the server answers: that, and some early data.
	maxUnanswered = 32 << 10
	// maxAllUnanswered is the same of all connections together.
	maxAllUnanswered = 16 << 20
)

// late finds TLS that begins later in a connection: behind STARTTLS, AUTH TLS, CONNECT, SOCKS, or PostgreSQL's SSLRequest. Which of them
// it is does not matter: a segment of the client that begins with a ClientHello may be the body of a request as well, but then the
// server does not answer it with a ServerHello. Until that is clear, what was sent is kept.
type late struct {
	spoke  [2]bool   // a direction has sent something
	hello  []byte    // what may be a ClientHello, and what follows; empty if there is none
	whole  bool      // the ClientHello is there and valid
	answer []byte    // too short to tell
	at     time.Time // when hello began to come
}

// hold keeps b if TLS may have begun, and goes over to decryption if it has. It returns false if b is to be passed on.
func (s *stream) hold(dir flow.Direction, at time.Time, b []byte) bool {
	l := &s.late
	if len(l.hello) == 0 {
		begins := dir == flow.ToServer && l.spoke[0] && l.spoke[1] && b[0] == byte(handshake.Handshake)
		l.spoke[dir] = true
		if !begins {
			return false
		}
		l.at = at
	}
	if s.sensor.unanswered+len(b) > maxAllUnanswered {
		s.release(at)
		return false
	}
	s.sensor.unanswered += len(b)
	if dir == flow.ToServer {
		l.hello = append(l.hello, b...)
	} else {
		l.answer = append(l.answer, b...)
	}
	switch l.like() {
	case yes:
		s.beginTLS(at)
	case no:
		s.release(at)
	}
	return true
}

// like tells whether what is kept is the beginning of TLS.
func (l *late) like() likeness {
	if !l.whole {
		like := likeClientHello(l.hello)
		if like != yes {
			if len(l.answer) > 0 {
				return no // nobody answers half a ClientHello
			}
			return like
		}
		l.whole = true
	}
	if like := likeAnswer(l.answer); like != undecided {
		return like
	}
	if len(l.hello) > maxUnanswered {
		return no
	}
	return undecided
}

// beginTLS decrypts what follows. The plaintext goes on in the same Stream.
func (s *stream) beginTLS(at time.Time) {
	l := s.let()
	s.plain, s.session = false, s.sensor.worker.NewSession(s)
	s.Data(flow.ToServer, l.at, l.hello)
	s.Data(flow.ToClient, at, l.answer)
}

// release passes on what is kept, as it is.
func (s *stream) release(at time.Time) {
	l := s.let()
	if len(l.hello) > 0 {
		s.next.Data(flow.ToServer, l.at, l.hello)
	}
	if len(l.answer) > 0 {
		s.next.Data(flow.ToClient, at, l.answer)
	}
}

// let returns what is kept, and keeps it no longer.
func (s *stream) let() late {
	l := s.late
	s.sensor.unanswered -= len(l.hello) + len(l.answer)
	s.late = late{spoke: l.spoke}
	return l
}

// likeClientHello tells whether b begins with the record of a ClientHello, whole and valid. No client has one that is longer than a record.
func likeClientHello(b []byte) likeness {
	const head = handshake.HeaderLen + 4 // of the record, of the message
	if len(b) < head {
		return likePrefix(b, byte(handshake.Handshake), byte(handshake.TypeClientHello))
	}
	h, err := handshake.ParseHeader(b)
	size := int(b[6])<<16 | int(b[7])<<8 | int(b[8])
	if err != nil || h.Type != handshake.Handshake || h.Version < handshake.TLS10 || h.Version > handshake.TLS12 ||
		b[5] != byte(handshake.TypeClientHello) || h.Length != 4+size || h.Length > handshake.MaxPlaintext {
		return no
	}
	if len(b) < handshake.HeaderLen+h.Length {
		return undecided
	}
	var hello handshake.ClientHello
	if hello.Parse(b[head:handshake.HeaderLen+h.Length]) != nil || len(hello.CipherSuites) == 0 {
		return no
	}
	return yes
}

// likeAnswer tells whether b begins with what a server answers to a ClientHello: its own, or an alert.
func likeAnswer(b []byte) likeness {
	if len(b) <= handshake.HeaderLen {
		if len(b) == 0 || b[0] == byte(handshake.Alert) {
			return likePrefix(b, byte(handshake.Alert), 0)
		}
		return likePrefix(b, byte(handshake.Handshake), 0)
	}
	h, err := handshake.ParseHeader(b)
	switch {
	case err != nil || h.Version < handshake.TLS10 || h.Version > handshake.TLS12:
		return no
	case h.Type == handshake.Handshake && b[handshake.HeaderLen] == byte(handshake.TypeServerHello) && h.Length > 4:
		return yes
	case h.Type == handshake.Alert && b[handshake.HeaderLen] <= 2 && h.Length == 2: // warning or fatal, in the clear
		return yes
	}
	return no
}

// likePrefix tells whether b may become a record of a type, and of a message if b is long enough to have one.
func likePrefix(b []byte, record, message byte) likeness {
	for i, c := range b {
		if i == 0 && c != record || i == 1 && c != 3 || i == 2 && (c == 0 || c > 3) || i == handshake.HeaderLen && c != message {
			return no
		}
	}
	return undecided
}
