package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vitrine-ndr/vitrine/decrypt/handshake"
	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/source/gateway/wire"
)

// session is one connection of a client.
type session struct {
	gateway *Gateway
	request *front.Request
	start   time.Time
	client  *wire.Conn
	server  *wire.Conn  // nil while there is none
	forget  func() bool // undoes that the end of Run closes it; nil with it
	first   helloReader // what the client said; later, from its ClientHello on
	later   bool        // TLS has begun in the midst of the connection
	hidden  concealment // where the client has encrypted its hello to the gateway
	asked   bool        // the origin would have liked a client certificate, and got none

	decision policy.Decision
	facts    flow.TLS  // empty without first.hello
	shaken   time.Time // when the client has taken the gateway's certificate, so far

	mu     sync.Mutex // guards what follows: the contract of source.Stream
	conn   *flow.Conn
	stream source.Editor
	seen   [2]uint64 // bytes of plaintext
}

// serve leads one connection from its acceptance to its end.
func (g *Gateway) serve(ctx context.Context, l Listener, c *net.TCPConn, sink source.Sink) {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { wire.Reset(c) })() // a stop is no regular end
	g.protect(func() {
		if s := g.receive(l, c); s != nil {
			s.run(ctx, sink)
		}
	})
}

// receive hears where a client wants to go. It returns nil if that leads nowhere.
func (g *Gateway) receive(l Listener, c *net.TCPConn) *session {
	start := time.Now()
	g.cfg.Leg(flow.Tuple{Proto: flow.TCP, Client: endpoint(c.RemoteAddr()), Server: endpoint(c.LocalAddr())})
	_ = c.SetDeadline(start.Add(g.cfg.Handshake))
	request, err := l.Front(c)
	if err != nil {
		g.stats.refused.Add(1)
		g.log.Debug("client refused", "component", "gateway", "client", c.RemoteAddr(), "err", err)
		return nil
	}
	client, err := wire.New(c, request.Ahead)
	if err != nil {
		g.log.Error("connection failed", "component", "gateway", "client", c.RemoteAddr(), "err", err)
		return nil
	}
	return &session{gateway: g, request: request, start: start, client: client}
}

// run leads the connection to the origin and back. What lies on the stack below relays does so for as long as they last: it should be little.
func (s *session) run(ctx context.Context, sink source.Sink) {
	defer s.hangUp()
	if !s.open(ctx, sink) {
		return
	}
	defer s.close()
	defer s.takeFirst()
	s.listen()
	s.decide()
	s.carryOut(ctx)
}

// open connects to the origin, if it can, and begins to tell of it.
func (s *session) open(ctx context.Context, sink source.Sink) bool {
	if err := s.reach(ctx); err != nil {
		if ctx.Err() == nil { // else it was not tried for long enough
			s.refuse(sink, err)
		}
		return false
	}
	if err := s.request.Answer(front.Connected); err != nil {
		return false
	}
	s.begin(sink, endpoint(s.server.RemoteAddr()))
	return true
}

// begin begins to tell of the connection.
func (s *session) begin(sink source.Sink, server flow.Endpoint) {
	s.conn = flow.NewConn(s.gateway.cfg.Seed, flow.Tuple{Proto: flow.TCP, Client: endpoint(s.client.RemoteAddr()), Server: server}, s.start)
	s.conn.Policy = &flow.Policy{Action: flow.Block} // until it is decided
	if !s.request.Diverted {
		s.conn.Asked = s.request.Host
	}
	s.stream = editor(sink.Open(s.conn))
}

// decide has the rules in force decide about the connection.
//
//go:noinline
func (s *session) decide() { s.decision = s.ask(s.gateway.rules.Load()) }

func endpoint(a net.Addr) flow.Endpoint {
	ap := addrPort(a)
	return flow.Endpoint{IP: ap.Addr().Unmap(), Port: ap.Port()}
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// close tells the end. Nothing else runs any more.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count()
	s.gateway.stats.count(s.conn)
	s.stream.Close(time.Now())
}

// count brings the bytes of the client's side up to date. Valid iff mu is held.
func (s *session) count() {
	s.conn.Wire[flow.ToServer].Bytes, s.conn.Wire[flow.ToClient].Bytes = s.client.In(), s.client.Out()
}

// listen reads what the client says first, until it is known whether that is a ClientHello. Where the server greets it before, it is no TLS.
func (s *session) listen() {
	if !s.hear(s.client.Poll) {
		s.listenToBoth()
	}
	s.listened(s.start)
}

// listenToBoth is listen where the client has not said all yet.
func (s *session) listenToBoth() {
	quiet := make(chan struct{})
	go func() {
		defer close(quiet)
		_ = s.server.Wait() // an error will be met again
		if s.greeted() {
			_ = s.client.SetReadDeadline(past)
		}
	}()
	s.hear(s.client.Wait)
	_ = s.server.SetReadDeadline(past)
	<-quiet
	if s.greeted() {
		s.first = helloReader{buf: s.first.buf, not: true} // whatever the client says is no TLS
	}
}

// listened notes what the client's hello says, and gives the handshakes their time.
func (s *session) listened(since time.Time) {
	deadline := since.Add(s.gateway.cfg.Handshake)
	_ = s.server.SetDeadline(deadline)
	_ = s.client.SetDeadline(deadline)
	if h := s.first.hello; h != nil {
		s.facts = flow.TLS{SNI: h.ServerName, ClientALPNs: h.ALPN, JA3: h.JA3(), JA4: h.JA4(handshake.OverTCP)}
		s.uncover()
	}
}

// hear reads what the client says first, until it is known whether that is a ClientHello, or until wait returns an error. It returns false
// where that merely says that nothing has come.
func (s *session) hear(wait func() error) bool {
	for known := false; !known; {
		err := wait()
		b := s.client.Peek()
		switch {
		case wire.IsDry(err):
			return false
		case err != nil || len(b) == 0:
			s.first.not = s.client.Ended() && len(s.first.buf) == 0 // it has nothing to say, but may want to hear
			return true
		case !s.keep(len(s.first.buf), len(s.first.buf)+len(b)):
			s.client.Reset() // a part of what it has said is lost
			return true
		}
		known = s.first.add(b)
		s.client.Discard()
	}
	return true
}

// keep reports whether there is room for more of what the client says first, or of what may be a ClientHello, and counts where there is none.
func (s *session) keep(was, size int) bool {
	if s.gateway.desk.Greet(was, size) {
		return true
	}
	s.gateway.stats.overCapacity.Add(1)
	return false
}

// errSilenced ends a message for which there is no memory.
var errSilenced = errors.New("too much is unfinished")

// takeFirst returns what the client has said first, which the session forgets: most of it is sent at once, and the connection may last
// for days.
func (s *session) takeFirst() []byte {
	b := s.first.buf
	s.first.buf = nil
	s.gateway.desk.Greet(len(b), 0)
	return b
}

// greeted tells whether the server has spoken first, as none of TLS does. A TLS record is no greeting: clients of TLS ignore, for
// example, a warning in front of the handshake, so it must not look like another protocol here.
func (s *session) greeted() bool {
	said := s.server.Peek()
	return len(said) > 0 && !beginsRecord(said)
}

// past makes reads end at once.
var past = time.Unix(1, 0)

// ask asks the rules about the connection. Where the client has given two names, to a proxy and in its hello, blocking goes by either,
// bypassing by both, and the rest by what it asks the server for.
func (s *session) ask(rules *policy.Table) policy.Decision {
	t := s.conn.Tuple
	c := policy.Conn{Client: netip.AddrPortFrom(t.Client.IP, t.Client.Port), Server: netip.AddrPortFrom(t.Server.IP, t.Server.Port), Name: s.name()}
	d := rules.Decide(c)
	if c.Name == s.request.Host || d.Action == flow.Block {
		return d
	}
	c.Name = s.request.Host
	other := rules.Decide(c)
	if other.Action == flow.Block || other.Action == flow.Inspect && !isAddress(c.Name) {
		return other
	}
	return d
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// obey resets an inspected connection that the rules would not inspect under its policy.
func (s *session) obey(rules *policy.Table) {
	if d := s.ask(rules); d.Action != flow.Inspect || d.ID != s.decision.ID {
		s.client.Reset()
	}
}

// name is the server that the client wants, by its hello or, where that has none, by its request. It is empty if it names none.
func (s *session) name() string {
	if s.facts.SNI == "" && !isAddress(s.request.Host) {
		return s.request.Host
	}
	return s.facts.SNI
}

// carryOut does what was decided.
func (s *session) carryOut(ctx context.Context) {
	d, cases := &s.decision, s.decision.Cases
	switch {
	case d.Action == flow.Block:
		s.instead(ctx, flow.BlockedByPolicy, policy.Block)
	case s.first.broken: // some server may read it, and the name in it may be a blocked one
		s.instead(ctx, flow.Malformed, policy.Block)
	case s.hidden == forgotten:
		s.disclose()
	case s.first.hello == nil && !s.first.not && (d.Action == flow.Inspect || s.gateway.rules.Load().BlocksNames()):
		// who waits long enough must not get past the rules
		s.tell(flow.DecryptedNo, "")
		s.client.Reset()
	case d.Action == flow.Bypass && d.Rule == "":
		s.instead(ctx, flow.OutsideScope, policy.Bypass)
	case d.Action == flow.Bypass:
		s.instead(ctx, flow.BypassedByPolicy, policy.Bypass)
	case s.first.hello == nil && cases.NotTLS != policy.Inspect:
		s.instead(ctx, "", cases.NotTLS)
	case s.first.hello != nil && s.name() == "" && cases.NoName != policy.Inspect:
		s.instead(ctx, flow.NoServerName, cases.NoName)
	case s.first.hello != nil && s.asks() && !s.staysWithout():
		s.instead(ctx, flow.ClientCertificate, cases.ClientCertificate)
	case s.first.hello != nil && cases.Pinned != policy.Inspect && s.isPinned():
		s.instead(ctx, flow.Pinned, cases.Pinned)
	case !s.gateway.desk.Inspect():
		s.instead(ctx, flow.OverCapacity, cases.OverCapacity)
	default:
		if first := s.lookInto(ctx); first != nil {
			s.goOn(ctx, first)
		}
	}
}

// lookInto inspects the connection, for which there is a place. Where TLS begins later, it returns what the client has said from there on.
func (s *session) lookInto(ctx context.Context) *helloReader {
	defer s.gateway.desk.Done()
	if s.first.hello != nil {
		s.inspect(ctx)
		return nil
	}
	s.tell(flow.DecryptedNo, "")
	return s.converse()
}

// goOn decides anew where TLS begins in the midst of the connection: now there is a name. takeFirst gives back what is kept of the hello.
func (s *session) goOn(ctx context.Context, first *helloReader) {
	s.first, s.later, s.seen = *first, true, [2]uint64{}
	s.listened(time.Now())
	s.decide()
	s.carryOut(ctx)
}

// instead ends the connection, or hands on its bytes as they are, and says why. The client has not been answered yet.
func (s *session) instead(ctx context.Context, why flow.Reason, choice policy.Choice) {
	if choice == policy.Block {
		s.decision.Action = flow.Block
		s.tell(flow.DecryptedNo, why)
		s.client.Reset()
		return
	}
	if s.server == nil && s.later { // what was said before TLS cannot be said again
		s.tell(flow.DecryptedNo, why)
		s.client.Reset()
		return
	}
	s.decision.Action = flow.Bypass
	if s.hidden == opened {
		s.disclose()
		return
	}
	s.tell(flow.DecryptedNo, why)
	if s.server == nil {
		if err := s.dial(ctx, s.conn.Tuple.Server.String()); err != nil {
			s.client.Reset()
			return
		}
	}
	s.relay(s.plain(), s.plainServer(), false)
}

// tell puts what is known into the flow.Conn, for the next event.
func (s *session) tell(state flow.Decrypted, why flow.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.decision.Policy
	s.conn.Policy, s.conn.RefusesQUIC = &p, s.decision.RefusesQUIC
	if s.first.hello == nil && !s.first.broken {
		return
	}
	facts := s.facts
	s.conn.TLS, s.conn.Decryption = &facts, flow.Decryption{State: state, Reason: why}
	if state != flow.DecryptedNo {
		s.conn.Decryption.Source = flow.FromInspection
	}
}
