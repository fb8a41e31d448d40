// Package admission bounds what clients take of the gateway: connections at once, by all and by each; those that are looked into; and bytes
// of what connections say before it is known what they are. Who comes goes in, whether there is room comes out. It knows nothing of what
// connections are for.
package admission

import (
	"errors"
	"net/netip"
	"sync"
)

// Limits are what may be open at once.
type Limits struct {
	Conns     int // all connections
	PerClient int // those of one client: an address, or a network of 64 bits of IPv6, which one host may have for itself
	Inspected int // those that are looked into
	Greetings int // bytes of unfinished first messages, beyond the Free of each
}

// Free is how many bytes a connection may say first without taking any of Limits.Greetings. Most ClientHellos are shorter.
const Free = 4 << 10

// Default is right for most machines with 1 GB of memory to give.
var Default = Limits{Conns: 20_000, PerClient: 2_000, Inspected: 10_000, Greetings: 64 << 20}

// Validate tells whether each limit lets something in.
func (l Limits) Validate() error {
	if l.Conns < 1 || l.PerClient < 1 || l.Inspected < 1 || l.Greetings < 0 {
		return errors.New("connections, per_client and inspected must be more than 0")
	}
	return nil
}

// Why somebody was not let in.
var (
	ErrFull   = errors.New("too many connections are open")
	ErrClient = errors.New("too many connections of this client are open")
)

// Desk counts who is in. It is safe for concurrent use.
type Desk struct {
	limits Limits

	mu        sync.Mutex
	conns     int
	inspected int
	greetings int
	clients   map[netip.Prefix]int // none of which has 0: there are at most as many as connections
}

// New returns a Desk that nobody has passed.
func New(l Limits) *Desk { return &Desk{limits: l, clients: map[netip.Prefix]int{}} }

// Enter lets a connection in, until leave is called, once.
func (d *Desk) Enter(client netip.Addr) (leave func(), err error) {
	who := network(client)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.conns >= d.limits.Conns:
		return nil, ErrFull
	case d.clients[who] >= d.limits.PerClient:
		return nil, ErrClient
	}
	d.conns++
	d.clients[who]++
	return func() { d.leave(who) }, nil
}

func (d *Desk) leave(who netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns--
	if d.clients[who]--; d.clients[who] == 0 {
		delete(d.clients, who)
	}
}

// network is what counts as one client. The zone of a link-local address does not make it another.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Prefix for who has no address
	return p
}

// Inspect reports whether one more connection may be looked into; then it is, until Done.
func (d *Desk) Inspect() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inspected >= d.limits.Inspected {
		return false
	}
	d.inspected++
	return true
}

// Done is called for each Inspect that was true.
func (d *Desk) Done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inspected--
}

// Greet reports whether a connection may keep size bytes of what it has said first, where it kept was before. Size 0 gives all of it back.
func (d *Desk) Greet(was, size int) bool {
	more := max(0, size-Free) - max(0, was-Free)
	if more == 0 {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if more > 0 && d.greetings+more > d.limits.Greetings {
		return false
	}
	d.greetings += more
	return true
}

// Open returns how many connections are in, and how many of them are looked into.
func (d *Desk) Open() (conns, inspected int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conns, d.inspected
}
