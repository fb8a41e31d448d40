package gateway

import (
	"crypto/tls"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/ech"
)

// maxHello bounds what is read of a client before its ClientHello is whole: the longest that crypto/tls takes, in the smallest
// records that make sense.
const maxHello = 80 << 10

// helloReader finds the ClientHello in the first bytes of a connection, however they are cut.
type helloReader struct {
	buf      []byte // all that was read
	done     int    // of it, bytes in records that were looked at
	messages handshake.Messages
	hello    *handshake.ClientHello // once it is whole
	not      bool                   // the connection does not begin with TLS
	broken   bool                   // it does, but with no ClientHello that can be read
}

// errHello stops handshake.Messages behind the ClientHello.
var errHello = errors.New("the ClientHello is whole")

// add looks at more bytes, and tells whether it takes none further to know.
func (r *helloReader) add(b []byte) (known bool) {
	r.buf = append(r.buf, b...)
	r.not = len(r.buf) > 0 && !beginsRecord(r.buf)
	for r.hello == nil && !r.not && !r.broken {
		rest := r.buf[r.done:]
		if len(rest) < handshake.HeaderLen {
			r.broken = len(rest) > 0 && rest[0] != byte(handshake.Handshake) || len(r.buf) > maxHello
			return r.broken
		}
		h, err := handshake.ParseHeader(rest)
		if err != nil || h.Type != handshake.Handshake || len(r.buf) > maxHello {
			r.broken = true
			break
		}
		end := handshake.HeaderLen + h.Length
		if len(rest) < end {
			return false
		}
		r.done += end
		r.record(rest[handshake.HeaderLen:end])
	}
	return true
}

func (r *helloReader) record(payload []byte) {
	err := r.messages.Add(payload, func(t handshake.MessageType, body []byte) error {
		hello := new(handshake.ClientHello)
		if t != handshake.TypeClientHello || hello.Parse(body) != nil {
			return handshake.ErrMalformed
		}
		r.hello = hello
		return errHello
	})
	r.broken = err != nil && r.hello == nil
}

// beginsRecord tells by the first byte, which must be there, whether a TLS record begins, of whatever type.
func beginsRecord(b []byte) bool {
	const heartbeat = 24 // the last type (RFC 6520 §3)
	return b[0] >= byte(handshake.ChangeCipherSpec) && b[0] <= heartbeat
}

// turn finds TLS that begins later in a connection: behind STARTTLS, AUTH TLS, CONNECT, PostgreSQL's SSLRequest. Which of them it is does not
// matter: once both sides have spoken, a client that goes on with a ClientHello means it.
type turn struct {
	spoke [2]atomic.Bool // a direction has said something
	begun atomic.Bool    // TLS begins
	// keep asks whether so many bytes may be kept of what may be a ClientHello, where so many were before.
	keep func(was, size int) bool

	// What follows is the client's direction's alone, until both have ended.
	first helloReader // what may be a ClientHello
	since time.Time   // when that began to come
	sent  int         // of it, bytes that were forwarded since the rest did not come
}

var (
	// errTurned says that a direction goes on in TLS.
	errTurned = errors.New("TLS begins")
	// errStolen says that the server has got a part of the ClientHello already.
	errStolen = errors.New("a ClientHello that took too long")
)

// pass takes more bytes of a direction and returns those that are to be forwarded. The error is one of the two above, or errSilenced.
func (t *turn) pass(dir flow.Direction, at time.Time, b []byte) ([]byte, error) {
	if dir == flow.ToClient || len(t.first.buf) == 0 {
		begins := dir == flow.ToServer && t.spoke[0].Load() && t.spoke[1].Load() && mayBeHello(b)
		t.spoke[dir].Store(true)
		if !begins {
			return b, nil
		}
		t.since = at
	}
	if n := len(t.first.buf); !t.keep(n, n+len(b)) {
		return nil, errSilenced
	}
	known := t.first.add(b)
	switch {
	case t.first.hello != nil && t.sent == 0:
		return nil, errTurned
	case t.first.hello != nil:
		return nil, errStolen
	case known || !mayBeHello(t.first.buf):
		b = t.first.buf[t.sent:]
		t.forget()
		return b, nil
	case t.sent > 0:
		t.sent += len(b)
		return b, nil
	}
	return nil, nil
}

// forget gives back what is kept.
func (t *turn) forget() {
	t.keep(len(t.first.buf), 0)
	t.first, t.sent = helloReader{}, 0
}

// mayBeHello tells whether b may begin a ClientHello.
func mayBeHello(b []byte) bool {
	const message = handshake.HeaderLen // where it begins
	return b[0] == byte(handshake.Handshake) && (len(b) < 2 || b[1] == 3) && (len(b) <= message || b[message] == byte(handshake.TypeClientHello))
}

// until is how long the rest of a ClientHello is waited for; ok is false if nothing is kept. A first byte alone may be a person's who types.
func (t *turn) until(limit time.Duration) (end time.Time, ok bool) {
	if len(t.first.buf) <= handshake.HeaderLen {
		limit = min(limit, time.Second)
	}
	return t.since.Add(limit), len(t.first.buf) > t.sent
}

// giveUp returns what was kept. If it becomes a ClientHello all the same, the connection has to end.
func (t *turn) giveUp() []byte {
	b := t.first.buf[t.sent:]
	t.sent = len(t.first.buf)
	return b
}

// concealment is what a client has made of its ClientHello.
type concealment uint8

const (
	plain     concealment = iota // nothing that is the gateway's business
	opened                       // encrypted to the gateway: what it says is inside
	forgotten                    // encrypted to a key that the gateway has no more, or never had, in its name
)

// uncover has the session go by the hello inside of the one that the client has sent, if it is encrypted to the gateway. JA3 and JA4 stay those
// of the outer one: that is what others see, too.
func (s *session) uncover() {
	keys, outer := s.gateway.cfg.ECH, s.first.hello
	s.hidden = plain
	if keys == nil || !slices.Contains(outer.Extensions, ech.Extension) {
		return
	}
	inner := keys.Open(s.first.buf)
	switch {
	case inner != nil:
		s.hidden, s.first.hello = opened, helloOf(inner)
		s.facts.SNI, s.facts.ClientALPNs, s.facts.OuterSNI = inner.ServerName, inner.SupportedProtos, outer.ServerName
	case slices.Contains(keys.Names(), outer.ServerName):
		s.hidden = forgotten
	}
}

// helloOf returns what the session goes by.
func helloOf(h *tls.ClientHelloInfo) *handshake.ClientHello {
	hello := &handshake.ClientHello{
		Version: tls.VersionTLS12, CipherSuites: h.CipherSuites, Extensions: h.Extensions, ServerName: h.ServerName, ALPN: h.SupportedProtos,
		SupportedVersions: h.SupportedVersions, PointFormats: h.SupportedPoints,
	}
	for _, g := range h.SupportedCurves {
		hello.Groups = append(hello.Groups, uint16(g))
	}
	for _, a := range h.SignatureSchemes {
		hello.SignatureAlgorithms = append(hello.SignatureAlgorithms, uint16(a))
	}
	return hello
}
