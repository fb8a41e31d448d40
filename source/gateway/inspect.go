package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/authority"
	"github.com/vitrine-ndr/vitrine/source/gateway/identity"
	"github.com/vitrine-ndr/vitrine/source/gateway/origin"
	"github.com/vitrine-ndr/vitrine/source/gateway/pin"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/source/gateway/wire"
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
		s.gateway.asking.Add(s.asker(false), time.Now())
		s.hangUp()
		if s.staysWithout() {
			return instead(flow.ClientCertificate, policy.Block)
		}
		return instead(flow.ClientCertificate, cases.ClientCertificate)
	case says(err, disagreements...):
		s.hangUp()
		return instead(flow.UnsupportedSuite, cases.Unsupported)
	case err != nil:
		s.fail(flow.OriginFailed, err)
		return handshakes{}
	}
	state := server.ConnectionState()
	if s.facts.Certificate == nil { // not judged in the handshake
		s.judge(&state)
	}
	if s.facts.Fault != flow.NoFault && cases.BadCertificate == policy.Block {
		return instead(flow.BadCertificate, policy.Block)
	}
	client, err := s.shakeWithClient(&state)
	if err != nil {
		why := refusal(err)
		if code, ok := s.client.OpenAlert(); ok && why == flow.ClientFailed {
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
		s.client.Reset()
	}
}

// asker is the origin, as others will ask for it.
func (s *session) asker(late bool) origin.Asker {
	return origin.Asker{Address: s.conn.Tuple.Server.String(), Name: s.name(), Late: late}
}

// asks tells whether the origin has asked lately for a client certificate that the gateway cannot show.
func (s *session) asks() bool {
	now, asking := time.Now(), &s.gateway.asking
	return asking.Has(s.asker(true), now) || asking.Has(s.asker(false), now) && s.identity() == nil
}

// identity is what the gateway may show to the origin for the client, or nil.
func (s *session) identity() *identity.Identity {
	return s.gateway.cfg.Identities.Find(s.name(), s.conn.Tuple.Client.IP, time.Now())
}

// errAsked stops the handshake with an origin that wants a client certificate: only the client can prove that it has one, and only
// in a handshake of its own.
var errAsked = errors.New("the origin asks for a client certificate")

// shakeWithOrigin speaks for the client: with a hello of the gateway's own that offers nothing that the client did not.
func (s *session) shakeWithOrigin(o *offer) (*tls.Conn, error) {
	asked, goesOn, use := false, false, identity.NewUse(s.identity(), s.judge, s.gateway.sessions)
	c := tls.Client(s.server, &tls.Config{
		ServerName:         s.facts.SNI,
		InsecureSkipVerify: true, // what is wrong with the certificate is for the client to see: judge finds it
		MinVersion:         o.min, MaxVersion: o.max, CipherSuites: o.suites, CurvePreferences: o.groups, NextProtos: o.alpn,
		ClientSessionCache: use, KeyLogWriter: s.gateway.cfg.KeyLog, DynamicRecordSizingDisabled: true, // records are cut as the client has cut them
		VerifyConnection: use.Verify,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if own := use.Certificate(); own != nil {
				return own, nil
			}
			asked = true
			if s.decision.Cases.ClientCertificate != policy.Block && (s.later || s.staysWithout()) {
				goesOn = true
				return new(tls.Certificate), nil // there is none: most servers do without
			}
			return nil, errAsked
		},
	})
	err := shake(c, s.server)
	if asked && (err != nil || !goesOn) || errors.Is(err, identity.ErrDistrusted) {
		return nil, errAsked
	}
	s.asked, s.decision.Identity = asked, use.Shown()
	s.tellIdentity(err)
	if key := use.Offered(); key != "" && err == nil {
		s.gateway.sessions.offered(key, c.ConnectionState().DidResume, time.Now())
	}
	return c, err
}

// shake makes a handshake whose messages are sent together, as far as they can be.
func shake(c *tls.Conn, w *wire.Conn) error {
	w.TLS()
	w.Cork()
	err := c.Handshake()
	if sent := w.Uncork(); err == nil {
		err = sent
	}
	return err
}

// staysWithout tells whether the client must do without its certificate: to get through with it, it would have to get past rules that may
// block.
func (s *session) staysWithout() bool {
	return s.decision.Cases.ClientCertificate == policy.Bypass && s.mayBlock()
}

// mayBlock tells whether verdicts may block what the client asks the server for.
func (s *session) mayBlock() bool {
	blocks := s.gateway.cfg.Blocks
	return blocks(s.decision.ID, s.name()) || s.name() != s.request.Host && blocks(s.decision.ID, s.request.Host)
}

// tellIdentity logs that an identity of the gateway's was shown to the origin, if it was, and whether that has refused it.
func (s *session) tellIdentity(err error) {
	id, level, what := s.decision.Identity, slog.LevelInfo, "an identity was shown for a client"
	if id == "" {
		return
	}
	if err != nil {
		level, what = slog.LevelWarn, "the origin refuses an identity"
	}
	s.gateway.log.Log(context.Background(), level, what, "component", "gateway", "identity", id, "client", s.client.RemoteAddr(), "server", s.conn.Tuple.Server, "name", s.name(), "policy", s.decision.ID, "err", err)
}

// insisted notes that the origin does not do without the client certificate that it has asked for, or not with the one that it was shown.
func (s *session) insisted(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !says(err, "remote error") || s.seen[flow.ToClient] > 0:
	case s.asked:
		s.gateway.asking.Add(s.asker(false), time.Now())
		s.conn.Decryption = flow.Decryption{State: flow.DecryptedNo, Reason: flow.ClientCertificate}
	case s.decision.Identity != "": // TLS 1.3 has no answer before
		s.tellIdentity(err)
		s.conn.Decryption = flow.Decryption{State: flow.DecryptedNo, Reason: flow.OriginFailed}
	}
}

// judge finds what is wrong with the origin's certificate, and notes what is known of it.
func (s *session) judge(state *tls.ConnectionState) (good bool) {
	leaf := state.PeerCertificates[0]
	s.facts.Certificate = s.gateway.facts.Facts(leaf.Raw)
	name := s.name()
	if name == "" && !s.request.Diverted { // then it was asked for by its address
		name = s.request.Host
	}
	s.facts.Fault = s.gateway.cfg.Judge.Judge(state.PeerCertificates, name, state.OCSPResponse, time.Now())
	return s.facts.Fault == flow.NoFault
}

// shakeWithClient answers the client as the origin has answered: with its version, its application protocol, and a certificate that
// says the same.
func (s *session) shakeWithClient(server *tls.ConnectionState) (*tls.Conn, error) {
	g, leaf := s.gateway, server.PeerCertificates[0]
	cfg := &tls.Config{
		MinVersion: server.Version, MaxVersion: server.Version, CipherSuites: suites, KeyLogWriter: g.cfg.KeyLog,
		EncryptedClientHelloKeys: g.cfg.ECH.TLS(), DynamicRecordSizingDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.leaf(leaf, s.facts.Fault, keyType(s.first.hello, server.Version))
		},
	}
	if server.NegotiatedProtocol != "" {
		cfg.NextProtos = []string{server.NegotiatedProtocol}
	}
	g.tickets.bind(cfg, leaf.Raw, s.facts.Fault, time.Now())
	s.client.Unread(s.takeFirst())
	c := tls.Server(s.client, cfg)
	if err := shake(c, s.client); err != nil {
		return nil, err
	}
	state := c.ConnectionState()
	s.facts.Version, s.facts.Cipher = handshake.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)
	s.facts.ALPN, s.facts.Resumed = state.NegotiatedProtocol, state.DidResume
	return c, nil
}

func (s *session) leaf(like *x509.Certificate, fault flow.Fault, t authority.KeyType) (*tls.Certificate, error) {
	m := (*s.gateway.mints.Load())[s.decision.Authority]
	if m == nil {
		return nil, fmt.Errorf("%w: no authority %q any more", errLeaf, s.decision.Authority)
	}
	c, err := m.Leaf(like, fault, t)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLeaf, err)
	}
	return c, nil
}

// disclose has a client that has encrypted its hello to the gateway come again: in the open, where its connection is to be handed on, since the
// origin could not read it; or by the key that the gateway has now. It believes that once the name outside has shown a certificate.
func (s *session) disclose() {
	s.tell(flow.DecryptedNo, flow.EncryptedHello)
	face, err := s.gateway.cfg.ECH.Face(time.Now())
	if err != nil {
		s.fail(flow.ClientFailed, err)
		return
	}
	cfg := &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.leaf(face, flow.NoFault, keyType(s.first.hello, tls.VersionTLS13))
		},
	}
	if s.hidden == forgotten {
		cfg.EncryptedClientHelloKeys = s.gateway.cfg.ECH.TLS()
	}
	s.client.Unread(s.takeFirst())
	c := tls.Server(s.client, cfg)
	if err = shake(c, s.client); err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if !says(err, reluctance) {
		s.fail(refusal(err), err)
	}
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

// isPinned tells whether the client accepts no certificate but the server's own. Where that would lead past rules that may block, only a person's
// word counts.
func (s *session) isPinned() bool {
	pins := s.gateway.cfg.Pins
	if s.otherName() || !pins.Pinned(s.conn.Tuple.Client.IP, s.pinned(), time.Now()) {
		return false
	}
	return s.decision.Cases.Pinned != policy.Bypass || pins.Approved(s.pinned()) || !s.mayBlock()
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
