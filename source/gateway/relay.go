package gateway

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/source"
	"github.com/vitrine-ndr/vitrine/source/gateway/wire"
)

// end is one side of what is relayed.
type end struct {
	net.Conn
	finish func() error // says in the protocol's own way that no more will come
	wire   *wire.Conn   // below
}

// plain is the client's side as it is, from its first byte on. It can be had once.
func (s *session) plain() end {
	s.client.Unread(s.takeFirst())
	return end{s.client, s.client.CloseWrite, s.client}
}

// plainServer is the origin's side as it is.
func (s *session) plainServer() end {
	return end{s.server, s.server.CloseWrite, s.server}
}

// relay forwards both directions until they have ended.
type relay struct {
	session *session
	look    bool  // the Stream is asked before anything is forwarded
	turn    *turn // nil if TLS that begins later is not looked for
	ends    [2]end
	gates   [2]gate      // by direction
	active  atomic.Int64 // when anything was read last, in Unix nanoseconds
	left    atomic.Bool  // the origin has ended its direction
	lingers atomic.Int64 // until when the client may still say what nobody hears, in Unix nanoseconds; 0 before the end
	aborted atomic.Bool
}

func (s *session) relay(client, server end, look bool) {
	r := &relay{session: s, look: look, ends: [2]end{flow.ToServer: server, flow.ToClient: client}}
	r.run()
}

// converse relays what is no TLS, and looks at it, until it has ended or TLS begins. Then it returns what the client has said from there on,
// of which nothing was forwarded, and both directions can be read from there on.
func (s *session) converse() *helloReader {
	r := &relay{session: s, look: true, turn: &turn{keep: s.keep}, ends: [2]end{flow.ToServer: s.plainServer(), flow.ToClient: s.plain()}}
	r.run()
	if r.turn.begun.Load() && !r.aborted.Load() && r.lingers.Load() == 0 {
		return &r.turn.first
	}
	r.turn.forget()
	return nil
}

func (r *relay) run() {
	r.active.Store(time.Now().UnixNano())
	if r.look {
		defer r.session.gateway.track(r.session)()
	}
	for _, e := range r.ends {
		_ = e.wire.SetDeadline(time.Time{})
		e.wire.Dry(true)
		defer e.wire.Dry(false)
	}
	var back sync.WaitGroup
	back.Go(func() { r.session.gateway.protect(func() { r.pump(flow.ToClient) }) })
	r.pump(flow.ToServer)
	back.Wait()
}

func (r *relay) pump(dir flow.Direction) {
	p := &pump{relay: r, dir: dir, from: r.ends[dir.Reverse()], to: r.ends[dir]}
	err := errPanic
	defer func() {
		switch {
		case errors.Is(err, errTurned):
			r.turn.begun.Store(true)
			_ = r.ends[flow.ToServer].wire.SetReadDeadline(past) // the other direction ends too
			return
		case dir == flow.ToServer && r.look:
			r.session.parted(err, p.follows)
		}
		if err != nil && r.lingers.Load() == 0 {
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
	r.aborted.Store(true)
	switch {
	case errors.Is(err, errDropped):
		r.session.blocked()
	case dir == flow.ToClient && r.look && says(err, renegotiation):
		r.session.askedLate()
	case dir == flow.ToClient:
		r.session.insisted(err)
	}
	for _, e := range r.ends {
		e.wire.Reset()
	}
}

// pass forwards what the Stream makes of what was said in a direction, and what it wants to be said in the other one.
func (r *relay) pass(dir flow.Direction, b []byte) error {
	waiting, err := r.edit(dir, b)
	if err == nil && waiting {
		_, err = r.edit(dir.Reverse(), nil)
	}
	return err
}

func (r *relay) edit(dir flow.Direction, b []byte) (waiting bool, err error) {
	now := time.Now()
	r.active.Store(now.UnixNano())
	g := &r.gates[dir]
	g.mu.Lock()
	defer g.mu.Unlock()
	e := source.Edit{Forward: b}
	if r.look {
		e = r.session.look(dir, now, b)
	}
	if e.Drop {
		return false, errDropped
	}
	if err := r.write(dir, e.Forward); err != nil {
		return false, err
	}
	if len(e.Forward) > 0 {
		g.holdAnew(e.Held, now) // what was held before is among that
	} else {
		g.hold(e.Held, now)
	}
	switch {
	case e.End:
		r.finish()
	case e.Held > r.session.gateway.cfg.Hold.Bytes:
		err = r.release(dir, now)
	}
	return e.Waiting, err
}

func (r *relay) write(dir flow.Direction, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	to := &r.ends[dir]
	_ = to.wire.SetWriteDeadline(time.Now().Add(r.session.gateway.cfg.Idle))
	to.wire.Cork()
	_, err := to.Write(b)
	if sent := to.wire.Uncork(); err == nil {
		err = sent
	}
	return err
}

// release forwards what is held back, if that is what limits do. Valid iff the gate's mu is held.
func (r *relay) release(dir flow.Direction, now time.Time) error {
	g, s := &r.gates[dir], r.session
	if g.held == 0 {
		return nil
	}
	if !s.gateway.cfg.Hold.Open {
		return errDropped
	}
	e := s.letGo(dir, now)
	g.holdAnew(e.Held, now) // what cannot be released waits for as long again
	return r.write(dir, e.Forward)
}

// letGo has the Stream release what it holds back.
func (s *session) letGo(dir flow.Direction, at time.Time) source.Edit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream.Release(dir, at)
}

// linger is how long a client may go on with what is not forwarded any more, before it takes note of what it was told. If its connection
// were closed meanwhile, it might lose that.
const linger = 10 * time.Second

// goodbye is how long an origin may take to hear of the end.
const goodbye = 5 * time.Second

// finish ends the connection in good order, as servers do behind an answer that is their last.
func (r *relay) finish() {
	r.session.blocked()
	until := time.Now().Add(linger)
	r.lingers.Store(until.UnixNano())
	client, server := &r.ends[flow.ToClient], &r.ends[flow.ToServer]
	_ = client.finish()
	_ = client.wire.CloseWrite()
	_ = client.wire.SetReadDeadline(until)
	_ = server.wire.SetWriteDeadline(time.Now().Add(goodbye)) // it may take nothing any more
	_ = server.finish()
	server.wire.Close()
}

// look hands plaintext to the Stream.
func (s *session) look(dir flow.Direction, at time.Time, b []byte) source.Edit {
	s.mu.Lock()
	defer s.mu.Unlock()
	if dir == flow.ToServer && s.seen[dir] == 0 && s.conn.TLS != nil && s.facts.Fault == flow.NoFault {
		s.gateway.cfg.Pins.Accept(s.conn.Tuple.Client.IP, s.pinned(), at)
	}
	s.seen[dir] += uint64(len(b))
	s.count()
	return s.stream.Edit(dir, at, b)
}

// blocked notes that a verdict has ended the connection.
func (s *session) blocked() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := *s.conn.Policy
	p.Action = flow.Block
	s.conn.Policy = &p
}

// askedLate notes that the origin asks for a client certificate in the midst of the connection: the next one is the client's own.
func (s *session) askedLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway.asking.Add(s.asker(true), time.Now())
	s.conn.Decryption = flow.Decryption{State: flow.DecryptedPartial, Source: flow.FromInspection, Reason: flow.ClientCertificate}
}

// parted notes how a client of TLS has ended its direction, if it has said nothing before: so it refuses what it has agreed to in the
// handshake, of TLS 1.3, or by a judgement of its own. An error is why the direction was cut off. Where the origin has left first, the
// client merely follows; where it has greeted the client, that may be why. In HTTP/2 the origin need not wait to be spoken to.
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
	} else if left || s.seen[flow.ToClient] > 0 && s.facts.ALPN != "h2" || time.Since(s.shaken) > early {
		return
	}
	s.learn(why, err)
}
