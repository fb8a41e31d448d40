package gateway

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source/gateway/front"
)

// end is one side of what is relayed.
type end struct {
	net.Conn
	finish func() error // says in the protocol's own way that no more will come
	wire   *wire        // below
}

// plain is the client's side as it is, from its first byte on. It can be had once.
func (s *session) plain() end {
	return end{front.Prefixed(s.client, s.takeFirst()), s.client.CloseWrite, s.client}
}

// plainServer is the origin's side as it is.
func (s *session) plainServer() end {
	return end{front.Prefixed(s.server, s.banner), s.server.CloseWrite, s.server}
}

// relay forwards both directions until they have ended.
type relay struct {
	session *session
	look    bool // the Stream is asked before anything is forwarded
	ends    [2]end
	active  atomic.Int64 // when anything was read last, in Unix nanoseconds
	left    atomic.Bool  // the origin has ended its direction
}

func (s *session) relay(client, server end, look bool) {
	r := &relay{session: s, look: look, ends: [2]end{flow.ToServer: server, flow.ToClient: client}}
	r.active.Store(time.Now().UnixNano())
	if look {
		defer s.gateway.track(s)()
	}
	for _, e := range r.ends {
		_ = e.wire.SetDeadline(time.Time{})
	}
	var back sync.WaitGroup
	back.Go(func() { r.pump(flow.ToClient) })
	r.pump(flow.ToServer)
	back.Wait()
}

func (r *relay) pump(dir flow.Direction) {
	p := &pump{relay: r, dir: dir, from: r.ends[dir.Reverse()], to: r.ends[dir], gate: gate{limits: r.session.gateway.cfg.Hold}}
	err := errPanic
	defer func() {
		p.shrink()
		if dir == flow.ToServer && r.look {
			r.session.parted(err, r.left.Load())
		}
		if err != nil {
			r.abort(dir, err)
		}
	}()
	r.session.gateway.protect(func() { err = p.run() })
}

var (
	errDropped = errors.New("dropped by verdict")
	errIdle    = errors.New("silent for too long")
	errPanic   = errors.New("failed")
)

// abort ends both directions at once. Who is not at fault must not take it for a regular end.
func (r *relay) abort(dir flow.Direction, err error) {
	s := r.session
	s.mu.Lock()
	if errors.Is(err, errDropped) {
		p := *s.conn.Policy
		p.Action = flow.Block
		s.conn.Policy = &p
	} else if dir == flow.ToClient && r.look && says(err, renegotiation) {
		s.gateway.asking.Add(s.asker(), time.Now()) // the next connection is the client's own
		s.conn.Decryption = flow.Decryption{State: flow.DecryptedPartial, Source: flow.FromInspection, Reason: flow.ClientCertificate}
	}
	s.mu.Unlock()
	for _, e := range r.ends {
		e.wire.reset()
	}
}

// look hands plaintext to the Stream.
func (s *session) look(dir flow.Direction, at time.Time, b []byte) flow.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	if dir == flow.ToServer && s.seen[dir] == 0 && s.conn.TLS != nil && s.facts.Fault == flow.NoFault {
		s.gateway.cfg.Pins.Accept(s.conn.Tuple.Client.IP, s.pinned(), at)
	}
	s.seen[dir] += uint64(len(b))
	s.count()
	return s.stream.Data(dir, at, b)
}

// parted notes how a client of TLS has ended its direction, if it has said nothing before: so it refuses what it has agreed to in the
// handshake, of TLS 1.3, or by a judgement of its own. An error is why the direction was cut off. Where the origin has left first, the
// client merely follows.
func (s *session) parted(err error, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn.TLS == nil || s.seen[flow.ToServer] > 0 {
		return
	}
	why := flow.ClientFailed
	if err != nil {
		why = refusal(err)
	}
	if why != flow.ClientFailed {
		s.conn.Decryption = flow.Decryption{State: flow.DecryptedNo, Reason: why}
	} else if left || s.seen[flow.ToClient] > 0 || time.Since(s.shaken) > early {
		return
	}
	s.learn(why, err)
}
