// Package tls follows TLS connections that nobody decrypted: TLS inside a tunnel that was itself decrypted, or bytes that
// a source has passed on unopened. Records go in; at the end one event.TLS comes out with what the handshake said in the
// clear. It holds no keys, and after the handshake looks at nothing but the headers of records.
package tls

import (
	"bytes"
	"slices"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/event"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

// Codes of anomalies.
const (
	badRecord    = "tls_bad_record"
	badHandshake = "tls_bad_handshake"
	tooLong      = "tls_handshake_too_long" // than Limits.Header in one direction
)

// Protocol is TLS over TCP.
var Protocol = parse.Protocol{
	Name: "tls", Proto: flow.TCP, Probe: probe,
	New: func(out parse.Output) parse.Parser { return &parser{out: out} },
}

// probe wants the record of a hello: that of the client, or that of the server to whoever sent it.
func probe(dir flow.Direction, b []byte) parse.Match {
	const whole = handshake.HeaderLen + 4 + 1 // the message's header, and the first byte of its version
	want := handshake.TypeClientHello
	if dir == flow.ToClient {
		want = handshake.TypeServerHello
	}
	for i, c := range b[:min(len(b), whole)] {
		switch {
		case i == 0 && c != byte(handshake.Handshake),
			i == 1 && c != 3,
			i == 2 && c > 4,
			i == 5 && c != byte(want),
			i == 6 && c != 0, // a hello of 64 KiB or more
			i == 9 && c != 3:
			return parse.No
		case i == 4:
			if h, err := handshake.ParseHeader(b); err != nil || h.Length < 4+1 {
				return parse.No
			}
		}
	}
	if len(b) < whole {
		return parse.Maybe
	}
	return parse.Yes
}

type parser struct {
	out       parse.Output
	half      [2]half
	facts     flow.TLS
	version   uint16 // negotiated
	sessionID []byte // that the client wants to resume
	hello     [2]bool
	seen      bool // there was a record
}

// half is one direction.
type half struct {
	record   handshake.Header
	left     int // bytes of its payload that are still to come
	messages handshake.Messages
	read     int  // bytes of handshake so far
	dark     bool // what follows is encrypted, or was lost
	lost     bool // where records begin is not known
}

func (p *parser) Parse(dir flow.Direction, b []byte) (int, error) {
	h := &p.half[dir]
	n := 0
	for n < len(b) {
		if h.lost {
			p.facts.LostBytes += uint64(len(b) - n)
			return len(b), nil
		}
		if h.left > 0 {
			k := min(h.left, len(b)-n)
			p.payload(dir, h, b[n:n+k])
			h.left -= k
			n += k
			continue
		}
		if len(b)-n < handshake.HeaderLen {
			return n, nil
		}
		record, err := handshake.ParseHeader(b[n:])
		if err != nil {
			p.out.Anomaly(badRecord)
			h.lost = true
			continue
		}
		p.begin(dir, h, record)
		n += handshake.HeaderLen
	}
	return n, nil
}

func (p *parser) begin(dir flow.Direction, h *half, record handshake.Header) {
	p.seen = true
	h.record, h.left = record, record.Length
	switch record.Type {
	case handshake.ChangeCipherSpec:
		// A server of TLS 1.3 may send one before its hello, behind a retry (RFC 8446, appendix D.4).
		if dir == flow.ToServer || p.hello[flow.ToClient] {
			h.end()
		}
	case handshake.ApplicationData:
		h.end()
		p.facts.LostBytes += uint64(record.Length)
	}
}

// end ends the handshake in the clear.
func (h *half) end() {
	h.dark = true
	h.messages = handshake.Messages{}
}

// payload takes a piece of a record's payload.
func (p *parser) payload(dir flow.Direction, h *half, b []byte) {
	if h.dark || h.record.Type != handshake.Handshake {
		return
	}
	if h.read += len(b); h.read > p.out.Limits.Header {
		p.out.Anomaly(tooLong)
		h.end()
		return
	}
	err := h.messages.Add(b, func(t handshake.MessageType, body []byte) error { return p.message(dir, t, body) })
	if err != nil {
		p.out.Anomaly(badHandshake)
		h.end()
	}
}

func (p *parser) message(dir flow.Direction, t handshake.MessageType, body []byte) error {
	switch {
	case t == handshake.TypeClientHello && dir == flow.ToServer && !p.hello[dir]:
		return p.clientHello(body)
	case t == handshake.TypeServerHello && dir == flow.ToClient && !p.hello[dir]:
		return p.serverHello(body)
	case t == handshake.TypeCertificate && dir == flow.ToClient && p.facts.Certificate == nil:
		return p.certificate(body)
	}
	return nil
}

func (p *parser) clientHello(body []byte) error {
	var c handshake.ClientHello
	err := c.Parse(body)
	p.hello[flow.ToServer] = true
	p.facts.SNI, p.facts.ClientALPNs = c.ServerName, slices.Clone(c.ALPN)
	if err == nil {
		p.facts.JA3, p.facts.JA4 = c.JA3(), c.JA4(handshake.OverTCP)
	}
	p.sessionID = bytes.Clone(c.SessionID)
	return err
}

func (p *parser) serverHello(body []byte) error {
	var s handshake.ServerHello
	err := s.Parse(body)
	if err != nil || s.Retry {
		return err
	}
	p.hello[flow.ToClient] = true
	p.version = s.Version
	p.facts.Version, p.facts.Cipher = handshake.VersionName(s.Version), handshake.SuiteByID(s.CipherSuite).Name
	p.facts.JA3S, p.facts.ALPN = s.JA3S(), s.ALPN
	// Before TLS 1.3 a server that resumes repeats the session's name (RFC 5246, section 7.4.1.3).
	p.facts.Resumed = s.PreSharedKey ||
		s.Version < handshake.TLS13 && len(s.SessionID) > 0 && bytes.Equal(s.SessionID, p.sessionID)
	return nil
}

func (p *parser) certificate(body []byte) error {
	leaf, err := handshake.ParseCertificate(body, p.version)
	if err == nil && leaf != nil {
		p.facts.Certificate = handshake.NewCertificates(1).Facts(leaf)
	}
	return err
}

// Gap goes on if it ends within the record at hand, else the bytes that follow are only counted.
func (p *parser) Gap(dir flow.Direction, n int) error {
	h := &p.half[dir]
	if !h.dark && (h.left == 0 || h.record.Type == handshake.Handshake) {
		h.end()
	}
	if n > 0 && n <= h.left {
		h.left -= n
	} else {
		h.lost, h.left = true, 0
	}
	return nil
}

// End emits what the handshake said.
func (p *parser) End() {
	if p.seen {
		facts := p.facts
		p.out.Emit(&event.TLS{Facts: &facts, Decryption: flow.Decryption{State: flow.DecryptedNo, Reason: flow.Tunnelled}})
	}
}
