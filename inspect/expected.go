package inspect

import (
	"container/list"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vitrine-ndr/vitrine/flow"
	"github.com/vitrine-ndr/vitrine/parse"
)

const (
	maxExpected  = 4096            // connections that are announced and not open yet; the longest wait ends first
	expectedTime = 2 * time.Minute // that an announcement holds, in the time of what was seen
)

// expectation is a connection that another one has announced.
type expectation struct {
	name    string // of its protocol
	upgrade *parse.Upgrade
	at      [2]netip.AddrPort // where it is expected: at the address that was announced, and at that of the host that announced it
	local   flow.Side         // which side of it the program will be whose words announced it, if one is looked into
	until   time.Time
	queued  *list.Element // nil once it has opened, or was withdrawn
}

// place is where a connection is expected. Where both programs are looked into, each tells of its own side of both connections.
type place struct {
	at    netip.AddrPort
	local flow.Side
}

// expectations are those of all connections. Safe for concurrent use.
type expectations struct {
	waiting atomic.Int64 // how many there are: most of the time none
	mu      sync.Mutex
	by      map[place]*expectation // the newest for each
	order   list.List              // the first to expire in front
}

// add takes the place of old, which may be nil.
func (e *expectations) add(x, old *expectation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.by == nil {
		e.by = map[place]*expectation{}
	}
	e.drop(old)
	x.queued = e.order.PushBack(x)
	for _, at := range x.at {
		e.by[place{at, x.local}] = x
	}
	for first := e.order.Front(); first != nil; first = e.order.Front() {
		oldest := first.Value.(*expectation)
		if e.order.Len() <= maxExpected && oldest.until.After(x.until.Add(-expectedTime)) {
			break
		}
		e.drop(oldest)
	}
	e.waiting.Store(int64(e.order.Len()))
}

// take returns what is expected at a place, or nil. It is expected once.
func (e *expectations) take(at place, now time.Time) *expectation {
	if e.waiting.Load() == 0 {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.by[at]
	if x == nil {
		return nil
	}
	e.drop(x)
	e.waiting.Store(int64(e.order.Len()))
	if now.After(x.until) {
		return nil
	}
	return x
}

// withdraw forgets x, which may be nil.
func (e *expectations) withdraw(x *expectation) {
	if x == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop(x)
	e.waiting.Store(int64(e.order.Len()))
}

func (e *expectations) drop(x *expectation) {
	if x == nil || x.queued == nil {
		return
	}
	e.order.Remove(x.queued)
	x.queued = nil
	for _, at := range x.at {
		if key := (place{at, x.local}); e.by[key] == x {
			delete(e.by, key)
		}
	}
}

// expect is the parser's Output.Expect.
func (s *stream) expect(at parse.Listener, name string, upgrade *parse.Upgrade) {
	host, listens := s.conn.Tuple.Server.IP, flow.ServerSide
	if at.Side == flow.ToClient {
		host, listens = s.conn.Tuple.Client.IP, flow.ClientSide
	}
	local := s.conn.Local
	switch local {
	case "":
	case listens:
		local = flow.ServerSide
	default:
		local = flow.ClientSide
	}
	announced := at.Address
	if !announced.IsValid() {
		announced = host
	}
	u := *upgrade
	u.Conn = s.conn.ID
	x := &expectation{name: name, upgrade: &u, local: local, until: s.at.Add(expectedTime)}
	for i, ip := range [...]netip.Addr{announced, host} {
		x.at[i] = netip.AddrPortFrom(ip.Unmap(), at.Port)
	}
	s.inspector.expected.add(x, s.announced)
	s.announced = x
}

// await looks whether this connection is one that another has announced. At the host that has announced it, its bytes may be anything. At
// another host, as behind address translation, they are recognised first: else an announcement could hide a connection to a third.
func (s *stream) await(at time.Time) {
	if s.parser != nil || s.expected != nil || s.conn.Tuple.Proto != flow.TCP {
		return
	}
	server := s.conn.Tuple.Server
	listener := netip.AddrPortFrom(server.IP.Unmap(), server.Port)
	x := s.inspector.expected.take(place{listener, s.conn.Local}, at)
	if x == nil || s.inspector.protocol[x.name] == nil {
		return
	}
	s.expected = x
	if listener == x.at[1] {
		s.at = at
		s.guard(func() { s.start(s.fallback()) })
	}
}

// fallback is the protocol of a stream that none recognises.
func (s *stream) fallback() *parse.Protocol {
	if x := s.expected; x != nil {
		s.out.Upgrade = x.upgrade
		return s.inspector.protocol[x.name]
	}
	return &s.inspector.cfg.Unknown
}
