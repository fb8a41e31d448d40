package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
)

// inspect speaks TLS with the origin, then with the client as the origin would, and relays what they say.
func (s *session) inspect(ctx context.Context) {
	var h handshakes
	s.gateway.apart(func() { h = s.shakeHands(ctx) })
	switch {
	case h.otherwise != nil:
		h.otherwise()
	case h.client != nil:
		s.tell(flow.DecryptedYes, "")
		s.shaken = time.Now()
		s.takeFirst()
		s.first = helloReader{} // it has served
		s.relay(end{h.client, h.client.CloseWrite, s.client}, end{h.server, h.server.CloseWrite, s.server}, true)
		s.plaintext()
	}
}

// apart runs f on a stack of its own, which is given back: handshakes need much of it, and the connection behind them may last for days
// with little.
func (g *Gateway) apart(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.protect(f)
	}()
	<-done
}

// handshakes are what came of two: both connections, or what is done in place of relaying them. Neither is there where something has failed
// that needs no more than an end.
type handshakes struct {
	client, server *tls.Conn
	otherwise      func()
}

func (s *session) shakeHands(ctx context.Context) handshakes {
	cases := s.decision.Cases
	instead := func(why flow.Reason, choice policy.Choice) handshakes {
		return handshakes{otherwise: func() { s.instead(ctx, why, choice) }}
	}
	offered, err := newOffer(s.first.hello)
	if err != nil {
		return instead(flow.UnsupportedSuite, cases.Unsupported)
	}
	server, err := s.shakeWithOrigin(offered)
	switch {
	case errors.Is(err, errAsked):
		s.gateway.asking.Add(s.asker(), time.Now())
		s.hangUp()
		return instead(flow.ClientCertificate, cases.ClientCertificate)
	case says(err, disagreements...):
		s.hangUp()
		return instead(flow.UnsupportedSuite, cases.Unsupported)
	case err != nil:
		s.fail(flow.OriginFailed, err)
		return handshakes{}
	}
	state := server.ConnectionState()
	s.judge(&state)
	if s.facts.Fault != flow.NoFault && cases.BadCertificate == policy.Block {
		return instead(flow.BadCertificate, policy.Block)
	}
	client, err := s.shakeWithClient(&state)
	if err != nil {
		why := refusal(err)
		if code, ok := s.client.openAlert(); ok && why == flow.ClientFailed {
			why = refusal(fmt.Errorf("remote error: %w", tls.AlertError(code)))
		}
		s.learn(why, err)
		s.fail(why, err)
		return handshakes{}
	}
	return handshakes{client: client, server: server}
}

// fail ends a connection of which a handshake has failed.
func (s *session) fail(why flow.Reason, err error) {
	s.gateway.log.Debug("handshake failed", "component", "gateway", "client", s.client.RemoteAddr(), "server", s.conn.Tuple.Server, "name", s.name(), "reason", why, "err", err)
	s.tell(flow.DecryptedNo, why)
	if timedOut(err) || why == flow.OriginFailed { // the client has had no alert
		s.client.reset()
	}
}

// asker is the origin, as others will ask for it.
func (s *session) asker() origin.Asker {
	return origin.Asker{Address: s.conn.Tuple.Server.String(), Name: s.name()}
}

// errAsked stops the handshake with an origin that wants a client certificate: only the client can prove that it has one, and only
// in a handshake of its own.
var errAsked = errors.New("the origin asks for a client certificate")

// shakeWithOrigin speaks for the client: with a hello of the gateway's own that offers nothing that the client did not.
func (s *session) shakeWithOrigin(o *offer) (*tls.Conn, error) {
	asked := false
	c := tls.Client(front.Prefixed(s.server, s.banner), &tls.Config{
		ServerName:         s.facts.SNI,
		InsecureSkipVerify: true, // what is wrong with the certificate is for the client to see: judge finds it
		MinVersion:         o.min, MaxVersion: o.max, CipherSuites: o.suites, CurvePreferences: o.groups, NextProtos: o.alpn,
		ClientSessionCache: s.gateway.sessions, KeyLogWriter: s.gateway.cfg.KeyLog,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			if s.later && s.decision.Cases.ClientCertificate != policy.Block {
				return new(tls.Certificate), nil // there is none: most servers do without, and this connection can't be made anew
			}
			return nil, errAsked
		},
	})
	err := c.Handshake()
	if asked && (err != nil || !s.later) {
		return nil, errAsked
	}
	s.asked = asked
	return c, err
}

// insisted notes that the origin does not do without the client certificate that it has asked for.
func (s *session) insisted(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked && says(err, "remote error") && s.seen[flow.ToClient] == 0 {
		s.gateway.asking.Add(s.asker(), time.Now())
		s.conn.Decryption = flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}
	}
}

// judge finds what is wrong with the origin's certificate, and notes what is known of it.
func (s *session) judge(state *tls.ConnectionState) {
	leaf := state.PeerCertificates[0]
	s.facts.Certificate = s.gateway.facts.Facts(leaf.Raw)
	name := s.name()
	if name == "" && !s.request.Diverted { // then it was asked for by its address
		name = s.request.Host
	}
	s.facts.Fault = s.gateway.cfg.Judge.Judge(state.PeerCertificates, name, state.OCSPResponse, time.Now())
}

// shakeWithClient answers the client as the origin has answered: with its version, its application protocol, and a certificate that
// says the same.
func (s *session) shakeWithClient(server *tls.ConnectionState) (*tls.Conn, error) {
	g, leaf := s.gateway, server.PeerCertificates[0]
	cfg := &tls.Config{
		MinVersion: server.Version, MaxVersion: server.Version, CipherSuites: suites, KeyLogWriter: g.cfg.KeyLog,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.leaf(leaf, keyType(s.first.hello, server.Version))
		},
	}
	if server.NegotiatedProtocol != "" {
		cfg.NextProtos = []string{server.NegotiatedProtocol}
	}
	g.tickets.bind(cfg, leaf.Raw, s.facts.Fault, time.Now())
	c := tls.Server(front.Prefixed(s.client, s.first.buf), cfg)
	if err := c.Handshake(); err != nil {
		return nil, err
	}
	state := c.ConnectionState()
	s.facts.Version, s.facts.Cipher = handshake.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	s.facts.ALPN, s.facts.Resumed = state.NegotiatedProtocol, state.DidResume
	return c, nil
}

func (s *session) leaf(like *x509.Certificate, t authority.KeyType) (*tls.Certificate, error) {
	m := (*s.gateway.mints.Load())[s.decision.Authority]
	if m == nil {
		return nil, fmt.Errorf("%w: no authority %q any more", errLeaf, s.decision.Authority)
	}
	c, err := m.Leaf(like, s.facts.Fault, t)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLeaf, err)
	}
	return c, nil
}

// errLeaf ends the handshake with the client, to whom nothing can be shown.
var errLeaf = errors.New("make a certificate for the client")

// refusal is the reason of a handshake that failed at the client's side.
func refusal(err error) flow.Reason {
	switch {
	case errors.Is(err, errLeaf):
		return flow.AuthorityFailed
	case says(err, reluctance):
		return flow.EncryptedHello
	case says(err, distrust...) && says(err, "remote error"):
		return flow.ClientRefused
	}
	return flow.ClientFailed
}

// early is how soon a client ends a connection in which it does not like the certificate. Browsers keep those that they have made in
// advance for longer.
const early = 3 * time.Second

// learn has others profit from how the client has left before its first byte. Where the certificate was bad, it did well.
func (s *session) learn(why flow.Reason, err error) {
	what := pin.Refused
	switch gone := err == nil || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET); {
	case s.facts.Fault != flow.NoFault || s.otherName():
		return
	case why == flow.ClientFailed && gone:
		what = pin.Closed
	case why != flow.ClientRefused:
		return
	}
	s.gateway.cfg.Pins.Refuse(s.conn.Tuple.Client.IP, s.pinned(), what, time.Now())
}

// pinned is the server as its clients' pins are kept.
func (s *session) pinned() pin.Server {
	t := s.conn.Tuple.Server
	return pin.Server{Name: s.name(), Address: netip.AddrPortFrom(t.IP, t.Port)}
}

// isPinned tells whether the client accepts no certificate but the server's own.
func (s *session) isPinned() bool {
	return !s.otherName() && s.gateway.cfg.Pins.Pinned(s.conn.Tuple.Client.IP, s.pinned(), time.Now())
}

// otherName tells whether the client has asked the proxy for another name than the server. Then nothing is learnt of either, or it could
// have one bypassed by way of the other.
func (s *session) otherName() bool {
	return !isAddress(s.request.Host) && !strings.EqualFold(s.request.Host, s.name())
}

// plaintext notes how much was seen, at the end. Nothing else runs any more.
func (s *session) plaintext() {
	facts := *s.conn.TLS
	facts.PlaintextBytes = s.seen[flow.ToServer] + s.seen[flow.ToClient]
	s.conn.TLS = &facts
}
