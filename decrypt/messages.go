package decrypt

import (
	"slices"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
)

// messageFrom returns the handler of the handshake messages of a direction, in the clear or opened.
func (s *Session) messageFrom(dir flow.Direction) func(handshake.MessageType, []byte) error {
	if dir == flow.ToServer {
		return s.clientMessage
	}
	return s.serverMessage
}

// clientMessage takes a whole message of the client. An error means that it is malformed; body is not kept.
func (s *Session) clientMessage(t handshake.MessageType, body []byte) error {
	h := &s.half[flow.ToServer]
	switch t {
	case handshake.TypeClientHello:
		return s.clientHello(body)
	case handshake.TypeEndOfEarlyData: // the last under the early key (RFC 8446 §4.5)
		if h.epoch == epochEarly {
			s.begin(h, epochHandshake)
		}
	default:
		s.eitherMessage(flow.ToServer, t)
	}
	return nil
}

// serverMessage is clientMessage for the server.
func (s *Session) serverMessage(t handshake.MessageType, body []byte) error {
	switch t {
	case handshake.TypeServerHello:
		return s.serverHello(body)
	case handshake.TypeCertificate:
		return s.certificate(body)
	case handshake.TypeServerHelloDone:
		s.serverDone = true
	case handshake.TypeEncryptedExtensions:
		alpn, earlyData, err := handshake.ParseEncryptedExtensions(body)
		if err != nil {
			return err
		}
		s.facts.ALPN = alpn
		s.revision++
		s.answerEarlyData(earlyData)
	default:
		s.eitherMessage(flow.ToClient, t)
	}
	return nil
}

// eitherMessage handles the messages after which TLS 1.3 changes the key of the direction. They count only once
// opened: in the clear they are forged or misread.
func (s *Session) eitherMessage(dir flow.Direction, t handshake.MessageType) {
	h := &s.half[dir]
	if !s.hs.suite.TLS13 || h.open == nil {
		return
	}
	switch {
	case t == handshake.TypeFinished && h.epoch == epochHandshake:
		s.begin(h, epochApplication)
	case t == handshake.TypeKeyUpdate && h.epoch == epochApplication: // of this direction alone (RFC 8446 §4.6.3)
		h.secret = s.hs.nextSecret(h.secret)
		h.open = s.hs.protection(dir, h.secret)
	}
}

// begin ends the present epoch of a direction: the next record is under another key, and its number is 0. Whatever was missed
// until then has been accounted for, since the message that ends the epoch was opened.
func (s *Session) begin(h *half, e epoch) {
	h.epoch, h.open, h.secret = e, nil, nil
	h.missed = missed{}
}

// clientHello takes the client's side of the negotiation. The facts are those of the first hello: the one after a HelloRetryRequest
// offers the same, and a renegotiation is not what the connection was made for.
func (s *Session) clientHello(body []byte) error {
	c := &s.w.client
	if err := c.Parse(body); err != nil {
		return err
	}
	if s.hs.hasServer && s.hs.suite.TLS13 {
		return nil // TLS 1.3 does not renegotiate
	}
	first := !s.hs.hasClient
	s.hs.hasClient = true
	if c.Random != s.hs.clientRandom { // a renegotiation has another one, the hello after a retry has not
		s.hs.clientRandom = c.Random
		s.secrets, s.asked = nil, false
	}
	if !first {
		return nil
	}
	s.earlyData = c.EarlyData
	s.lookAgain()
	s.facts.SNI = c.ServerName
	s.facts.ClientALPNs = slices.Clone(c.ALPN)
	s.facts.JA3, s.facts.JA4 = c.JA3(), c.JA4(handshake.OverTCP)
	s.revision++
	return nil
}

// serverHello takes the server's side of the negotiation. A renegotiation (TLS 1.2 and before) changes the randoms and may change
// the suite, for the records after the next ChangeCipherSpec; in TLS 1.3 a second hello is forged or misread.
func (s *Session) serverHello(body []byte) error {
	h := &s.w.server
	if err := h.Parse(body); err != nil {
		return err
	}
	if s.hs.hasServer && s.hs.suite.TLS13 {
		return nil
	}
	s.hs.version = h.Version
	if h.Retry || h.Version == handshake.TLS13 && !h.PreSharedKey {
		s.earlyData = false // rejected: the client sends it again
	}
	if h.Retry {
		return nil
	}
	s.serverDone = false
	s.hs.serverRandom = h.Random
	s.hs.suite = handshake.SuiteByID(h.CipherSuite)
	if !s.hs.hasServer {
		s.facts.Version, s.facts.Cipher = handshake.VersionName(h.Version), s.hs.suite.Name
		s.facts.JA3S, s.facts.ALPN = h.JA3S(), h.ALPN
		s.facts.Resumed = h.PreSharedKey
		s.revision++
	}
	s.hs.hasServer = true
	if h.Version == handshake.TLS13 {
		s.beginTLS13()
	}
	s.lookAgain()
	return nil
}

// answerEarlyData takes the server's word on early data (RFC 8446 §4.2.10). Where it is no, the client's records under the early key
// are no loss: their content comes again.
func (s *Session) answerEarlyData(accepted bool) {
	s.answered = true
	h := &s.half[flow.ToServer]
	if !accepted && h.epoch == epochEarly && h.open == nil {
		s.earlyData, h.epoch = false, epochHandshake
	}
}

// beginTLS13 begins the protection of both directions: all that follows is encrypted (RFC 8446 §2).
func (s *Session) beginTLS13() {
	client, server := &s.half[flow.ToServer], &s.half[flow.ToClient]
	if client.open != nil || server.open != nil {
		return // it has begun, with keys that fit
	}
	client.epoch, server.epoch = epochHandshake, epochHandshake
	if s.earlyData {
		client.epoch = epochEarly
	}
}

// certificate takes the server's chain: in the clear before TLS 1.3, from within protected records since.
func (s *Session) certificate(body []byte) error {
	leaf, err := handshake.ParseCertificate(body, s.hs.version)
	if err != nil || leaf == nil {
		return err
	}
	s.facts.Certificate = s.w.cfg.Certificates.Facts(leaf)
	s.revision++
	return nil
}
