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
	look    bool  // the Stream is asked before anything is forwarded
	turn    *turn // nil if TLS that begins later is not looked for
	ends    [2]end
	active  atomic.Int64 // when anything was read last, in Unix nanoseconds
	aborted atomic.Bool
}

func (s *session) relay(client, server end, look bool) {
	r := &relay{session: s, look: look, ends: [2]end{flow.ToServer: server, flow.ToClient: client}}
	r.run()
}

// converse relays what is no TLS, and looks at it, until it has ended or TLS begins. Then it returns what the client has said from there on,
// of which nothing was forwarded, and both directions can be read from there on.
func (s *session) converse() *helloReader {
	r := &relay{session: s, look: true, turn: new(turn), ends: [2]end{flow.ToServer: s.plainServer(), flow.ToClient: s.plain()}}
	r.run()
	if r.turn.begun.Load() && !r.aborted.Load() {
		return &r.turn.first
	}
	return nil
}

func (r *relay) run() {
	r.active.Store(time.Now().UnixNano())
	if r.look {
		defer r.session.gateway.track(r.session)()
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
		switch {
		case errors.Is(err, errTurned):
			r.turn.begun.Store(true)
			_ = r.ends[flow.ToServer].wire.SetReadDeadline(past) // the other direction ends too
		case err != nil:
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
	s := r.session
	s.mu.Lock()
	if errors.Is(err, errDropped) {
		p := *s.conn.Policy
		p.Action = flow.Block
		s.conn.Policy = &p
	} else if dir == flow.ToServer && r.look {
		s.refused(err)
	} else {
		s.insisted(err)
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
	s.seen[dir] += uint64(len(b))
	s.count()
	return s.stream.Data(dir, at, b)
}

// refused notes what a client has said with its first record behind the handshake, when it refuses what it has agreed to there: of TLS
// 1.3, or by a judgement of its own. Valid iff mu is held.
func (s *session) refused(err error) {
	if why := refusal(err); why != flow.ClientFailed && s.seen[flow.ToServer] == 0 && s.conn.TLS != nil {
		s.conn.Decryption = flow.Decryption{State: flow.DecryptedNo, Reason: why}
	}
}
