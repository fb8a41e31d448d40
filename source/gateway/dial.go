package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway/divert"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
	"github.com/vitrine-ndr/vitrine/source/gateway/policy"
	"github.com/vitrine-ndr/vitrine/source/gateway/wire"
)

// barred is why a client gets to nobody.
type barred struct {
	server   netip.AddrPort // without an address where that is not known
	why      flow.Reason
	decision policy.Decision // valid iff a rule blocks
	cause    error
}

func (b *barred) Error() string { return b.cause.Error() }

var errBlocked = errors.New("blocked by policy")

// reach connects to whom the client has asked for. Where a rule blocks that name, nobody is even asked for its addresses.
func (s *session) reach(ctx context.Context) error {
	address, _ := netip.ParseAddr(s.request.Host) // else it has none yet
	if err := s.unblocked(s.request.Host, netip.AddrPortFrom(address, s.request.Port)); err != nil {
		return fmt.Errorf("connect to %s: %w", s.request.Host, err)
	}
	return s.dial(ctx, net.JoinHostPort(s.request.Host, strconv.Itoa(int(s.request.Port))))
}

// dial connects to an origin, which may be a name. Each address of it is checked before the first packet goes there.
func (s *session) dial(ctx context.Context, address string) error {
	g := s.gateway
	d := net.Dialer{Deadline: s.start.Add(g.cfg.Handshake), ControlContext: func(_ context.Context, network, address string, c syscall.RawConn) error {
		err := s.permit(address)
		if err == nil && s.request.Source.IsValid() {
			err = divert.Transparent(network, c)
		}
		return err
	}}
	if a := s.request.Source; a.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0))
	}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	g.cfg.Leg(flow.Tuple{Proto: flow.TCP, Client: endpoint(c.LocalAddr()), Server: endpoint(c.RemoteAddr())})
	server, err := wire.New(c.(*net.TCPConn), nil)
	if err != nil {
		c.Close()
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	s.server, s.forget = server, context.AfterFunc(ctx, server.Reset)
	return c.SetDeadline(d.Deadline)
}

// hangUp ends the connection to the origin, if there is one, and forgets what was said there.
func (s *session) hangUp() {
	if s.server != nil {
		s.forget()
		s.server.Close()
		s.server, s.forget = nil, nil
	}
}

// permit tells whether an address may be connected to.
func (s *session) permit(address string) error {
	server, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	if err := s.gateway.cfg.Guard.Check(server, time.Now()); err != nil {
		return &barred{server: server, why: flow.Guarded, cause: err}
	}
	if err := s.unblocked("", server); err != nil {
		return fmt.Errorf("connect to %s: %w", server, err)
	}
	return nil
}

// unblocked tells whether no rule blocks what is known of the server: the name or the address.
func (s *session) unblocked(name string, server netip.AddrPort) error {
	c := policy.Conn{Client: addrPort(s.client.RemoteAddr()), Server: server, Name: name}
	if d := s.gateway.rules.Load().Decide(c); d.Action == flow.Block {
		return &barred{server: server, why: flow.BlockedByPolicy, decision: d, cause: errBlocked}
	}
	return nil
}

// refuse tells the client and the sink why nobody was connected to.
func (s *session) refuse(sink source.Sink, err error) {
	s.gateway.log.Debug("origin not reached", "component", "gateway", "client", s.client.RemoteAddr(), "err", err)
	b, outcome := s.outcome(err)
	_ = s.request.Answer(outcome)
	s.begin(sink, flow.Endpoint{IP: b.server.Addr().Unmap(), Port: b.server.Port()})
	s.conn.Decryption.Reason = b.why
	if s.conn.Policy = nil; b.why != flow.Unreachable {
		p := b.decision.Policy
		p.Action = flow.Block
		s.conn.Policy = &p
	}
	s.stream.Close(time.Now())
}

// outcome counts a failed dial, and says it in the terms of front ends.
func (s *session) outcome(err error) (*barred, front.Outcome) {
	stats := &s.gateway.stats
	if b, ok := errors.AsType[*barred](err); ok {
		if b.why == flow.Guarded {
			stats.guarded.Add(1)
		} else {
			stats.blocked.Add(1)
		}
		return b, front.Forbidden
	}
	stats.unreachable.Add(1)
	address, _ := netip.ParseAddr(s.request.Host)
	b := &barred{server: netip.AddrPortFrom(address, s.request.Port), why: flow.Unreachable}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return b, front.NoHost
	}
	return b, front.Unreachable
}

// timedOut tells a deadline from other errors.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
